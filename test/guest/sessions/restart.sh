. /in/steps.sh
attach --keep-alive-tmo=5 --reconnect-delay=1 --ctrl-loss-tmo=120 || not_ok connect 'no device came'
D=$(block 4)
mkfs.ext4 -q -F $D && mkdir -p /mnt && mount -t ext4 $D /mnt || not_ok mkfs failed
head -c 4194304 /dev/urandom > /tmp/a
cp /tmp/a /mnt/flushed && sync -f /mnt 2>/dev/null || sync
ok flushed '4 MiB written and synced'
fio --name=t --directory=/mnt --size=16M --bs=4k --rw=randwrite --ioengine=libaio --iodepth=8 --direct=1 --fsync=16 --time_based --runtime=25 --minimal > /tmp/fio.out 2>&1 &
sleep 4
echo KILL-NOW
wait $! && ok fio-outlives-the-kill "$(cut -d';' -f48 /tmp/fio.out) KiB written" || not_ok fio-outlives-the-kill "$(tail -3 /tmp/fio.out)"
dmesg | grep -q 'Successfully reconnected' && ok reconnect "$(dmesg | grep 'Successfully reconnected' | tail -1 | cut -c1-100)" || not_ok reconnect 'the host did not reconnect'
umount /mnt || not_ok umount failed
must fsck e2fsck -fn $D
mount -t ext4 -o ro $D /mnt || not_ok remount failed
echo 3 > /proc/sys/vm/drop_caches
same flushed-data-is-there /tmp/a /mnt/flushed
umount /mnt
must disconnect nvme disconnect -n $NQN
