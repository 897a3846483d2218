. /in/steps.sh
nvme discover -t tcp -a $HOST_IP -s $PORT > /tmp/found
grep -q "subnqn: *$NQN" /tmp/found && grep -q "traddr: *$HOST_IP" /tmp/found && ok discover "$(grep -c '^trtype' /tmp/found) entry, $HOST_IP" || not_ok discover "$(cat /tmp/found)"
attach || not_ok connect 'no device came'
ok connect "$(ls /dev/ng*n* | wc -l) namespaces, $(dmesg | grep -o 'creating [0-9]* I/O queues' | tail -1)"
D=$(block 4)
nvme id-ctrl /dev/nvme0 > /tmp/ctrl; grep -q '^mn *: Millrace' /tmp/ctrl && grep -q '^subnqn *: '$NQN /tmp/ctrl && ok id-ctrl "$(grep '^mdts' /tmp/ctrl), $(grep '^oncs' /tmp/ctrl)" || not_ok id-ctrl "$(head -3 /tmp/ctrl)"
nvme id-ns $D > /tmp/ns; grep -q 'lbads:12.*in use' /tmp/ns && ok id-ns "$(grep '^nsze' /tmp/ns)" || not_ok id-ns "$(tail -2 /tmp/ns)"
nvme list | grep -q "$D.*Millrace" && ok list "$(nvme list | grep "$D" | tr -s ' ' | cut -c1-90)" || not_ok list "$(nvme list)"
for log in smart-log error-log effects-log fw-log; do must $log nvme $log /dev/nvme0; done
for csi in 0 1 3 4; do must effects-csi-$csi nvme get-log /dev/nvme0 --log-id=5 --log-len=4096 --csi=$csi; done

head -c 8388608 /dev/urandom > /tmp/a
must write dd if=/tmp/a of=$D bs=128k oflag=direct
must read dd if=$D of=/tmp/b bs=128k count=64 iflag=direct
same write-read /tmp/a /tmp/b
must compare nvme compare $D --start-block=0 --block-count=1 --data-size=8192 --data=/tmp/a
nvme compare $D --start-block=0 --block-count=0 --data-size=4096 --data=/bin/busybox > /tmp/out 2>&1 && not_ok compare-differs 'different bytes compared equal' || ok compare-differs "$(tail -1 /tmp/out)"

must mkfs mkfs.ext4 -q -F $D
mkdir -p /mnt; mount -t ext4 $D /mnt || not_ok mount 'it does not mount'
for i in $(seq 25); do echo "part $i"; cat /tmp/a; done > /tmp/big
must copy-200MB cp /tmp/big /mnt/big
sync; umount /mnt || not_ok umount failed
must fsck e2fsck -fn $D
mount -t ext4 $D /mnt || not_ok remount failed
same file-after-remount /tmp/big /mnt/big
umount /mnt; rm /tmp/big
must blkdiscard blkdiscard $D
dd if=$D of=/tmp/b bs=1M count=8 iflag=direct 2>/dev/null; head -c 8388608 /dev/zero > /tmp/z; same discarded-is-zero /tmp/z /tmp/b

F="--name=t --filename=$D --direct=1 --ioengine=libaio --size=16M --bs=4k --iodepth=16 --verify=crc32c --verify_fatal=1 --minimal"
must fio-randwrite-verify fio $F --rw=randwrite --do_verify=1
must fio-randread-verify fio $F --rw=randread
nvme disconnect -n $NQN > /dev/null

