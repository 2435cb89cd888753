#!/usr/bin/env python3
"""Searches whose values come from workers outside: deploy/worker.py with code of one's own, and what the answer then says."""
import itertools
import os
import sqlite3
import subprocess
import sys

from tailor import ENDED, SPACE as FAMILY, PlayedDevice, Program, Skip, fact, main, until

LAYERS, OPTIONS = 6, ("a", "b", "c", "d")
SPACE = {"name": "made", "variables": [{"name": f"l{i}", "options": list(OPTIONS)} for i in range(LAYERS)]}
POOL = "made-up-net"
WORKER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../deploy/worker.py")

# An invented function, which the worker's module and the test both have. Accuracy has a rule and a little that follows none.
MODULE = """
OPTIONS = "abcd"

def digits(options):
    return [OPTIONS.index(options[f"l{i}"]) for i in range(6)]

def evaluate(options):
    d = digits(options)
    rough = sum((7919 * (i + 1) * (x + 1)) % 97 for i, x in enumerate(d)) / 97
    return {"accuracy": 50 + sum((2 + i) * x ** 0.5 for i, x in enumerate(d)) + rough,
            "latency_ms": 1 + sum((6 - i) * x for i, x in enumerate(d)), "not asked for": 1}
"""
MADE = {}
exec(MODULE, MADE)  # pylint: disable=exec-used


def values_of(architecture):
    return MADE["evaluate"](architecture)


def near(value, expected):
    """Answers carry 15 digits."""
    return abs(value - expected) <= 1e-12 * abs(expected)


def every():
    """All architectures with their values."""
    for digits in itertools.product(OPTIONS, repeat=LAYERS):
        options = {f"l{i}": option for i, option in enumerate(digits)}
        yield options, values_of(options)


def module(house, text=MODULE):
    path = house.path("my_eval.py")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def worker(house, server, *more, path=None):
    """A worker.py at work."""
    program = Program([sys.executable, "-B", WORKER, "--name", POOL, "--key", house.path("pool.key"), "--server",
                       f"http://127.0.0.1:{server.port}", "--module", path or module(house), *more])
    house.programs.append(program)
    program.line("is ready", 30)
    return program


def body(**more):
    return {"space": "made", "evaluate": {"by": POOL, "metrics": ["accuracy", "latency_ms"]},
            "constraints": [{"metric": "latency_ms", "max": 30}], "budget": {"evaluations": 150}, **more}


def begin(house, **options):
    server = house.server(**options)
    link = server.link()
    link.post("/spaces", SPACE)
    return server, link


def export(link, search):
    answer = link.send("GET", f"/search/{search}/export")
    assert answer.status == 200, answer
    return answer.body


@fact
def ones_own_code_values_a_space_that_has_nothing_else(house):
    server, link = begin(house)
    worker(house, server)
    found = link.search(body())
    assert found["state"] == "finished" and found["outcome"] == "evaluated" and found["evaluations"] == 150, found
    assert found["evaluate"] == {"by": POOL, "metrics": ["latency_ms", "accuracy"]}, found
    answer = found["answer"]
    expected = values_of(answer["architecture"]["options"])
    for metric in ("accuracy", "latency_ms"):
        shown = answer["metrics"][metric]
        assert near(shown.pop("value"), expected[metric]) and shown == {"kind": "evaluated", "by": POOL}, answer
    assert set(found["answer"]["metrics"]) == {"accuracy", "latency_ms"} and not answer["verified"], answer
    assert expected["latency_ms"] <= 30
    ranked = sorted((v["accuracy"] for _, v in every() if v["latency_ms"] <= 30), reverse=True)
    assert ranked.index(expected["accuracy"]) < len(ranked) // 100, "150 of 4,096 lead into the best hundredth"
    events = link.get(f"/search/{found['id']}/events?after=0")["items"]
    assert any("valuing" in e["data"]["message"] for e in events), [e["data"]["message"] for e in events]
    points = link.get(f"/search/{found['id']}/points?x=latency_ms&y=accuracy")
    assert set(points["kind"]) == {"evaluated"}, set(points["kind"])
    device = link.get(f"/devices/{POOL}")
    assert device["info"]["worker"] is True and device["online"] and device["jobs"]["done"] > 0, device


@fact
def what_was_said_once_is_not_asked_again(house):
    server, link = begin(house)
    program = worker(house, server)
    first = link.search(body())
    jobs = len(link.items(f"/jobs?device={POOL}"))
    program.kill()
    again = link.search(body(label="the same"), seconds=60)  # there is no worker any more
    assert again["outcome"] == "evaluated" and again["answer"]["architecture"] == first["answer"]["architecture"], again
    assert export(link, first["id"]) == export(link, again["id"])
    assert len(link.items(f"/jobs?device={POOL}")) == jobs
    # another limit shares what it can
    other = link.post("/search", body(constraints=[{"metric": "latency_ms", "max": 25}]))
    until(lambda: link.get(f"/search/{other['id']}")["state"] == "evaluating", 30, "asking for what is new")


