"""The statistics of comparisons by scipy and numpy: JSON in, JSON out.

{"t": [[p, df]…], "p": […], "one": […], "two": […]}: quantiles of t, Holm's adjustment, A12.
{"cells": [[[…]…], [[…]…]], "block": b}: ln ratio of the medians, and its standard error by a circular
bootstrap over cells in blocks of b, the same on both sides.
"""

import json
import sys

import numpy
from scipy import stats

given = json.load(sys.stdin)
told = {}
if "t" in given:
    told["t"] = [stats.t.ppf(p, df) for p, df in given["t"]]
    p = numpy.array(given["p"])
    order = numpy.argsort(p)
    stepped = numpy.maximum.accumulate(p[order] * numpy.arange(len(p), 0, -1))
    adjusted = numpy.empty(len(p))
    adjusted[order] = numpy.minimum(stepped, 1)
    told["holm"] = adjusted.tolist()
    one, two = given["one"], given["two"]
    told["a12"] = stats.mannwhitneyu(two, one).statistic / (len(one) * len(two))
if "cells" in given:
    sides = [numpy.array(side) for side in given["cells"]]
    cells = len(sides[0])
    random = numpy.random.default_rng(1)

    def effect(which):
        medians = [
            numpy.quantile(side[which].ravel(), 0.5, method="inverted_cdf") for side in sides
        ]
        return float(numpy.log(medians[1] / medians[0]))

    told["effect"] = effect(numpy.arange(cells))
    effects = []
    for _ in range(4000):
        starts = random.integers(0, cells, -(-cells // given["block"]))
        which = (starts[:, None] + numpy.arange(given["block"])).ravel()[:cells] % cells
        effects.append(effect(which))
    told["error"] = float(numpy.std(effects, ddof=1))
json.dump(told, sys.stdout)
