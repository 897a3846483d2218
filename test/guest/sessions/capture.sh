. /in/steps.sh
for digests in '' '--hdr-digest --data-digest'; do
attach $digests || not_ok connect 'no device came'
D=$(block 4); head -c 262144 /dev/urandom > /tmp/a
nvme id-ctrl /dev/nvme0 > /dev/null; nvme smart-log /dev/nvme0 > /dev/null
for bs in 4k 64k 256k; do dd if=/tmp/a of=$D bs=$bs oflag=direct 2>/dev/null; dd if=$D of=/tmp/b bs=$bs count=$((262144 / ${bs%k} / 1024)) iflag=direct 2>/dev/null; done
same "write-read $digests" /tmp/a /tmp/b
nvme disconnect -n $NQN > /dev/null
done
