"""The cases of scripts/bench: each starts what it needs, adds its figures, and ends it."""

import csv
import json
import random
import signal
import statistics
import string
import subprocess
import time

from bench_processes import BINARY, FLOOR, ROOT, Process, Refused, fleetcall_target, mosquitto

WORK = ROOT / "target/bench"
PACED_DEVICES, PACED_MS = 10_000, 2000
CLOSED_DEVICES = 1_000
WINDOW_S = 6


class Figures:
    """Values by key, in the order in which they came, and the words for what could not be measured."""

    def __init__(self):
        self.values, self.skipped = {}, {}

    def add(self, key, value):
        self.values.setdefault(key, []).append(value)
        print(f"  {key:32} {value:12,.0f}" if value >= 100 else f"  {key:32} {value:12.3f}", flush=True)

    def median(self, key):
        return statistics.median(self.values[key]) if key in self.values else None

    def attempt(self, key, measure, *args):
        try:
            measure(*args)
        except Refused as word:
            self.skipped[key] = str(word)
            print(f"  {key:32} skipped: {word}", flush=True)


def fleet(size):
    """A list of devices with tokens of their own: the server's list, the client's and the floor's."""
    path = WORK / f"fleet-{size}.csv"
    draw = random.Random(size)
    columns = "name,credentials_type,access_token,client_id,username,password,certificate_file,key_file".split(",")
    with path.open("w") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(columns)
        for n in range(size):
            token = "".join(draw.choices(string.ascii_letters + string.digits, k=20))
            rows.writerow([f"bench-{n:07}", "ACCESS_TOKEN", token, "", "", "", "", ""])
    return path


def scenario(name, transport, address, devices, arrival, telemetry=""):
    path = WORK / f"{name}.toml"
    authority = 'ca = "ca.pem"\n' if transport.endswith("s") else ""
    server = f'{transport} = "{address}"' if address else "embedded = true"
    path.write_text(f"""name = "{name}"
seed = 1
[target]
{server}
{authority}[profile]
provision_key = "fleetcall-provision-key"
provision_secret = "fleetcall-provision-secret"
[devices]
{devices}
[[cohort]]
name = "all"
transport = "{transport}"
[arrival]
model = "closed"
{arrival}
{telemetry}
""")
    return path


def client(path, *more):
    out = WORK / path.stem
    subprocess.run(["rm", "-rf", out], check=True)
    run = Process(BINARY, "run", path, "--ui", "none", "--allow-invalid", "--out", out, *more, cwd=WORK)
    run.out = out
    return run


def connected(size, transport, address, telemetry, name):
    """A client whose devices come back with their credentials, and stay."""
    listed = fleet(size)
    path = scenario(
        name, transport, address, f'list = "{listed}"',
        staying(size), f"[telemetry]\n{telemetry}",
    )
    return client(path, "--credentials", listed)


def staying(size):
    """Everybody comes as fast as can be, and stays until the run is interrupted."""
    at_once = min(size, 200)
    return f'stages = [{{ count = {size}, concurrency = {at_once} }}, {{ duration = "10min", concurrency = {at_once} }}]'


def result(run, expected, number=signal.SIGINT):
    """The client's CPU time; a run in which a device failed is no measurement."""
    used = run.end(number)
    if run.child.returncode not in (0, 3, 130):
        raise Refused(f"exit code {run.child.returncode}: {run.output[1].strip()[:200]}")
    summary = json.loads((run.out / "summary.json").read_text())
    lost, good = summary["telemetry"]["lost"], summary["devices"]["provisioned"]
    if lost or good != expected or summary["errors"]:
        raise Refused(f"{good} of {expected} devices, {lost} messages lost, errors {summary['errors']}")
    return used


def idle(figures, transport, sizes):
    """Memory and connects, over what a fleet of one takes."""
    alone = idle_once(1, transport)
    for size in sizes:
        key = f"{transport}/{size}"

        def measure(key, size):
            seen = idle_once(size, transport)
            figures.add(f"idle/{key}/client", (seen["client"] - alone["client"]) / (size - 1))
            figures.add(f"idle/{key}/target", seen["target"] / size)
            figures.add(f"connect/{key}", per_second(size - 1, seen["cpu_s"] - alone["cpu_s"]))
            figures.add(f"connect/{key}/target", per_second(size, seen["target_cpu_s"]))

        figures.attempt(f"idle/{key}", measure, key, size)


