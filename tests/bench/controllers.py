#!/usr/bin/env python3
"""controllers.py [--svg FOLDER] FILE.jsonl...: what bench_search and bench_tables reported, as tables, a test and plots.

A family is a kind of question: OFA's inputs (points below the best that any run of any controller found at that limit),
and, of the tables, regret under a limit and the missing share of the hypervolume. A controller's value for a task is the
mean over its seeds. The test asks for every controller whether it beats auto: exact one-sided Wilcoxon signed-rank over
the tasks of a family at every number of evaluations, Holm-corrected over the controllers; "beats" is p < 0.05.
"""
import argparse
import collections
import json
import math
import os
import statistics

FAMILIES = {
    "ofa": "OFA-MobileNetV3 on a Note 10: points below the best found",
    "nb201-regret": "NAS-Bench-201 under a latency limit: points below the optimum",
    "nb201-front": "NAS-Bench-201, accuracy and latency: share of the hypervolume missing",
    "macro-regret": "NAS-Bench-Macro under a limit: points below the optimum",
    "macro-front": "NAS-Bench-Macro, accuracy and parameters: share of the hypervolume missing",
}
TABLE_COUNTS = {"ofa": (1000, 5000, 20000, 50100)}
COLOURS = ["#d1495b", "#00798c", "#edae49", "#6a4c93", "#66a182", "#2e4057", "#8d96a3", "#b5651d", "#3a86ff", "#9c9c00"]


def read(paths):
    """values[family][controller][evaluations][task] = one number a seed; smaller is better."""
    values = collections.defaultdict(lambda: collections.defaultdict(lambda: collections.defaultdict(lambda: collections.defaultdict(list))))
    rows = []
    for path in paths:
        with open(path, encoding="utf-8") as file:
            rows += [row for row in map(json.loads, file) if "controller" in row]
    best = collections.defaultdict(float)
    for row in rows:
        if row["metric"] == "best":
            best[row["case"]] = max(best[row["case"]], row["value"])
    for row in rows:
        table = "macro" if "mean_acc" in row["case"] else "nb201"
        family, value = {"best": ("ofa", best[row["case"]] - row["value"]), "regret": (table + "-regret", row["value"]),
                         "hypervolume": (table + "-front", 1 - row["value"])}[row["metric"]]
        values[family][row["controller"]][row["evaluations"]][row["case"]].append(value)
    return values


def means(by_task):
    return {task: statistics.mean(seeds) for task, seeds in by_task.items()}


def wilcoxon(differences):
    """The probability that the sum of the ranks of the positive ones is as large or larger by chance."""
    differences = [d for d in differences if d != 0]
    order = sorted(range(len(differences)), key=lambda i: abs(differences[i]))
    ranks = [0.0] * len(order)
    begin = 0
    while begin < len(order):
        end = begin
        while end < len(order) and abs(differences[order[end]]) == abs(differences[order[begin]]):
            end += 1
        for i in range(begin, end):
            ranks[order[i]] = (begin + end + 1) / 2
        begin = end
    seen = sum(r for r, d in zip(ranks, differences) if d > 0)
    ways = collections.Counter({0.0: 1})
    for rank in ranks:
        new = collections.Counter(ways)
        for total, count in ways.items():
            new[total + rank] += count
        ways = new
    return sum(count for total, count in ways.items() if total >= seen - 1e-9) / 2 ** len(ranks)


def beaten(by_controller, evaluations):
    """Controllers that beat auto there, with their corrected p."""
    auto, found = means(by_controller["auto"][evaluations]), []
    for name, by_count in by_controller.items():
        if name != "auto" and evaluations in by_count:
            other = means(by_count[evaluations])
            found.append((wilcoxon([auto[t] - other[t] for t in auto if t in other]), name))
    found.sort()
    corrected, worst = [], 0
    for i, (p, name) in enumerate(found):
        worst = max(worst, min(1, p * (len(found) - i)))
        corrected.append((name, worst))
    return [(name, p) for name, p in corrected if p < 0.05]


def counts_of(family, by_controller):
    there = sorted(set.intersection(*(set(by_count) for by_count in by_controller.values())))
    wanted = TABLE_COUNTS.get(family)
    return there if not wanted else sorted({min(there, key=lambda n, w=w: abs(n - w)) for w in wanted})


