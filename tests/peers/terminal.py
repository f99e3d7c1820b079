"""Runs a command on a pseudo-terminal, acts once a text is on it, and tells how it was left.

usage: terminal.py COLUMNS ROWS TEXT ACTION COMMAND...
ACTION: `key:X` types X, `signal:NAME` sends a signal, `nothing` waits for the end.
Prints JSON: exit code, whether the line settings are as before, whether the alternate screen was
entered and left, whether the cursor is shown, and all that was drawn.
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
fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", int(rows), int(columns), 0, 0))
before = termios.tcgetattr(slave)
environment = dict(os.environ, TERM="xterm-256color")
process = subprocess.Popen(
    command, stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True
)

drawn = bytearray()
deadline = time.monotonic() + 60
acted = action == "nothing"
while time.monotonic() < deadline:
    ready, _, _ = select.select([master], [], [], 0.1)
    if ready:
        drawn += os.read(master, 65536)
    if not acted and text.encode() in drawn:
        acted = True
        kind, what = action.split(":", 1)
        if kind == "key":
            os.write(master, what.encode())
        else:
            os.kill(process.pid, getattr(signal, what))
    if not ready and process.poll() is not None:
        break
else:
    process.kill()

code = process.wait()
after = termios.tcgetattr(slave)
print(
    json.dumps(
        {
            "code": code,
            "acted": acted,
            "settings_kept": before == after,
            "entered": b"\x1b[?1049h" in drawn,
            "left": drawn.rfind(b"\x1b[?1049l") > drawn.rfind(b"\x1b[?1049h"),
            "cursor": drawn.rfind(b"\x1b[?25h") >= drawn.rfind(b"\x1b[?25l"),
            "drawn": drawn.decode("utf-8", "replace"),
        }
    )
)