def idle_once(size, transport):
    """Client and server with so many idle devices: what the client has and uses, what the server got on top."""
    with fleetcall_target([transport], fleet(size)) as (server, addresses):
        before, begun = server.memory(), server.cpu_s()
        # Over HTTP and CoAP there is nothing to keep before the first message.
        spread = "interval" if transport.startswith("mqtt") else "none"
        telemetry = f'interval = "300d"\nspread = "{spread}"'
        with connected(size, transport, addresses[transport], telemetry, f"idle-{transport}-{size}") as run:
            run.await_sockets(size)
            seen = {"client": run.memory(), "target": server.memory() - before}
            seen["target_cpu_s"] = server.cpu_s() - begun
            seen["cpu_s"] = result(run, size)
            return seen


def idle_split(figures, size):
    """Memory of a fleet beyond one process's files: client and server split themselves. Here it is all memory of each
    end's processes, their lists with it, and the devices are provisioned in the run."""

    def measure():
        path = scenario(
            f"idle-mqtt-{size}", "mqtt", None, f"generate = {{ count = {size} }}", staying(size),
            '[telemetry]\ninterval = "300d"\nspread = "interval"',
        )
        with client(path) as run:
            run.await_sockets(2 * size, every_s=2)
            server = run.memory("target")
            figures.add(f"idle/mqtt/{size}/client", (run.memory() - server) / size)
            figures.add(f"idle/mqtt/{size}/target", server / size)
            result(run, size)

    figures.attempt(f"idle/mqtt/{size}", measure)


def floor_idle(figures, sizes):
    """The same connections on bare epoll."""
    alone = floor_idle_once(1)
    for size in sizes:

        def measure(size):
            memory, used = floor_idle_once(size)
            figures.add(f"idle/floor/{size}", (memory - alone[0]) / (size - 1))
            figures.add(f"connect/floor/{size}", per_second(size - 1, used - alone[1]))

        figures.attempt(f"idle/floor/{size}", measure, size)


def floor_idle_once(size):
    with fleetcall_target(["mqtt"], fleet(size)) as (_, addresses):
        with Process(FLOOR, addresses["mqtt"], fleet(size), "idle", stdin=subprocess.PIPE) as floor:
            floor.line()
            memory = floor.memory()
            floor.child.stdin.close()
            return memory, floor.end(0)


def per_second(count, used):
    if used < 0.02:
        raise Refused(f"{count} took {used:.3f} CPU-seconds: too little to tell")
    return count / used


def telemetry(figures, key, size, transport, server, address, text):
    """Messages per CPU-second of client and server, in a window in the middle of a run."""
    with connected(size, transport, address, text, key.replace("/", "-")) as run:
        run.await_sockets(size)
        begin, used, served = time.monotonic(), run.cpu_s(), server.cpu_s()
        time.sleep(WINDOW_S)
        length, used, served = time.monotonic() - begin, run.cpu_s() - used, server.cpu_s() - served
        result(run, size)
        count = acked(run.out, length)
        figures.add(key, per_second(count, used))
        figures.add(f"{key}/server", per_second(count, served))
        figures.add(f"{key}/rate", count / length)


def acked(out, length):
    """Messages acknowledged in so many seconds before the end was asked for, by the run's own time line."""
    end, total, points = None, 0, [(0.0, 0)]
    for line in map(json.loads, (out / "timeline.jsonl").open()):
        if line.get("kind") == "winding_down":
            end = line["at_s"]
        elif line["line"] == "interval":
            total += line["telemetry"]["acked"]
            points.append((line["to_s"], total))

    def at(moment):
        for (t0, n0), (t1, n1) in zip(points, points[1:]):
            if t0 <= moment <= t1:
                return n0 + (n1 - n0) * (moment - t0) / (t1 - t0)
        raise Refused("the time line is too short")

    # The last second would be the one in which devices stop: what comes before it stands for it.
    return (at(end - 1) - at(end - length)) * length / (length - 1)


