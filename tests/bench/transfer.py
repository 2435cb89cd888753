#!/usr/bin/env python3
"""transfer.py FILE.jsonl...: what bench_transfer reported, as tables and tests.

Means are over devices of the mean over seeds; devices that were timed and those of a cost model are kept apart. The test
asks on every device, at every k, whether a simple baseline with as many samples has the better Spearman correlation: exact
one-sided Wilcoxon signed-rank over seeds, Holm-corrected over the baselines of the device; "better" is p < 0.05. (Over
all devices at once ten seeds could never tell; so of a hundred devices some five are expected here by chance.)
"""
import collections
import json
import statistics
import sys

from controllers import wilcoxon

BASELINES = ("macs", "ridge", "table", "source")


def mean(values):
    values = [v for v in values if v is not None]
    return statistics.mean(values) if values else None


def read(paths):
    """cells[table, timed, protocol][method, k][device] = the row"""
    cells = collections.defaultdict(lambda: collections.defaultdict(dict))
    for path in paths:
        with open(path, encoding="utf-8") as lines:
            for row in map(json.loads, lines):
                cells[row["table"], row["timed"], row["protocol"]][row["method"], row["k"]][row["device"]] = row
    return cells


def score(rows, name, part=None):
    return mean([mean(row[name]) for row in rows.values() if part in (None, row["part"])])


def text(value, digits=3):
    return "" if value is None else f"{value:.{digits}f}"


def main_table(by_method):
    print("| method | k | devices | Spearman (tuning, judging) | Kendall | within 5 % | within 10 % | MAPE % | interval covers (width) |")
    print("|---|---|---|---|---|---|---|---|---|")
    for (method, k), rows in sorted(by_method.items(), key=lambda item: (item[0][0], item[0][1])):
        parts = ", ".join(text(score(rows, "spearman", part), 4) or "-" for part in ("tuning", "judging"))
        covers = score(rows, "covered")
        interval = "" if covers is None else f"{covers:.3f} (+-{score(rows, 'width'):.1f} %)"
        print(f"| {method} | {k} | {len(rows)} | {text(score(rows, 'spearman'), 4)} ({parts}) | {text(score(rows, 'kendall'))} "
              f"| {text(score(rows, 'within5'))} | {text(score(rows, 'within10'))} | {text(score(rows, 'mape'), 2)} | {interval} |")


def aim(by_method):
    """k samples beside ridge with 3 k."""
    for k in (5, 10, 20):
        if ("transfer", k) in by_method and ("ridge", 3 * k) in by_method:
            ours, theirs = (score(by_method[cell], "spearman") for cell in (("transfer", k), ("ridge", 3 * k)))
            print(f"{'Reached' if ours >= theirs else 'Not reached'}: transfer with {k} {ours:.4f}, ridge with {3 * k} {theirs:.4f}")


def better_baselines(ours, by_method, device, k):
    found = []
    for name in BASELINES:
        row = by_method.get((name, k), {}).get(device)
        if row and None not in row["spearman"] + ours["spearman"]:
            found.append((wilcoxon([b - a for a, b in zip(ours["spearman"], row["spearman"])]), name, row))
    found.sort(key=lambda item: item[0])
    worst = 0
    for i, (p, name, row) in enumerate(found):
        worst = max(worst, min(1, p * (len(found) - i)))
        if worst < 0.05:
            yield name, worst, mean(row["spearman"])


def losses(by_method):
    for k in sorted({k for method, k in by_method if method == "transfer" and k > 0}):
        rows, lost = by_method["transfer", k], []
        for device, ours in sorted(rows.items()):
            lost += [f"{device} by {name} ({mean(ours['spearman']):.4f} < {theirs:.4f}, p = {p:.3f})"
                     for name, p, theirs in better_baselines(ours, by_method, device, k)]
        print(f"k = {k}, {len(rows)} devices: significantly below a baseline on " + ("; ".join(lost) or "none") + ".")


def coverage(by_method):
    """Over devices; the interval is of their mean, 1.96 standard errors over devices."""
    for (method, k), rows in sorted(by_method.items()):
        values = [mean(row["covered"]) for row in rows.values() if mean(row["covered"]) is not None]
        if len(values) > 1:
            half = 1.96 * statistics.stdev(values) / len(values) ** 0.5
            print(f"{method} k = {k}: 90 % intervals cover {statistics.mean(values):.3f} +- {half:.3f} "
                  f"(least {min(values):.2f}, most {max(values):.2f})")


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    cells = read(sys.argv[1:])
    for protocol in sorted({protocol for _, timed, protocol in cells if timed}):
        together = collections.defaultdict(dict)
        for (table, timed, of), by_method in cells.items():
            for cell, rows in by_method.items() if timed and of == protocol else ():
                together[cell].update({(table, device): row for device, row in rows.items()})
        print(f"\n### All timed devices, protocol {protocol}\n")
        aim(together)
        coverage({cell: rows for cell, rows in together.items() if cell[0].startswith("transfer")})
    for (table, timed, protocol), by_method in sorted(cells.items(), key=str):
        print(f"\n### {table}, {'timed' if timed else 'cost model'}, protocol {protocol}\n")
        main_table(by_method)
        print()
        aim(by_method)
        losses(by_method)
        coverage(by_method)


main()
