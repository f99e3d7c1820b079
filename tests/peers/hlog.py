"""Reads an interval log with HdrHistogram's Python library, which is not ours.

usage: hlog.py FILE
Prints JSON: for each tag how many intervals and samples it has, and figures of their sum.
"""

import json
import sys

from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader

BOUNDS = (1, 3_600_000_000, 3)

reader = HistogramLogReader(sys.argv[1], HdrHistogram(*BOUNDS))
sums, told = {}, {}
while (part := reader.get_next_interval_histogram()) is not None:
    tag = part.get_tag()
    sums.setdefault(tag, HdrHistogram(*BOUNDS)).add(part)
    entry = told.setdefault(tag, {"intervals": 0, "first_ms": part.get_start_time_stamp()})
    entry["intervals"] += 1
    entry["last_ms"] = part.get_end_time_stamp()
for tag, sum in sums.items():
    told[tag]["count"] = sum.get_total_count()
    told[tag]["max"] = sum.get_max_value()
    for name, percent in (("p50", 50), ("p99", 99)):
        # The library rounds to the nearest sample; fleetcall takes the first that covers the share.
        count = sum.get_total_count()
        rank = -(-count * percent // 100)
        told[tag][name] = sum.get_value_at_percentile(100 * rank / count)
print(json.dumps({"start_s": reader.get_start_time_sec(), "tags": told}))
