# What every session begins with. A step prints one line: `ok NAME: summary` or `not ok NAME: why`.
ok() { echo "ok $1: $2"; }
not_ok() { echo "not ok $1: $2"; dmesg | tail -5; exit 1; }
# must NAME COMMAND...: it succeeds; its last line is the summary.
must() { name=$1; shift; if "$@" > /tmp/out 2>&1; then ok "$name" "$(tail -1 /tmp/out | tr -s ' ' | cut -c1-100)"; else tail -5 /tmp/out; not_ok "$name" "$* gave $?"; fi; }
# same NAME FILE FILE
same() { cmp -s "$2" "$3" && ok "$1" "$(stat -c %s "$2") bytes equal" || not_ok "$1" "the bytes differ"; }
# The generic device, and the block device, of a namespace: the kernel numbers them as it likes.
generic() { for g in /dev/ng*n*; do [ "$(nvme get-ns-id $g 2>/dev/null | grep -o '[0-9]*$')" = "$1" ] && { echo $g; return; }; done; }
block() { g=$(generic $1); [ -n "$g" ] && echo /dev/nvme${g#/dev/ng}; }
attach() { nvme connect -t tcp -a $HOST_IP -s $PORT -n $NQN "$@" > /tmp/connected 2>&1 || { cat /tmp/connected; return 1; }; for i in $(seq 100); do [ -n "$(generic 4)" ] && [ -b "$(block 4)" ] && return; usleep 100000; done; return 1; }
