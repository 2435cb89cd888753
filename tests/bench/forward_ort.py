#!/usr/bin/env python3
"""forward_ort.py --build DIR [--rounds N]: forwards of ours beside onnxruntime's (npm's onnxruntime-node), in turn.

OFA-MobileNetV3 w1.0, smallest, medium and largest sub-network: batch 1 at 224 and 160 pixels on one and two threads, and
batch 32 at 224 on two. Both run the file that `tailor export` writes, batch norm folded. A round runs our program, then
onnxruntime, each taking its best of some runs; the medians of the rounds are compared. Says by name what it lacks.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "onnx"))
from ort import install  # noqa: E402

CASES = [(3, 3, 2), (5, 4, 3), (7, 6, 4)]
SETTINGS = [(1, 224, 1), (1, 224, 2), (1, 160, 1), (1, 160, 2), (32, 224, 2)]  # batch, side, threads


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    parser.add_argument("--rounds", type=int, default=7)
    return parser.parse_args()


def run(*command, **more):
    return subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True, **more).stdout


def export(options, case, side, folder):
    kernel, expand, depth = case
    supernet, arch = os.path.join(folder, "supernet.safetensors"), os.path.join(folder, "arch.json")
    model = os.path.join(folder, f"k{kernel}e{expand}d{depth}@{side}.onnx")
    if not os.path.exists(supernet):
        run(f"{options.build}/tests/onnx/make_supernet", "ofa-mbv3-w1.0", supernet)
    with open(arch, "w", encoding="ascii") as file:
        json.dump({"ks": [kernel] * 20, "e": [expand] * 20, "d": [depth] * 5, "r": [side]}, file)
    run(f"{options.build}/tailor", "export", "--supernet", supernet, "--architecture", arch, "--output", model)
    return model


def ours(options, case, batch, side, threads):
    lines = run(f"{options.build}/tests/bench/bench_forward", "--rounds", 3, "--batch", batch, "--resolution", side,
                "--threads", threads, ":".join(map(str, case))).splitlines()
    return next(line["value"] for line in map(json.loads, lines) if line["metric"] == "latency_ms")


def theirs(ort, model, batch, side, threads):
    runs = 10 if batch == 1 else 2
    return float(run("node", os.path.join(HERE, "forward_ort.mjs"), model, threads, runs, batch, 3, side, side,
                     env=dict(os.environ, TAILOR_ORT=ort)))


def report(case, metric, unit, value, threads, peer, peer_value):
    print(json.dumps({"bench": "forward_ort", "case": case, "metric": metric, "value": value, "unit": unit,
                      "threads": threads, "seed": 1, "peer": peer, "peer_value": peer_value,
                      "ratio": value / peer_value}), flush=True)


def main():
    options = parse()
    ort = install(os.path.join(options.build, "tests", "onnx", "onnxruntime"))
    if ort is None:
        sys.exit("forward_ort: onnxruntime-node is not here")
    alone = {}  # images a second of batch 1 at 224 on two threads
    with tempfile.TemporaryDirectory() as folder:
        for batch, side, threads in SETTINGS:
            for case in CASES:
                model, mine, other = export(options, case, side, folder), [], []
                for _ in range(options.rounds):
                    mine.append(ours(options, case, batch, side, threads))
                    other.append(theirs(ort, model, batch, side, threads))
                name = "k%d e%d d%d at %d, batch %d" % (*case, side, batch)
                median = statistics.median(mine)
                report(name, "latency", "ms", median, threads, "onnxruntime", statistics.median(other))
                if (batch, side, threads) == (1, 224, 2):
                    alone[case] = 1000 / median
                if batch > 1:
                    report(name, "throughput", "images/s", batch * 1000 / median, threads, "batch 1", alone[case])


main()
