"""Print the JSON lines of a bench as a table; those of single runs of a controller are for controllers.py,
those of a method for transfer.py."""
import json
import sys


def cell(value):
    return "" if value is None else f"{value:.5g}" if isinstance(value, float) else str(value)


columns = ["case", "metric", "value", "unit", "threads", "seed", "peer", "peer_value", "ratio"]
with open(sys.argv[1], encoding="utf-8") as lines:
    figures = [json.loads(line) for line in lines if line.strip()]
rows = [[cell(figure.get(name)) for name in columns] for figure in figures if "controller" not in figure and "method" not in figure]
rows.insert(0, columns)
widths = [max(len(row[i]) for row in rows) for i in range(len(columns))]
for row in rows:
    print("  ".join(text.ljust(width) for text, width in zip(row, widths)).rstrip())
