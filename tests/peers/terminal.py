"""Runs a command on a pseudo-terminal, acts once a text is on it, and tells how it was left.

usage: terminal.py COLUMNS ROWS TEXT ACTION COMMAND...
ACTION: `key:X` types X, `signal:NAME` sends a signal, `resize:COLUMNSxROWS` changes the size, `hangup` closes
the terminal's other end, `nothing` waits for the end, and `script:JSON` does [[SECONDS, ACTION], ...], each so
many seconds after the one before; the first after the text.
Prints JSON: exit code, whether the line settings are as before, whether the alternate screen was
entered and left, whether the cursor is shown, all that was drawn, and how much of it there was at each action.
"""

import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time

columns, rows, text, action, *command = sys.argv[1:]
master, slave = pty.openpty()


def resize(columns, rows):
    size = struct.pack("HHHH", int(rows), int(columns), 0, 0)
    fcntl.ioctl(slave, termios.TIOCSWINSZ, size)


def take_terminal():
    # So that a resize and a hang-up are told as they are to a shell's command.
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


resize(columns, rows)
before = termios.tcgetattr(slave)
environment = dict(os.environ, TERM="xterm-256color")
process = subprocess.Popen(
    command,
    stdin=slave,
    stdout=slave,
    stderr=slave,
    env=environment,
    start_new_session=True,
    preexec_fn=take_terminal,
)

if action == "nothing":
    steps = []
elif action.startswith("script:"):
    steps = json.loads(action.removeprefix("script:"))
else:
    steps = [[0, action]]

drawn = bytearray()
marks = []
hung_up = False


def act(step):
    global hung_up
    kind, _, what = step.partition(":")
    if kind == "key":
        os.write(master, what.encode())
    elif kind == "signal":
        os.kill(process.pid, getattr(signal, what))
    elif kind == "resize":
        resize(*what.split("x"))
    elif kind == "hangup":
        hung_up = True
        os.close(slave)
        os.close(master)


deadline = time.monotonic() + 60
due = None
while time.monotonic() < deadline:
    ready = []
    if hung_up:
        time.sleep(0.05)
    else:
        ready, _, _ = select.select([master], [], [], 0.02)
    if ready:
        drawn += os.read(master, 65536)
    if steps and due is None and text.encode() in drawn:
        due = time.monotonic() + steps[0][0]
    while steps and due is not None and time.monotonic() >= due:
        marks.append(len(drawn))
        act(steps.pop(0)[1])
        due = due + steps[0][0] if steps else None
    if not ready and process.poll() is not None:
        break
else:
    process.kill()

code = process.wait()
after = None if hung_up else termios.tcgetattr(slave)
print(
    json.dumps(
        {
            "code": code,
            "acted": not steps,
            "marks": marks,
            "settings_kept": before == after,
            "entered": b"\x1b[?1049h" in drawn,
            "left": drawn.rfind(b"\x1b[?1049l") > drawn.rfind(b"\x1b[?1049h"),
            "cursor": drawn.rfind(b"\x1b[?25h") >= drawn.rfind(b"\x1b[?25l"),
            "drawn": drawn.decode("utf-8", "replace"),
        }
    )
)