attach --hdr-digest --data-digest || not_ok connect-digests 'no device came'
D=$(block 4); G=$(generic 5)
must digests-fio fio ${F#--name=t --filename=* } --name=t --filename=$D --rw=randwrite --do_verify=1
dd if=/tmp/a of=$D bs=1M oflag=direct 2>/dev/null && dd if=$D of=/tmp/b bs=1M count=8 iflag=direct 2>/dev/null
same digests-write-read /tmp/a /tmp/b

# Keys and values: key "guest" in cdw2-3, KL 5.
if [ -n "$G" ]; then
head -c 5000 /tmp/a > /tmp/value
must kv-store nvme io-passthru $G --opcode=0x01 --namespace-id=5 --data-len=5000 --write --input-file=/tmp/value --cdw2=0x73657567 --cdw3=0x74 --cdw10=5000 --cdw11=5
nvme io-passthru $G --opcode=0x02 --namespace-id=5 --data-len=5000 --read --raw-binary --cdw2=0x73657567 --cdw3=0x74 --cdw10=5000 --cdw11=5 > /tmp/back 2>/tmp/err
same kv-retrieve /tmp/value /tmp/back
must kv-exist nvme io-passthru $G --opcode=0x14 --namespace-id=5 --cdw2=0x73657567 --cdw3=0x74 --cdw11=5
must kv-delete nvme io-passthru $G --opcode=0x10 --namespace-id=5 --cdw2=0x73657567 --cdw3=0x74 --cdw11=5
nvme io-passthru $G --opcode=0x14 --namespace-id=5 --cdw2=0x73657567 --cdw3=0x74 --cdw11=5 > /tmp/out 2>&1 && not_ok kv-gone 'a deleted key exists' || ok kv-gone "$(tail -1 /tmp/out)"
else echo "skip kv: namespace 5 is not configured"; fi

# A program: loaded in two chunks, activated, deactivated, unloaded.
C=/dev/nvme0
must program-load-1 nvme admin-passthru $C --opcode=0x85 --namespace-id=3 --data-len=4096 --write --input-file=/tmp/a --cdw11=6000 --cdw14=4096
head -c 6000 /tmp/a | tail -c 1904 > /tmp/rest
must program-load-2 nvme admin-passthru $C --opcode=0x85 --namespace-id=3 --data-len=1904 --write --input-file=/tmp/rest --cdw11=6000 --cdw14=1904 --cdw15=4096
must program-activate nvme admin-passthru $C --opcode=0x88 --namespace-id=3 --cdw10=0x10000
must program-deactivate nvme admin-passthru $C --opcode=0x88 --namespace-id=3 --cdw10=0
must program-unload nvme admin-passthru $C --opcode=0x85 --namespace-id=3 --cdw10=0x1000000
nvme admin-passthru $C --opcode=0x88 --namespace-id=3 --cdw10=0x10000 > /tmp/out 2>&1 && not_ok program-gone 'an unloaded program was activated' || ok program-gone "$(tail -1 /tmp/out)"
# Memory of the host's own, by its two commands.
M=$(generic 2)
must memory-write nvme io-passthru $M --opcode=0x05 --namespace-id=2 --data-len=8192 --write --input-file=/tmp/a --cdw10=4096 --cdw12=8192
nvme io-passthru $M --opcode=0x02 --namespace-id=2 --data-len=8192 --read --raw-binary --cdw10=4096 --cdw12=8192 > /tmp/back 2>/tmp/err
head -c 8192 /tmp/a > /tmp/front; same memory-read /tmp/front /tmp/back

# A kernel: loaded, activated, executed over 2048 values of that memory, once by a range set and once with the ranges brought along.
K=/in/sum.wasm; N=$(stat -c %s $K); X=$(generic 3)
{ cat $K; head -c 4 /dev/zero; } | head -c $(((N + 3) / 4 * 4)) > /tmp/kernel
must kernel-load nvme admin-passthru $C --opcode=0x85 --namespace-id=3 --data-len=$(stat -c %s /tmp/kernel) --write --input-file=/tmp/kernel --cdw10=1 --cdw11=$N --cdw14=$N
must kernel-activate nvme admin-passthru $C --opcode=0x88 --namespace-id=3 --cdw10=0x10001
zeros() { head -c $1 /dev/zero; }
{ printf '\002\000\000\000\000\040\000\000\000\020'; zeros 22; printf '\002\000\000\000\100\000\000\000\000\000\001'; zeros 21; } > /tmp/ranges
must range-set nvme admin-passthru $C --opcode=0x89 --namespace-id=3 --data-len=64 --write --input-file=/tmp/ranges --cdw11=2
SUM=$(od -An -v -t d4 /tmp/front | awk '{ for (i = 1; i <= NF; i++) s += $i } END { printf "%.0f", s }')
sum_is() { nvme io-passthru $M --opcode=0x02 --namespace-id=2 --data-len=8 --read --raw-binary --cdw10=65536 --cdw12=8 > /tmp/back 2>/tmp/err; GOT=$(od -An -v -t d8 /tmp/back | tr -d ' '); [ "$GOT" = "$SUM" ] && ok "$1" "sum of 2048 values: $GOT" || not_ok "$1" "$GOT, expected $SUM"; }
must kernel-execute nvme io-passthru $X --opcode=0x01 --namespace-id=3 --cdw2=0x10001 --cdw10=2048
sum_is kernel-result
must memory-clear nvme io-passthru $M --opcode=0x00 --namespace-id=2 --cdw10=65536 --cdw12=64
must kernel-execute-inline nvme io-passthru $X --opcode=0x01 --namespace-id=3 --data-len=64 --write --input-file=/tmp/ranges --cdw2=1 --cdw3=2 --cdw10=2048
sum_is kernel-result-inline
nvme io-passthru $X --opcode=0x01 --namespace-id=3 --cdw2=0x20001 --cdw10=2048 > /tmp/out 2>&1 && not_ok kernel-wrong-set 'a set that is not there was used' || ok kernel-wrong-set "$(tail -1 /tmp/out)"
must kernel-deactivate nvme admin-passthru $C --opcode=0x88 --namespace-id=3 --cdw10=1
must disconnect nvme disconnect -n $NQN
ok kernel-log "$(dmesg | grep -ci 'nvme.*error\|I/O error\|malformed\|unsupported' ) complaints"
[ "$(dmesg | grep -ci 'I/O error\|malformed')" = 0 ] || not_ok kernel-log "$(dmesg | grep -i 'I/O error\|malformed' | tail -3)"
