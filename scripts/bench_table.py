"""The table of scripts/bench: each figure with its spread, what stands beside it, and the distance from its aim."""

import re

# What figures shall reach: pattern of the key, bound, whether more is better. Others are there to be watched.
AIMS = [
    (r"idle/mqtt/\d+/client", 2_000, False),
    (r"idle/mqtt/\d+/target", 1_000, False),
    (r"idle/mqtts/\d+/client", 15_000, False),
    (r"idle/http/\d+/client", 20_000, False),
    (r"idle/coap/\d+/client", 3_000, False),
    (r"connect/mqtt/\d+", 15_000, True),
    (r"connect/mqtts/\d+", 2_000, True),
    (r"paced/mqtt", 35_000, True),
    (r"closed/mqtt", 80_000, True),
    (r"closed/coap/piggybacked", 80_000, True),
]

# The floor or peer of a figure: pattern of the key, key of what stands beside it, its name.
BESIDE = [
    (r"idle/mqtts?/(\d+)/client", r"idle/floor/\1", "floor"),
    (r"connect/mqtts?/(\d+)", r"connect/floor/\1", "floor"),
    (r"(paced|closed)/mqtt(/mosquitto)?", r"\1/floor\2", "floor"),
    (r"closed/http", "closed/wrk", "wrk"),
]

# Ratios to what stands beside a figure that are aims themselves.
RATIO_AIMS = {"closed/http": 0.7}

TITLES = {
    "idle": "Memory of an idle connected device, bytes",
    "connect": "Connects (back with credentials, until the end of the run) per CPU-second",
    "provision": "Devices provisioned per CPU-second",
    "paced": "Messages per CPU-second, 10,000 devices each every 2 s",
    "closed": "Messages per CPU-second, saturated, 1,000 connections",
}


def number(value):
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def words(key):
    """`idle/mqtt/10000/client` → `mqtt, 10,000, client`."""
    parts = key.split("/")[1:]
    return ", ".join(f"{int(part):,}" if part.isdigit() else part for part in parts)


def beside(figures, key):
    for pattern, other, name in BESIDE:
        found = re.fullmatch(pattern, key)
        if found:
            value = figures.median(found.expand(other))
            if value:
                return value, name
    return None


def aim(key, median, peer):
    if key in RATIO_AIMS and peer:
        bound = RATIO_AIMS[key]
        return f"≥ {bound} of {peer[1]}", distance(median / peer[0], bound, True)
    for pattern, bound, more in AIMS:
        if re.fullmatch(pattern, key):
            return f"{'≥' if more else '≤'} {bound:,}", distance(median, bound, more)
    return "", ""


def distance(value, bound, more):
    """How much better or worse than the bound, as a share of it."""
    share = value / bound - 1 if more else 1 - value / bound
    return f"{'reached' if share >= 0 else '**short**'}, {share:+.0%}"


def table(figures):
    text = ""
    for kind, title in TITLES.items():
        keys = [key for key in figures.values if key.split("/")[0] == kind]
        # What came out in one round needs no word for the other.
        skipped = [
            key for key in figures.skipped if key.split("/")[0] == kind and not any(k.startswith(key) for k in keys)
        ]
        if not keys and not skipped:
            continue
        text += f"### {title}\n\n| | median | spread | beside it | ratio | aim | distance |\n|---|--:|--:|--:|--:|--:|---|\n"
        for key in keys:
            values, median, peer = figures.values[key], figures.median(key), beside(figures, key)
            bound, far = aim(key, median, peer)
            other = f"{peer[1]} {number(peer[0])}" if peer else ""
            ratio = f"{median / peer[0]:.2f}" if peer else ""
            spread = f"{number(min(values))} – {number(max(values))}"
            text += f"| {words(key)} | {number(median)} | {spread} | {other} | {ratio} | {bound} | {far} |\n"
        for key in skipped:
            text += f"| {words(key)} | not measured: {figures.skipped[key]} | | | | | |\n"
        text += "\n"
    return text.rstrip()
