#!/usr/bin/env python3
"""promise.py --build DIR [OPTIONS] - does what is called verified hold? One JSON object a line for every figure.

On each device: a profile, searches with random limits, then every verified answer measured afresh, long after and with many
repeats, by jobs that its search knows nothing of. It holds if the median over all blocks, corrected by the anchor, is within
the limit; raw times stand beside it with the host's drift, the anchor's time over its reference. What the caution costs is
the predicted accuracy that the best network known to hold the limit has more: any that was measured in the whole run.
Run by tests/bench/run promise; a device is --device NAME='ARGUMENTS OF tailor-agent'.
"""
import argparse
import json
import math
import os
import random
import shlex
import statistics
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "system"))

import tailor

BENCH = "promise"
ROUNDS_OF_A_VISIT = 16


def report(options, device, metric, value, unit):
    value = None if value is None or math.isnan(value) else round(value, 4)
    print(json.dumps({"bench": BENCH, "case": device, "metric": metric, "value": value, "unit": unit, "threads": 1,
                      "seed": options.seed, "peer": None, "peer_value": None, "ratio": None}), flush=True)


def say(text):
    print(text, file=sys.stderr, flush=True)


def profiled(link, options, device):
    link.post("/jobs", {"kind": "profile", "device": device, "space": options.space})
    started = time.monotonic()
    model = tailor.until(lambda: link.get(f"/devices/{device}")["models"], options.patience, f"a model of {device}")[0]
    report(options, device, "profile", time.monotonic() - started, "s")
    report(options, device, "held-out error", model["mape"], "%")


def search_body(options, device, limit, seed):
    return {"space": options.space, "device": device, "objective": {"maximize": "accuracy"},
            "constraints": [{"metric": "latency_ms", "max": limit}], "controller": {"seed": seed}}


def limits_of(link, options, device, random_numbers):
    """Log-uniform over the inner nine tenths of what the device reaches."""
    refused = link.send("POST", "/search", search_body(options, device, 1e-6, 1))
    ends = refused.json["ranges"]["latency_ms"]
    return [ends["min"] * (ends["max"] / ends["min"]) ** random_numbers.uniform(0.05, 0.95)
            for _ in range(options.searches)]


def afresh(link, options, device, answer):
    """The visits of a verified answer, made now."""
    order = link.post("/jobs", {"kind": "measure", "device": device, "candidate": answer["candidate"],
                                "visits": options.visits})
    wanted = set(order["jobs"])

    def ended():
        return all(job["state"] in ("done", "failed") for job in link.items(f"/jobs?device={device}")
                   if job["id"] in wanted)
    tailor.until(ended, options.patience, f"{options.visits} visits to {device}")
    rows = link.items(f"/measurements?subject={order['subject']}&device={device}")
    return [link.get(f"/measurements/{row['id']}") for row in rows if row["job"] in wanted]


def block_ratios(visit):
    """Each block's median over the mean of the medians of the anchor blocks beside it."""
    anchors = [statistics.median(block) for block in visit["body"]["anchor_ns"]]
    items = [statistics.median(block) for block in visit["body"]["item_ns"]]
    return [item / ((before + after) / 2) for item, before, after in zip(items, anchors, anchors[1:])]


def known_networks(link, device, searches):
    """(measured ms, accuracy) of every network that was measured for a search."""
    known = []
    for search in searches:
        for candidate in link.items(f"/search/{search['id']}/candidates"):
            latency, accuracy = (candidate["metrics"].get(name) for name in ("latency_ms", "accuracy"))
            if latency and latency["kind"] == "measured":
                known.append((latency["value"], accuracy["value"]))
    return known


def bench_device(options, house, server, device, arguments):
    link = server.link()
    agent = house.agent(server, device, *arguments)
    tailor.until(lambda: any(d["name"] == device and d["online"] for d in link.items("/devices")), 60, "registered")
    profiled(link, options, device)
    random_numbers = random.Random(options.seed)
    searches, started = [], time.monotonic()
    for i, limit in enumerate(limits_of(link, options, device, random_numbers)):
        found = link.search(search_body(options, device, limit, options.seed + i), seconds=options.patience)
        found["limit"] = limit
        searches.append(found)
        say(f"{device}: search {i + 1} of {options.searches}, {limit:.3f} ms: {found['outcome']}, {found['message']}")
    report(options, device, "a search, mean", (time.monotonic() - started) / options.searches, "s")
    verified = [search for search in searches if search["outcome"] == "verified"]
    report(options, device, "verified", len(verified), f"of {options.searches}")
    report(options, device, "verified in the first round", sum(search["round"] == 1 for search in verified),
           f"of {options.searches}")
    judge(options, link, device, verified, known_networks(link, device, searches))
    agent.end(15, 30)


def judge(options, link, device, verified, known):
    reference = link.get(f"/devices/{device}")["anchor_reference_ms"]
    held, raw_held, margins, raw_margins, drifts, costs = 0, 0, [], [], [], []
    for search in verified:
        visits = afresh(link, options, device, search["answer"])
        corrected = statistics.median([ratio for visit in visits for ratio in block_ratios(visit)]) * reference
        raw = statistics.median([visit["median_ms"] for visit in visits])
        drift = statistics.median([visit["anchor_ms"] for visit in visits]) / reference
        runs = sum(visit["summary"]["runs"] for visit in visits)
        limit, accuracy = search["limit"], search["answer"]["metrics"]["accuracy"]["value"]
        held += corrected <= limit
        raw_held += raw <= limit
        margins.append(100 * (corrected / limit - 1))
        raw_margins.append(100 * (raw / limit - 1))
        drifts.append(drift)
        costs.append(max([0] + [better - accuracy for ms, better in known if ms <= limit]))
        say(f"{device}: limit {limit:.3f} ms, afresh {corrected:.3f} ms corrected, {raw:.3f} ms raw over {runs} runs, "
            f"host at {drift:.2f}")
    if not verified:
        return
    report(options, device, "hold afresh, corrected", held, f"of {len(verified)}")
    report(options, device, "hold afresh, raw", raw_held, f"of {len(verified)}")
    report(options, device, "corrected over limit, median", statistics.median(margins), "%")
    report(options, device, "corrected over limit, worst", max(margins), "%")
    report(options, device, "raw over limit, worst", max(raw_margins), "%")
    report(options, device, "host's drift meanwhile, median", statistics.median(drifts), "x")
    report(options, device, "caution costs, mean", statistics.mean(costs), "points")
    report(options, device, "caution costs, worst", max(costs), "points")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", required=True)
    parser.add_argument("--space", default="cifar-mbv3")
    parser.add_argument("--device", action="append", metavar="NAME=AGENT ARGUMENTS")
    parser.add_argument("--searches", type=int, default=30)
    parser.add_argument("--repeats", type=int, default=200, help="of each verified answer, at least")
    parser.add_argument("--patience", type=float, default=900, metavar="S", help="for one search or profile")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    options.visits = max(2, math.ceil(options.repeats / (3 * ROUNDS_OF_A_VISIT)))  # a block has three runs at least
    house = tailor.House(options.build, None)
    try:
        server = house.server("promise")
        for device in options.device or ["native="]:
            name, arguments = device.split("=", 1)
            bench_device(options, house, server, name, shlex.split(arguments))
    except BaseException:
        house.tell()
        raise
    finally:
        house.close()


if __name__ == "__main__":
    main()
