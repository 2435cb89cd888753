#!/usr/bin/env python3
"""service.py --build DIR [OPTIONS] - the service as its user sees it: one JSON object a line for every figure.

Start, first answer, searches over HTTP with once-for-all's tutorial as input, durable uploads, memory. Inputs are arguments,
so that other tables, predictors and limits can be tried. Run by tests/bench/run service.
"""
import argparse
import json
import os
import sys
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "system"))

import tailor

BENCH = "service"
REFERENCE_VISITS = 8  # of a new device, after which its uploads cost the same for ever


def report(options, case, metric, value, unit, threads=1):
    print(json.dumps({"bench": BENCH, "case": case, "metric": metric, "value": round(value, 4), "unit": unit,
                      "threads": threads, "seed": options.seed, "peer": None, "peer_value": None,
                      "ratio": None}), flush=True)


def quantile(values, q):
    values = sorted(values)
    return values[round(q * (len(values) - 1))]


def memory_mb(server):
    with open(f"/proc/{server.program.process.pid}/status", encoding="ascii") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    raise RuntimeError("no VmHWM")


def cpu_ms(server):
    with open(f"/proc/{server.program.process.pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rsplit(") ", 1)[1].split()
    return 1e3 * (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")  # utime and stime


def bench_start(options, house):
    times = []
    for i in range(options.starts):
        started = time.monotonic()
        server = house.server(f"start-{i}")
        server.link().get("/readyz")
        times.append(1e3 * (time.monotonic() - started))
        server.stop()
    report(options, "empty folder", "first answer p50", quantile(times, 0.5), "ms")
    report(options, "empty folder", "first answer max", max(times), "ms")


def search_body(options, seed):
    return {"space": options.space, "device": options.device, "objective": {"maximize": "accuracy"},
            "constraints": [{"metric": "latency_ms", "max": options.limit}],
            "controller": {"name": options.controller, "seed": seed}, "budget": {"evaluations": options.evaluations}}


def bench_search(options, house):
    server = house.server("search")
    link = server.link()
    tables = []
    for table in options.table:
        resolution, path = table.split("=", 1)
        with open(path, "rb") as file:
            tables.append({"resolution": int(resolution), "artifact": link.put_artifact(file.read())})
    with open(options.predictor, "rb") as file:
        predictor = link.put_artifact(file.read())
    link.post("/models", {"kind": "accuracy", "format": "ofa-mlp", "space": options.space, "artifact": predictor})
    link.post("/models", {"kind": "latency", "format": "ofa-lut", "space": options.space, "device": options.device,
                          "tables": tables})
    times, found = [], []
    cpu_before = cpu_ms(server)
    for seed in range(options.seed, options.seed + options.searches):
        started = time.monotonic()
        search = link.post("/search", search_body(options, seed), wait=600, timeout=660)
        times.append(1e3 * (time.monotonic() - started))
        if search["state"] != "finished" or search["outcome"] != "predicted":
            sys.exit(f"a search ended as {search['state']}, {search['outcome']}: {search['message']}")
        found.append(search["answer"]["metrics"]["accuracy"]["value"])
    case = f"{options.evaluations} evaluations"
    report(options, case, "POST /search p50", quantile(times, 0.5), "ms")
    report(options, case, "POST /search p99", quantile(times, 0.99), "ms")
    report(options, case, "server CPU a search", (cpu_ms(server) - cpu_before) / options.searches, "ms")
    report(options, case, "accuracy found p50", quantile(found, 0.5), "points")

    ranges = link.get(f"/spaces/{options.space}/ranges")["ranges"]
    for case, limits in {
            "impossible limit": [{"metric": "latency_ms", "max": 1e-6}],
            "impossible together": [{"metric": "macs", "min": 0.9 * ranges["macs"]["max"]},
                                    {"metric": "params", "max": 1.01 * ranges["params"]["min"]}]}.items():
        refused = []
        for _ in range(200):
            started = time.monotonic()
            if link.send("POST", "/search", {**search_body(options, 1), "constraints": limits}).status != 422:
                sys.exit(f"{case}: was accepted")
            refused.append(1e3 * (time.monotonic() - started))
        report(options, case, "refusal p50", quantile(refused, 0.5), "ms")
        report(options, case, "refusal p99", quantile(refused, 0.99), "ms")
    report(options, f"after {options.searches} searches", "VmHWM", memory_mb(server), "MB")
    bench_archive(options, server)
    server.stop()


def bench_archive(options, server):
    """Limits that were not asked for before, answered from the archive that the server has built meanwhile."""
    built = server.program.line(r"archive: .* (\d+) members after (\d+) evaluations and ([\d.]+) s$", 3600)
    report(options, f"{built.group(2)} evaluations", "archive built, beside whatever else runs", float(built.group(3)), "s")
    report(options, f"{built.group(2)} evaluations", "archive's members", int(built.group(1)), "architectures")
    link = server.link()
    times, cpu_before = [], cpu_ms(server)
    for i in range(options.answers):
        body = search_body(options, options.seed + i)
        body["constraints"][0]["max"] = options.limit * (0.7 + 1.3 * i / options.answers)
        body["budget"]["evaluations"] = 1
        started = time.monotonic()
        answer = link.send("POST", "/search", body, headers={"Prefer": "wait"})
        times.append(1e3 * (time.monotonic() - started))
        if answer.status != 200 or answer.json["archive_members"] != int(built.group(1)):
            sys.exit(f"not answered from the archive: {answer}")
        link.ended(answer.json["id"])
    case = "archive, Prefer: wait"
    report(options, case, "POST /search p50", quantile(times, 0.5), "ms")
    report(options, case, "POST /search p99", quantile(times, 0.99), "ms")
    report(options, case, "server CPU an answer and its search of one evaluation",
           (cpu_ms(server) - cpu_before) / options.answers, "ms")


class Uploader(threading.Thread):
    """PUTs its bodies one after the other on a connection of its own."""

    def __init__(self, server, bodies):
        super().__init__(daemon=True)
        self.link = server.link()
        self.bodies = bodies
        self.times = []

    def run(self):
        for name, body in self.bodies:
            started = time.monotonic()
            answer = self.link.send("PUT", f"/measurements/{name}", body)
            if answer.status != 201:
                raise SystemExit(f"PUT: {answer}")
            self.times.append(1e3 * (time.monotonic() - started))


def bench_uploads(options, house):
    server = house.server("uploads")
    link = server.link()
    device = tailor.PlayedDevice("bench", options.seed)
    device.register(link)
    link.post("/jobs", {"kind": "profile", "device": "bench", "space": tailor.SPACE})
    for _ in range(REFERENCE_VISITS):
        device.do(link, device.lease(link))
    job = device.lease(link)
    for clients in (1, options.clients):
        each = options.uploads // clients
        uploaders = [Uploader(server, [(device.new_uuid(), device.measurement(job, i % len(job["items"])))
                                       for i in range(each)]) for _ in range(clients)]
        started = time.monotonic()
        for uploader in uploaders:
            uploader.start()
        for uploader in uploaders:
            uploader.join()
        seconds = time.monotonic() - started
        times = [t for uploader in uploaders for t in uploader.times]
        if len(times) != each * clients:
            sys.exit("an upload failed")
        case = f"{clients} client{'s' if clients > 1 else ''}"
        report(options, case, "durable PUT /measurements", len(times) / seconds, "1/s", threads=clients)
        report(options, case, "PUT /measurements p99", quantile(times, 0.99), "ms", threads=clients)
    server.stop()


def main():
    data = os.path.join(os.environ.get("TAILOR_DATA", "../shared/data"), "ofa_note10")
    parser = argparse.ArgumentParser(prog="bench_service", description=__doc__.splitlines()[0],
                                     formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--build", required=True, help="folder with the programs")
    parser.add_argument("--space", default=tailor.NOTE10_SPACE)
    parser.add_argument("--device", default="note10", help="name for the device of the tables")
    parser.add_argument("--predictor", default=f"{data}/acc_predictor.safetensors", help="once-for-all's, of the space")
    parser.add_argument("--table", action="append", metavar="RESOLUTION=FILE", help="lookup tables (the tutorial's)")
    parser.add_argument("--limit", type=float, default=25.0, help="latency in ms")
    parser.add_argument("--controller", default="evolution")
    parser.add_argument("--evaluations", type=int, default=50000)
    parser.add_argument("--searches", type=int, default=50, help="one after the other, with seeds from --seed on")
    parser.add_argument("--answers", type=int, default=200, help="limits that the archive is asked for")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--starts", type=int, default=10)
    parser.add_argument("--uploads", type=int, default=2000)
    parser.add_argument("--clients", type=int, default=16)
    options = parser.parse_args()
    options.table = options.table or [f"{r}={data}/{r}_lookup_table.yaml" for r in (160, 176, 192, 208, 224)]
    house = tailor.House(options.build, "")
    try:
        bench_start(options, house)
        bench_uploads(options, house)
        if os.path.exists(options.predictor):
            bench_search(options, house)
        else:
            print(f"searches skipped: {options.predictor} is not there (set TAILOR_DATA)", file=sys.stderr)
    finally:
        house.close()


if __name__ == "__main__":
    main()
