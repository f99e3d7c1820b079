"""Runs a command on a terminal of its own, types keys, and writes what is on the screen then as SVG.

terminal_picture.py COLUMNSxROWS OUT.svg STEPS COMMAND...
STEPS is a list as in `text:left 6,key:2,picture`: `text:X` waits until X is on the screen, `wait:SECONDS` waits,
`key:X` types X, `picture` draws. After the last step the command is ended by Ctrl-C.
"""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from html import escape
from pathlib import Path

import pyte

CELL = (8.4, 17)
MARGIN = 12
BACKGROUND = "#15181c"
INK = {"text": "#d6d9dd", "faint": "#858b93"}
# Of a cell, from the bottom; blocks are drawn, since no two fonts have the same.
BLOCKS = {sign: eighths / 8 for eighths, sign in enumerate("▁▂▃▄▅▆▇█", start=1)}
PATIENCE_S = 60


class Terminal:
    def __init__(self, columns, rows, command):
        self.screen = pyte.Screen(columns, rows)
        self.stream = pyte.ByteStream(self.screen)
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        environment = dict(os.environ, TERM="xterm-256color", LC_ALL="C.UTF-8")
        environment.pop("NO_COLOR", None)
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True
        )
        os.close(slave)

    def read(self, seconds, until=lambda: False):
        """Takes what is drawn for so long; whether `until` came true."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if select.select([self.master], [], [], 0.05)[0]:
                try:
                    drawn = os.read(self.master, 65536)
                except OSError:
                    return until()
                # pyte knows no faint text: italics, which nothing here has, stand for it.
                drawn = drawn.replace(b"\x1b[2m", b"\x1b[3m").replace(b"\x1b[22m", b"\x1b[22;23m")
                self.stream.feed(drawn)
            if until():
                return True
        return False

    def shows(self, text):
        return any(text in line for line in self.screen.display)

    def type(self, keys):
        os.write(self.master, keys.encode())

    def end(self):
        self.type("\x03")
        self.read(1.0)
        self.type("\x03")
        self.read(PATIENCE_S, lambda: self.process.poll() is not None)
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


def ink(cell):
    """The colours of a cell's sign and of what is behind it."""
    front = INK["faint" if cell.italics else "text"] if cell.fg == "default" else f"#{cell.fg}"
    return (BACKGROUND, front) if cell.reverse else (front, None)


def runs(line, columns):
    """Cells of one look that stand together: where they begin, their text, one of the cells."""
    run = None
    for x in range(columns):
        cell = line[x]
        look = (ink(cell), cell.bold, cell.data in BLOCKS or cell.data == "░")
        if run and run[3] == look and not look[2]:
            run[1] += cell.data
            continue
        if run:
            yield run[:3]
        run = [x, cell.data, cell, look]
    if run:
        yield run[:3]


def svg(screen):
    (across, down), out = CELL, []
    width, height = screen.columns * across + 2 * MARGIN, screen.lines * down + 2 * MARGIN
    for y in range(screen.lines):
        top = MARGIN + y * down
        for x, text, cell in runs(screen.buffer[y], screen.columns):
            left, (front, behind) = MARGIN + x * across, ink(cell)
            if behind:
                size = f'width="{len(text) * across:.1f}" height="{down}"'
                out.append(f'<rect x="{left:.1f}" y="{top}" {size} fill="{behind}"/>')
            if text in BLOCKS or text == "░":
                part = BLOCKS.get(text, 1.0) * down
                faint = ' opacity="0.25"' if text == "░" else ""
                place = f'x="{left:.1f}" y="{top + down - part:.1f}" width="{across + 0.3:.1f}"'
                out.append(f'<rect {place} height="{part:.1f}" fill="{front}"{faint}/>')
            else:
                bold = ' font-weight="bold"' if cell.bold else ""
                # Runs of spaces are not kept in SVG: what they part stands by itself.
                for words in re.finditer(r"\S+(?: \S+)*", text):
                    place = f'x="{left + words.start() * across:.1f}" y="{top + down * 0.76:.1f}"'
                    length = f'textLength="{len(words[0]) * across:.1f}" lengthAdjust="spacingAndGlyphs"'
                    out.append(f'<text {place} {length} fill="{front}"{bold}>{escape(words[0])}</text>')
    font = "ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
    head += f'font-family="{font}" font-size="14" shape-rendering="crispEdges">'
    frame = f'<rect width="100%" height="100%" rx="8" fill="{BACKGROUND}"/>'
    return "\n".join([head, frame, *out, "</svg>", ""])


def main():
    size, out, steps, *command = sys.argv[1:]
    columns, rows = map(int, size.split("x"))
    terminal = Terminal(columns, rows, command)
    try:
        for step in steps.split(","):
            kind, _, what = step.partition(":")
            if kind == "text" and not terminal.read(PATIENCE_S, lambda: terminal.shows(what)):
                sys.exit(f"{what!r} never came:\n" + "\n".join(terminal.screen.display))
            elif kind == "wait":
                terminal.read(float(what))
            elif kind == "key":
                terminal.type(what)
                terminal.read(0.6)
            elif kind == "picture":
                Path(out).write_text(svg(terminal.screen), encoding="utf-8")
    finally:
        terminal.end()


main()