def floor_messages(figures, key, size, address, *what):
    with Process(FLOOR, address, fleet(size), *what) as floor:
        before = floor.line()["cpu_s"]
        after = floor.line()
        figures.add(key, per_second(after["published"], after["cpu_s"] - before))


def messages(figures):
    """Paced and saturated messages: over MQTT to both servers, each beside the floor; over HTTP beside wrk; over CoAP."""
    closed = 'interval = "10ms"'
    paced = f'interval = "{PACED_MS}ms"\nspread = "interval"'
    loads = [
        ("paced", PACED_DEVICES, paced, ["paced", WINDOW_S, PACED_MS]),
        ("closed", CLOSED_DEVICES, closed, ["closed", WINDOW_S]),
    ]
    for end, serve in [("", lambda size: fleetcall_target(["mqtt"], fleet(size))), ("/mosquitto", lambda _: mosquitto(WORK))]:
        for load, size, text, floor in loads:
            with serve(size) as (server, addresses):
                key, at = f"{load}/mqtt{end}", addresses["mqtt"]
                figures.attempt(key, telemetry, figures, key, size, "mqtt", server, at, text)
                key = f"{load}/floor{end}"
                figures.attempt(key, floor_messages, figures, key, size, at, *floor)
    # Up to release 3.6.1 a POST over CoAP is answered in its acknowledgement; later ones send the answer apart, which
    # the device has to acknowledge: twice the datagrams.
    for key, transport, release in [
        ("closed/http", "http", "4.3"),
        ("closed/coap", "coap", "4.3"),
        ("closed/coap/piggybacked", "coap", "3.5"),
    ]:
        with fleetcall_target([transport], fleet(CLOSED_DEVICES), release) as (server, addresses):
            at = addresses[transport]
            figures.attempt(key, telemetry, figures, key, CLOSED_DEVICES, transport, server, at, closed)
            if transport == "http":
                figures.attempt("closed/wrk", wrk, figures, server, at)


def wrk(figures, server, address):
    """The same POST over as many connections, by wrk."""
    with fleet(CLOSED_DEVICES).open() as file:
        token = next(csv.DictReader(file))["access_token"]
    script = WORK / "post.lua"
    script.write_text(
        'wrk.method = "POST"\nwrk.headers["Content-Type"] = "application/json"\n'
        'wrk.body = [[{"temperature":21.5}]]\n'
    )
    url = f"http://{address}/api/v1/{token}/telemetry"
    served = server.cpu_s()
    with Process("wrk", "-t2", f"-c{CLOSED_DEVICES}", f"-d{WINDOW_S}s", "-s", script, url) as process:
        used = process.end(0)
        text = process.output[0]
    if "Non-2xx" in text or " requests in" not in text:
        raise Refused(f"wrk: {(text + process.output[1]).strip()[-200:]}")
    count = int(text.partition(" requests in")[0].split()[-1])
    figures.add("closed/wrk", per_second(count, used))
    figures.add("closed/wrk/server", per_second(count, server.cpu_s() - served))


def provision(figures, transport, sizes):
    """Devices provisioned per CPU-second, over what a fleet of one takes."""
    alone, _ = provision_once(1, transport)
    for size in sizes:
        key = f"provision/{transport}/{size}"

        def measure(key, size):
            used, served = provision_once(size, transport)
            figures.add(key, per_second(size - 1, used - alone))
            figures.add(f"{key}/target", per_second(size, served))

        figures.attempt(key, measure, key, size)


def provision_once(size, transport):
    with fleetcall_target([transport]) as (server, addresses):
        begun = server.cpu_s()
        path = scenario(
            f"provision-{transport}-{size}", transport, addresses[transport], f"generate = {{ count = {size} }}",
            f"stages = [{{ count = {size}, concurrency = {min(size, 100)} }}]",
        )
        with client(path) as run:
            used = result(run, size, number=0)
            return used, server.cpu_s() - begun
