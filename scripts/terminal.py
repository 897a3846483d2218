"""Runs a command on a terminal of its own: python3 terminal.py COLUMNS ROWS COMMAND...

Steps come on stdin, one JSON object a line: {"expect": TEXT} waits until TEXT was printed since the last step that waited,
{"send": TEXT} types, {"type": TEXT} types letter by letter as a person does. Output goes to stdout as asciicast v2 events
([seconds, "o", text] a line), and at the end {"exit": CODE}. A text that does not come within
60 s, and a command that does not end within that time, end with code 3.
"""
import codecs
import fcntl
import json
import os
import pty
import select
import signal
import struct
import sys
import termios
import time

columns, rows, *command = sys.argv[1:]
pid, terminal = pty.fork()
if pid == 0:
    os.environ.update(TERM="xterm-256color", COLUMNS=columns, LINES=rows)
    os.execvp(command[0], command)
fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", int(rows), int(columns), 0, 0))

started = time.monotonic()
decoder = codecs.getincrementaldecoder("utf-8")("replace")
unseen = ""
ended = False


def read(seconds):
    """What the command prints within that time, as an event."""
    global unseen, ended
    if ended or not select.select([terminal], [], [], seconds)[0]:
        return
    try:
        data = os.read(terminal, 65536)
    except OSError:  # the other side of the terminal is closed
        data = b""
    ended = not data
    text = decoder.decode(data)
    if text:
        unseen += text
        print(json.dumps([round(time.monotonic() - started, 3), "o", text]), flush=True)


def pause(seconds):
    end = time.monotonic() + seconds
    while not ended and time.monotonic() < end:
        read(max(0, end - time.monotonic()))


failed = None
for line in sys.stdin:
    step = json.loads(line)
    if "expect" in step:
        deadline = time.monotonic() + 60
        while step["expect"] not in unseen and not ended and time.monotonic() < deadline:
            read(0.1)
        if step["expect"] not in unseen:
            failed = step["expect"]
            break
        unseen = unseen.split(step["expect"], 1)[1]
    for letter in step.get("type", ""):
        os.write(terminal, letter.encode())
        pause(0.03)
    os.write(terminal, step.get("send", "").encode())
    pause(step.get("pause", 0))
deadline = time.monotonic() + 60
while not ended and failed is None:
    read(1)
    if time.monotonic() > deadline:
        failed = "the end of the command"
if failed is not None:
    os.kill(pid, signal.SIGKILL)
_, status = os.waitpid(pid, 0)
if failed is not None:
    print(f"'{failed}' did not come; last: {unseen[-2000:]!r}", file=sys.stderr)
    sys.exit(3)
print(json.dumps({"exit": os.waitstatus_to_exitcode(status)}))