def table(family, by_controller):
    counts = counts_of(family, by_controller)
    n_tasks = len(by_controller["auto"][counts[0]])
    n_seeds = max(len(s) for s in by_controller["auto"][counts[0]].values())
    print(f"\n### {FAMILIES[family]}\n\nMean over {n_tasks} tasks and {n_seeds} seeds; in brackets the best and the worst seed's mean.\n")
    print("| controller | " + " | ".join(f"{n:,}" for n in counts) + " |\n|---|" + "---|" * len(counts))
    final = {name: statistics.mean(means(by[counts[-1]]).values()) for name, by in by_controller.items()}
    for name in sorted(final, key=lambda n: (n != "auto", final[n])):
        cells = []
        for n in counts:
            by_task = by_controller[name][n]
            seeds = [statistics.mean(column) for column in zip(*by_task.values())]
            cells.append(f"{statistics.mean(means(by_task).values()):.3g} ({min(seeds):.2g}-{max(seeds):.2g})")
        print(f"| {name} | " + " | ".join(cells) + " |")
    for n in counts:
        winners = beaten(by_controller, n)
        print(f"\nAfter {n:,} evaluations " + (", ".join(f"{w} beats auto (p = {p:.3g})" for w, p in winners) or "none beats auto")
              + ".", end="")
    print()
    if family == "ofa" and "evolution" in by_controller:
        limits(by_controller, counts[-1])


def limits(by_controller, n):
    print("\n| limit | auto: median (worst) | evolution: median (best) | median above median | worst above best |\n|---|---|---|---|---|")
    for task in sorted(by_controller["auto"][n], key=lambda t: float(t.split()[-2])):
        auto, theirs = by_controller["auto"][n][task], by_controller["evolution"][n][task]
        print(f"| {task.split('<= ')[1]} | {-statistics.median(auto):.3f} ({-max(auto):.3f}) | {-statistics.median(theirs):.3f} ({-min(theirs):.3f}) "
              f"| {statistics.median(theirs) - statistics.median(auto):+.3f} | {min(theirs) - max(auto):+.3f} |")


def plot(family, by_controller, path):
    """Mean over tasks and seeds against evaluations, both logarithmic."""
    width, height, left, right, top, bottom = 760, 420, 70, 180, 40, 50
    lines = {name: [(n, statistics.mean(means(by[n]).values())) for n in sorted(by)] for name, by in by_controller.items()}
    xs = [n for line in lines.values() for n, _ in line]
    positive = [v for line in lines.values() for _, v in line if v > 0]
    low, high = max(min(positive), max(positive) / 1e4), max(positive)
    x0, x1 = math.log(min(xs)), math.log(max(xs))
    y0, y1 = math.log(low) - 0.1, math.log(high) + 0.1

    def at(n, value):
        x = left + (math.log(n) - x0) / (x1 - x0) * (width - left - right)
        y = top + (y1 - math.log(max(value, low))) / (y1 - y0) * (height - top - bottom)
        return x, y

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12" role="img">',
           f"<title>{FAMILIES[family]}</title>",
           "<style>.t{fill:#333}.g{stroke:#ddd}@media(prefers-color-scheme:dark){.t{fill:#ccc}.g{stroke:#444}}</style>",
           f'<text class="t" x="{left}" y="22" font-size="14">{FAMILIES[family]}</text>',
           f'<text class="t" x="{(left + width - right) / 2}" y="{height - 12}" text-anchor="middle">evaluations</text>']
    ticks = [m * 10 ** e for e in range(0, 6) for m in (1, 2, 5)]
    for n in (t for t in ticks if x0 <= math.log(t) <= x1 + 1e-9):
        x, _ = at(n, low)
        out.append(f'<line class="g" x1="{x:.1f}" y1="{top}" x2="{x:.1f}" y2="{height - bottom}"/>'
                   f'<text class="t" x="{x:.1f}" y="{height - bottom + 16}" text-anchor="middle">{n:,}</text>')
    for value in (m * 10.0 ** e for e in range(-6, 3) for m in (1, 2, 5)):
        if y0 <= math.log(value) <= y1:
            _, y = at(min(xs), value)
            out.append(f'<line class="g" x1="{left}" y1="{y:.1f}" x2="{width - right}" y2="{y:.1f}"/>'
                       f'<text class="t" x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>')
    places = []
    for i, name in enumerate(sorted(lines, key=lambda n: (n != "auto", n))):
        colour = COLOURS[i % len(COLOURS)]
        points = " ".join("%.1f,%.1f" % at(*p) for p in lines[name])
        out.append(f'<polyline fill="none" stroke="{colour}" stroke-width="{3.5 if name == "auto" else 1.5}" points="{points}"/>')
        places.append([at(*lines[name][-1])[1], name, colour])
    places.sort()
    for i in range(1, len(places)):
        places[i][0] = max(places[i][0], places[i - 1][0] + 14)
    for y, name, colour in places:
        out.append(f'<text x="{width - right + 8}" y="{y + 4:.1f}" fill="{colour}"{" font-weight=" + chr(34) + "bold" + chr(34) if name == "auto" else ""}>{name}</text>')
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(out) + "\n</svg>\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--svg", help="folder for one plot a family")
    parser.add_argument("files", nargs="+")
    options = parser.parse_args()
    values = read(options.files)
    for family in FAMILIES:
        if "auto" in values[family]:
            table(family, values[family])
            if options.svg:
                plot(family, values[family], os.path.join(options.svg, f"{family}.svg"))


if __name__ == "__main__":
    main()