@fact
def neither_the_number_of_workers_nor_kills_change_a_byte(house):
    server, link = begin(house)
    worker(house, server)
    quiet = link.search(body())
    whole = export(link, quiet["id"])
    # another data folder: three workers, the server killed again and again, a worker too
    server = house.server("other")
    link = server.link()
    link.post("/spaces", SPACE)
    path = module(house, MODULE + "\nplain = evaluate\nimport time\ndef evaluate(options):\n    time.sleep(0.01)\n"
                  "    return plain(options)\n")
    port = server.port
    workers = [worker(house, server, path=path) for _ in range(3)]
    search = link.post("/search", body())["id"]
    for evaluations in (10, 40, 90):
        until(lambda n=evaluations: link.ask("GET", f"/search/{search}").json["progress"]["done"] >= n, 60, "progress")
        server.kill()
        if evaluations == 40:
            workers.pop().kill()
        expire_leases(server)  # what was leased to the dead, or in an answer that never came, would take that minute
        server.program = house.program("tailor", "serve", "--data", server.data, "--listen", f"127.0.0.1:{port}")
        server.program.line("listening", 60)
        server.port = port
    killed = link.ended(search)
    assert killed["state"] == "finished", killed
    assert export(link, search) == whole


def expire_leases(server):
    """As if a minute had passed. The server must be down."""
    database = sqlite3.connect(server.database)
    database.execute("UPDATE job SET lease_until_ns = 1 WHERE state = 'leased'")
    database.commit()
    database.close()


@fact
def the_command_line_searches_with_workers_and_says_what_the_values_are(house):
    server, link = begin(house)
    worker(house, server)
    done = subprocess.run([os.path.join(house.build, "tailor"), "search", "--space", "made", "--evaluate-by", POOL,
                           "--evaluate", "accuracy,latency_ms", "--max", "latency_ms=30", "--evaluations", "60"],
                          capture_output=True, text=True, timeout=120, check=False,
                          env=dict(os.environ, TAILOR_SERVER=f"http://127.0.0.1:{server.port}"))
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert "its values are the workers'" in done.stdout and done.stdout.count("evaluated") >= 2, done.stdout
    assert '"evaluate":{"by":"made-up-net"' in done.stdout, done.stdout
    search = link.get("/search")["items"][0]
    assert search["budget"]["evaluations"] == 60, search
    dear = link.post("/search", {"space": "made", "evaluate": {"by": POOL, "metrics": ["accuracy"]}})
    assert dear["budget"]["evaluations"] == 500, dear


@fact
def a_family_keeps_its_own_costs_and_gets_its_accuracy_from_workers(house):
    server = house.server()
    link = server.link()
    worker(house, server, path=module(house, "def evaluate(options):\n"
                                      "    return {'accuracy': 50 + len(options) + int(options['resolution']) / 10}\n"))
    space = link.get("/spaces/nasbench-macro")["name"]
    ranges = link.get(f"/spaces/{space}/ranges")["ranges"]["params"]
    limit = (ranges["min"] + ranges["max"]) / 2
    source = "def evaluate(options):\n    return {'accuracy': sum(len(v) for v in options.values())}\n"
    house.programs[-1].kill()
    worker(house, server, path=module(house, source))
    found = link.search({"space": space, "evaluate": {"by": POOL, "metrics": ["accuracy"]},
                         "constraints": [{"metric": "params", "max": limit}], "budget": {"evaluations": 100}})
    metrics = found["answer"]["metrics"]
    assert found["outcome"] == "evaluated" and metrics["accuracy"]["kind"] == "evaluated", found
    assert metrics["params"]["kind"] == "computed" and metrics["params"]["value"] <= limit, metrics
    # a limit out of reach is refused at once, though nobody knows what workers would say
    answer = link.send("POST", "/search", {"space": space, "evaluate": {"by": POOL, "metrics": ["accuracy"]},
                                           "constraints": [{"metric": "params", "max": ranges["min"] / 2}]})
    assert answer.status == 422 and answer.json["errors"][0]["pointer"] == "/constraints/0/max", answer
    assert "accuracy" not in answer.json["ranges"], answer


@fact
def a_search_that_waits_for_workers_holds_up_no_other(house):
    server, link = begin(house)
    link.post("/devices", {"name": POOL, "agent_key": "0" * 32, "info": {"worker": True}})
    waits = link.post("/search", body())["id"]
    until(lambda: link.get(f"/search/{waits}")["state"] == "evaluating", 30, "evaluating")
    other = link.search({"space": FAMILY, "objective": {"minimize": "macs"}, "budget": {"evaluations": 2000}}, seconds=60)
    assert other["outcome"] == "predicted", other
    assert server.stop() == 0
    server.start()
    assert server.link().get(f"/search/{waits}")["state"] == "evaluating"


