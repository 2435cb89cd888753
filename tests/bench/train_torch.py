#!/usr/bin/env python3
"""train_torch.py --build DIR [--rounds N]: training steps of ours beside PyTorch's (Debian's python3-torch), in turn.

OFA-MobileNetV3 w1.0 at 128 pixels, batch 32, two threads; smallest, medium and largest sub-network. A round runs our
program, then PyTorch, for each case; the medians of the rounds are compared. Says by name what it lacks.
"""
import argparse
import json
import resource
import statistics
import subprocess
import sys
import time

CASES = [(3, 3, 2), (5, 4, 3), (7, 6, 4)]
STAGES = [(24, 2, False, False), (40, 2, True, False), (80, 2, False, True), (112, 1, True, True), (160, 2, True, True)]


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--resolution", type=int, default=128)
    return parser.parse_args()


def divisible(v):
    n = max(8, int(v + 4) // 8 * 8)
    return n + 8 if n < 0.9 * v else n


def network(torch, kernel, expand, depth):
    nn = torch.nn

    def conv(ci, co, k, stride, act, groups=1):
        layers = [nn.Conv2d(ci, co, k, stride, k // 2, groups=groups, bias=False), nn.BatchNorm2d(co)]
        return nn.Sequential(*layers, *([act()] if act else []))

    class Squeeze(nn.Module):
        def __init__(self, c):
            super().__init__()
            hidden = divisible(c // 4)
            self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(c, hidden, 1), nn.ReLU(inplace=True),
                                      nn.Conv2d(hidden, c, 1), nn.Hardsigmoid(inplace=True))

        def forward(self, x):
            return x * self.gate(x)

    class Block(nn.Module):
        def __init__(self, ci, co, e, k, stride, se, act):
            super().__init__()
            mid = ci if e == 1 else divisible(ci * e)
            layers = [] if e == 1 else [conv(ci, mid, 1, 1, act)]
            layers.append(conv(mid, mid, k, stride, act, mid))
            layers += [Squeeze(mid)] if se else []
            layers.append(conv(mid, co, 1, 1, None))
            self.body, self.residual = nn.Sequential(*layers), stride == 1 and ci == co

        def forward(self, x):
            return x + self.body(x) if self.residual else self.body(x)

    def relu():
        return nn.ReLU(inplace=True)

    def hswish():
        return nn.Hardswish(inplace=True)

    layers, c = [conv(3, 16, 3, 2, hswish), Block(16, 16, 1, 3, 1, False, relu)], 16
    for width, stride, se, hs in STAGES:
        for slot in range(depth):
            layers.append(Block(c, width, expand, kernel, stride if slot == 0 else 1, se, hswish if hs else relu))
            c = width
    layers += [conv(c, 960, 1, 1, hswish), nn.AdaptiveAvgPool2d(1), nn.Conv2d(960, 1280, 1, bias=False), hswish(),
               nn.Flatten(), nn.Linear(1280, 1000)]
    return nn.Sequential(*layers)


def torch_step(torch, model, optimizer, x, y):
    begun = time.perf_counter()
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(model(x), y, label_smoothing=0.1).backward()
    optimizer.step()
    return (time.perf_counter() - begun) * 1000


def ours(options, case):
    command = [f"{options.build}/tests/bench/bench_train", "--rounds", "3", "--threads", str(options.threads), "--batch",
               str(options.batch), "--resolution", str(options.resolution), ":".join(map(str, case))]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return next(r["value"] for r in map(json.loads, lines) if r["metric"] == "step")


def report(case, metric, unit, value, peer, peer_value, options):
    print(json.dumps({"bench": "train_torch", "case": "k%d e%d d%d" % case, "metric": metric, "value": value, "unit": unit,
                      "threads": options.threads, "seed": 1, "peer": peer, "peer_value": peer_value,
                      "ratio": value / peer_value if peer_value else None}), flush=True)


def main():
    options = parse()
    try:
        import torch
    except ImportError:
        sys.exit("train_torch: python3-torch is not here")
    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    x = torch.randn(options.batch, 3, options.resolution, options.resolution)
    y = torch.randint(0, 1000, (options.batch,))
    for case in CASES:
        model = network(torch, *case).train()
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9, nesterov=True)
        mine, theirs = [], []
        torch_step(torch, model, optimizer, x, y)
        for _ in range(options.rounds):
            mine.append(ours(options, case))
            theirs.append(min(torch_step(torch, model, optimizer, x, y) for _ in range(2)))
        report(case, "step", "ms", statistics.median(mine), f"PyTorch {torch.__version__}", statistics.median(theirs), options)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    report(CASES[-1], "PyTorch's peak memory", "MiB", memory, None, 0, options)


main()
