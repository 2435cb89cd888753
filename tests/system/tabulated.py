#!/usr/bin/env python3
"""Published tables, searched: the answer is the true optimum of the CSV, and leaves a killed server as it would have been."""
import csv
import gzip
import json
import os
import subprocess

from tailor import data_path, fact, main

EDGE_OPS = ["none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"]
NB201 = {
    "name": "nb201-cell", "title": "NAS-Bench-201", "source": "Dong and Yang 2020", "count": "15625",
    "variables": [{"name": f"edge{to}-{source}", "options": EDGE_OPS} for to in (1, 2, 3) for source in range(to)]}
NB201_TABLE = {
    "source": "latency HayeonLee/HELP, accuracy NATS-Bench", "architecture": {"digits": "ops"},
    "metrics": [{"metric": "accuracy", "column": "acc_cifar100", "unit": "percent"},
                {"metric": "params", "column": "params", "unit": "count"},
                {"metric": "macs", "column": "macs", "unit": "count"},
                {"metric": "latency_ms", "column": "lat_gold_6240", "unit": "ms", "device": "gold-6240", "kind": "timed"},
                {"metric": "latency_ms", "column": "lat_eyeriss", "unit": "ms", "device": "eyeriss", "kind": "cost model"}]}
FBNET = {"name": "fbnet"}  # comes with the program


def rows_of(path):
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))


def written(house, name, document):
    path = house.path(name)
    with open(path, "w", encoding="utf-8") as file:
        json.dump(document, file)
    return path


def said(house, server, *arguments):
    """Stdout of a client command of `tailor`, which must succeed."""
    done = subprocess.run([os.path.join(house.build, "tailor"), *arguments], capture_output=True, text=True, timeout=120,
                          check=False, env=dict(os.environ, TAILOR_SERVER=f"http://127.0.0.1:{server.port}"))
    assert done.returncode == 0, (arguments, done.stdout, done.stderr)
    return done.stdout


def brought(house, server, space, manifest, path):
    if "variables" in space:
        said(house, server, "spaces", "add", written(house, "space.json", space))
    said(house, server, "import", "--space", space["name"], "table", written(house, "manifest.json", manifest), path)


def middle(values):
    return sorted(values)[len(values) // 2]


@fact
def the_answer_on_nas_bench_201_is_its_true_optimum(house):
    path = data_path("nb201/nb201.csv.gz")
    rows = rows_of(path)
    server = house.server()
    brought(house, server, NB201, NB201_TABLE, path)
    link = server.link()
    assert link.get("/spaces/nb201-cell")["table"]["rows"] == len(rows) == 15625
    for device, column in (("gold-6240", "lat_gold_6240"), ("eyeriss", "lat_eyeriss")):
        limit = middle([float(row[column]) for row in rows])
        best = max(float(row["acc_cifar100"]) for row in rows if float(row[column]) <= limit)
        search = link.search({"space": "nb201-cell", "device": device, "constraints": [{"metric": "latency_ms", "max": limit}],
                              "controller": {"name": "evolution", "seed": house.seed % 1000}})
        answer = search["answer"]["metrics"]
        assert search["outcome"] == "tabulated", search
        assert answer["accuracy"] == {"value": best, "kind": "tabulated"}, (answer, best)
        assert answer["latency_ms"]["value"] <= limit and answer["latency_ms"]["kind"] == "tabulated", answer
    out = said(house, server, "search", "--space", "nb201-cell", "--device", "gold-6240", "--max", "params=1e6")
    assert "row of the space's table" in out and "tabulated" in out, out
    assert server.stop() == 0


@fact
def a_search_of_5000_rows_in_a_space_of_1e21_stays_on_them(house):
    path = data_path("fbnet_latency/fbnet_latency.csv.gz")
    rows = rows_of(path)
    column = "lat_gold_6240"
    server = house.server()
    brought(house, server, FBNET, {"architecture": {"digits": "ops"}, "metrics": [
        {"metric": "latency_ms", "column": column, "unit": "ms", "device": "gold-6240", "kind": "timed"}]}, path)
    search = server.link().search({"space": "fbnet", "device": "gold-6240", "objective": {"minimize": "latency_ms"}})
    assert search["answer"]["metrics"]["latency_ms"]["value"] == min(float(row[column]) for row in rows), search
    assert server.stop() == 0


@fact
def a_killed_search_of_a_table_ends_in_the_same_bytes(house):
    path = data_path("nb201/nb201.csv.gz")
    server = house.server()
    brought(house, server, NB201, NB201_TABLE, path)
    link = server.link()
    body = {"space": "nb201-cell", "device": "gold-6240", "budget": {"evaluations": 400000}}
    whole = link.search(body)
    cut = link.post("/search", body)["id"]
    server.kill()
    server.start()
    link.ended(cut)
    exports = [link.send("GET", f"/search/{search}/export").body for search in (whole["id"], cut)]
    assert exports[0] == exports[1] and len(exports[0]) > 1000
    assert server.stop() == 0


if __name__ == "__main__":
    main()