@fact
def what_workers_value_is_verified_on_a_device_as_ever(house):
    server = house.server()
    link = server.link()
    device = PlayedDevice("played", house.seed)
    device.register(link)
    device.profile(link)
    ends = link.get(f"/spaces/{FAMILY}/ranges?device=played")["ranges"]["latency_ms"]
    limit = ends["min"] + 0.4 * (ends["max"] - ends["min"])
    worker(house, server, path=module(house, "def evaluate(options):\n"
                                      "    return {'accuracy': 50 + sum(int(v) for v in options.values()) / 20}\n"))
    search = link.post("/search", {"space": FAMILY, "device": "played", "budget": {"evaluations": 100},
                                   "evaluate": {"by": POOL, "metrics": ["accuracy"]},
                                   "constraints": [{"metric": "latency_ms", "max": limit}]})["id"]
    # slower than its model says: another round is needed, whose values are partly known
    device.work_until(link, lambda: link.get(f"/search/{search}")["state"] in ENDED, factor=1.2)
    found = link.get(f"/search/{search}")
    metrics = found["answer"]["metrics"]
    assert found["outcome"] == "verified" and found["round"] >= 2, found
    assert metrics["accuracy"]["kind"] == "evaluated" and metrics["latency_ms"]["kind"] == "measured", metrics
    assert metrics["macs"]["kind"] == "computed", metrics
    front = link.items(f"/search/{search}/candidates?role=front")
    assert front and all(c["metrics"]["accuracy"]["kind"] == "evaluated" for c in front), front


@fact
def rows_of_a_table_are_valued_further_by_workers(house):
    server, link = begin(house)
    listed = [(options, values) for i, (options, values) in enumerate(every()) if i % 17 == 0]
    lines = ["ops,pi"] + [f"{''.join(str(OPTIONS.index(o)) for o in options.values())},{values['latency_ms']}"
                          for options, values in listed]
    artifact = link.put_artifact(("\n".join(lines) + "\n").encode())
    table = {"artifact": artifact, "source": "invented", "architecture": {"digits": "ops"}, "metrics": [
        {"metric": "latency_ms", "column": "pi", "unit": "ms", "device": "pi", "kind": "timed"}]}
    assert link.send("PUT", "/spaces/made/table", table).status in (200, 201)
    worker(house, server)
    found = link.search({"space": "made", "device": "pi", "evaluate": {"by": POOL, "metrics": ["accuracy"]},
                         "constraints": [{"metric": "latency_ms", "max": 30}], "budget": {"evaluations": 1000}})
    within = [values for _, values in listed if values["latency_ms"] <= 30]
    metrics = found["answer"]["metrics"]
    assert metrics["latency_ms"]["kind"] == "tabulated" and metrics["accuracy"]["kind"] == "evaluated", metrics
    assert near(metrics["accuracy"]["value"], max(values["accuracy"] for values in within)), (metrics, len(within))
    assert len(link.items(f"/jobs?device={POOL}")) <= len(within), "no row is asked for twice"


@fact
def code_that_raises_ends_the_search_with_what_it_said(house):
    server, link = begin(house)
    worker(house, server, path=module(house, "def evaluate(options):\n    raise RuntimeError('no GPU here')\n"))
    failed = link.search(body(), seconds=60)
    assert failed["state"] == "failed" and "RuntimeError: no GPU here" in failed["problem"]["detail"], failed
    # some that raise, some that cannot be valued: the search goes on with the rest, and comes to the same end again
    mixed = MODULE + ("\nplain = evaluate\ndef evaluate(options):\n    if options['l0'] == 'd':\n"
                      "        raise ValueError('d diverges')\n    values = plain(options)\n"
                      "    return dict(values, accuracy=float('nan')) if options['l1'] == 'd' else values\n")
    house.programs[-1].kill()
    worker(house, server, path=module(house, mixed))
    found = link.search(body(budget={"evaluations": 60}))
    options = found["answer"]["architecture"]["options"]
    assert found["outcome"] == "evaluated" and options["l0"] != "d" and options["l1"] != "d", found
    jobs = link.items(f"/jobs?device={POOL}")
    assert any(job["failure"] == "ValueError: d diverges" for job in jobs), jobs


@fact
def a_worker_that_needs_longer_than_its_lease_keeps_it(house):
    if house.sanitized:
        raise Skip(f"built with {house.sanitized}: it would wait a minute for what the plain build shows")
    server, link = begin(house)
    slow = MODULE + "\nplain = evaluate\nimport time\ndef evaluate(options):\n    time.sleep(70)\n    return plain(options)\n"
    program = worker(house, server, "--idle", "5", path=module(house, slow))
    search = link.post("/search", body(budget={"evaluations": 1}))["id"]
    found = link.ended(search, 120)
    assert found["outcome"] in ("evaluated", "none_found") and found["evaluations"] == 1, found
    assert [job["attempt"] for job in link.items(f"/jobs?device={POOL}")] == [1]
    assert program.process.wait(60) == 0, "--idle ends it"


if __name__ == "__main__":
    main()
