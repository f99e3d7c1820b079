"""What scripts/bench starts and looks at: processes, with their memory and CPU time as /proc has them."""

import json
import os
import re
import signal
import socket
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BINARY = ROOT / "target/release/fleetcall"
FLOOR = ROOT / "target/release/examples/floor"
PATIENCE_S = 120

# Where Debian keeps Mosquitto.
os.environ["PATH"] += ":/usr/sbin"


class Refused(Exception):
    """The machine, or the program, cannot do this; the message is for the table."""


class Process:
    """A process and all below it. CPU in seconds (user and system), memory in bytes (anonymous: what is mapped from
    files, such as the program, is shared by client and server, and would wander from one to the other)."""

    def __init__(self, *args, cwd=ROOT, stdin=subprocess.DEVNULL):
        self.args = [str(arg) for arg in args]
        self.child = subprocess.Popen(
            self.args, cwd=cwd, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.usage = None

    def pids(self):
        found, todo = [], [self.child.pid]
        while todo:
            pid = todo.pop()
            found.append(pid)
            for task in Path(f"/proc/{pid}/task").glob("*/children"):
                try:
                    todo += [int(below) for below in task.read_text().split()]
                except (FileNotFoundError, ProcessLookupError):
                    pass
        return found

    def cpu_s(self):
        """Of the threads that there are: to the nanosecond, where /proc/PID/stat counts hundredths of a second."""
        total = 0
        for pid in self.pids():
            for task in Path(f"/proc/{pid}/task").glob("*/schedstat"):
                try:
                    total += int(task.read_text().split()[0])
                except (FileNotFoundError, ProcessLookupError):
                    pass
        return total / 1e9

    def memory(self, command=None):
        """Of all its processes, or of those with that command of fleetcall."""
        total = 0
        for pid in self.pids():
            if command and command not in Path(f"/proc/{pid}/cmdline").read_text().split("\0")[1:2]:
                continue
            status = Path(f"/proc/{pid}/status").read_text()
            total += int(re.search(r"^RssAnon:\s+(\d+)", status, re.M)[1]) * 1024
        return total

    def sockets(self):
        total = 0
        for pid in self.pids():
            for link in Path(f"/proc/{pid}/fd").iterdir():
                try:
                    total += os.readlink(link).startswith("socket:")
                except FileNotFoundError:
                    pass
        return total

    def await_sockets(self, wanted, every_s=0.1):
        """Waits until so many sockets are open, and then for what is still said over them."""
        end = time.monotonic() + PATIENCE_S
        while self.sockets() < wanted:
            if os.waitid(os.P_PID, self.child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                self.end(0)
                raise Refused((self.output[1].strip() or "it ended before all were connected").splitlines()[0])
            if time.monotonic() > end:
                raise Refused(f"{self.sockets()} of {wanted} connections after {PATIENCE_S} s")
            time.sleep(every_s)
        time.sleep(2)

    def line(self):
        text = self.child.stdout.readline()
        if not text:
            raise Refused(self.child.stderr.read().strip().splitlines()[0])
        return json.loads(text)

    def end(self, number=signal.SIGINT):
        """Asks it to end, and waits: its CPU time from begin to end, and what it said."""
        if self.usage is None:
            if number:
                self.child.send_signal(number)
            output = self.child.stdout.read(), self.child.stderr.read()
            _, status, usage = os.wait4(self.child.pid, 0)
            self.child.returncode = os.waitstatus_to_exitcode(status)
            self.usage = usage.ru_utime + usage.ru_stime
            self.output = output
        return self.usage

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.usage is None and self.child.poll() is None:
            self.child.kill()
            self.child.wait()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def fleetcall_target(transports, devices=None, release="4.3"):
    """The embedded server as a process of its own, for as long as the block: the process and where it listens."""
    args = ["target", "--ca-out", "ca.pem"] if any(t.endswith("s") for t in transports) else ["target"]
    args += ["--release", release]
    for transport in transports:
        args += [f"--{transport}", "127.0.0.1:0"]
    if devices:
        args += ["--devices", devices]
    with Process(BINARY, *args, cwd=ROOT / "target/bench") as process:
        ready = process.line()
        yield process, {transport: ready[transport] for transport in transports}


@contextmanager
def mosquitto(folder):
    port = free_port()
    config = folder / "mosquitto.conf"
    config.write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\nlog_type error\nuser root\n"
    )
    with Process("mosquitto", "-c", config) as process:
        end = time.monotonic() + 10
        while not listens(port):
            if time.monotonic() > end:
                raise Refused("mosquitto does not listen")
            time.sleep(0.05)
        yield process, {"mqtt": f"127.0.0.1:{port}"}


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def first_line(*command):
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        return (result.stdout + result.stderr).strip().splitlines()[0]
    except (OSError, IndexError):
        return "absent"


def machine():
    """What the figures were measured on and with, as lines of text."""
    cpu = re.search(r"model name\s*:\s*(.*)", Path("/proc/cpuinfo").read_text())
    memory = int(re.search(r"MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text())[1]) / 2**20
    wrk = re.search(r"wrk \S+", first_line("wrk", "-v"))
    return [
        first_line(BINARY, "--version")
        + ", commit " + first_line("git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"),
        first_line("rustc", "--version"),
        f"Linux {os.uname().release}",
        wrk[0] if wrk else "no wrk",
        first_line("mosquitto", "-h"),
        f"{os.cpu_count()} cores ({cpu[1].strip() if cpu else os.uname().machine}), {memory:.1f} GiB",
    ]
