. /in/steps.sh
echo "$HOST_NQN" > /etc/nvme/hostnqn 2>/dev/null || { mkdir -p /etc/nvme; echo "$HOST_NQN" > /etc/nvme/hostnqn; }
attach --hostnqn=$HOST_NQN --dhchap-secret="$WRONG" && not_ok wrong-key 'a host with a wrong key was let in' || ok wrong-key "refused: $(tail -1 /tmp/connected | cut -c1-100)"
attach --hostnqn=$HOST_NQN && not_ok no-key 'a host without a key was let in' || ok no-key "refused: $(tail -1 /tmp/connected | cut -c1-100)"
attach --hostnqn=nqn.2026-11.dev.millrace:stranger --dhchap-secret="$SECRET" && not_ok stranger 'a stranger was let in' || ok stranger "refused: $(tail -1 /tmp/connected | cut -c1-100)"
attach --hostnqn=$HOST_NQN --dhchap-secret="$SECRET" --dhchap-ctrl-secret="$WRONG" && not_ok false-controller 'a host let itself be served by another controller' || ok false-controller "refused by the host"
attach --hostnqn=$HOST_NQN --dhchap-secret="$SECRET" --dhchap-ctrl-secret="$CONTROLLER_SECRET" || not_ok both-ways "$(cat /tmp/connected; dmesg | tail -5)"
ok both-ways "$(dmesg | grep -o 'authenticated.*' | tail -2 | tr '\n' ' ')"
D=$(block 4); head -c 1048576 /dev/urandom > /tmp/a
dd if=/tmp/a of=$D bs=64k oflag=direct 2>/dev/null && dd if=$D of=/tmp/b bs=64k count=16 iflag=direct 2>/dev/null
same write-read /tmp/a /tmp/b
must disconnect nvme disconnect -n $NQN
