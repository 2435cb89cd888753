#!/usr/bin/env python3
"""The determinism promise: same specification, seed and snapshot, same bytes, whatever happens to server and machine."""
import os
import random
import subprocess
import sys
import threading

from tailor import ENDED, NOTE10_SPACE, SPACE, fact, main, until

LONG_ENOUGH_S = 4  # of searching, so that there are checkpoints (two a second) to come back to
KILLS = 5


def request(evaluations, **more):
    return dict({"space": SPACE, "objective": {"maximize": "accuracy"},
                 "constraints": [{"metric": "macs", "max": 3e8}, {"metric": "params", "max": 6e6}],
                 "controller": {"name": "evolution", "seed": 7}, "budget": {"evaluations": evaluations}}, **more)


def long_budget(link, **more):
    """Evaluations that take this machine and build some seconds."""
    trial = link.search(request(10000, **more))
    assert trial["state"] == "finished", trial
    pace = trial["evaluations"] / max(trial["seconds"], 1e-3)
    return min(max(int(LONG_ENOUGH_S * pace), 20000), 2000000)


def export(link, body):
    search = link.search(body, seconds=240)
    assert search["state"] == "finished", search
    answer = link.send("GET", f"/search/{search['id']}/export")
    assert answer.status == 200, answer
    return answer.body


def killed_export(house, body, prepare):
    """Run the search on a server that is killed in its running state; the export, and at which counts it went on."""
    generator = random.Random(house.seed)
    server = house.server("killed")
    prepare(server.link())
    search = server.link().post("/search", body)["id"]
    resumed = [0]
    moment = threading.Event()
    for i in range(KILLS):
        link = server.link()
        # the first kill, and most others, when there is a checkpoint further on than before; some earlier
        least = resumed[-1] + 1 if i == 0 or generator.random() < 0.7 else 0
        state = until(lambda: running_or_ended(link, search, least), 60, "the search running")
        if state["state"] in ENDED:
            break
        moment.wait(generator.uniform(0, 0.7))
        server.kill()
        server.start()
        resumed.append(server.link().get(f"/search/{search}")["evaluations"])
    link = server.link()
    ended = link.ended(search, 240)
    assert ended["state"] == "finished", ended
    return link.send("GET", f"/search/{search}/export").body, resumed[1:]


def running_or_ended(link, search, least):
    shown = link.get(f"/search/{search}")
    running = shown["state"] == "running" and shown["evaluations"] >= least
    return shown if running or shown["state"] in ENDED else None


def check_resumed(house, prepare, **more):
    server = house.server("undisturbed")
    link = server.link()
    prepare(link)
    body = request(long_budget(link, **more), **more)
    undisturbed = export(link, body)
    assert server.stop() == 0
    resumed, counts = killed_export(house, body, prepare)
    print(f"budget {body['budget']['evaluations']}, went on at {counts}, {len(undisturbed)} bytes")
    assert any(0 < count < body["budget"]["evaluations"] for count in counts), "no kill hit the search while it ran"
    assert resumed == undisturbed, "the resumed search exports other bytes"


@fact
def a_search_killed_while_running_exports_the_same_bytes(house):
    check_resumed(house, lambda link: None)


@fact
def a_search_of_the_tutorial_killed_while_running_exports_the_same_bytes(house):
    check_resumed(house, lambda link: link.import_note10(), space=NOTE10_SPACE, device="note10",
                  constraints=[{"metric": "latency_ms", "max": 25}])


@fact
def a_search_on_one_crowded_processor_exports_the_same_bytes(house):
    body = request(30000)
    every = sorted(os.sched_getaffinity(0))
    plenty = house.server("plenty", environment={"OPENBLAS_NUM_THREADS": str(len(every))})
    expected = export(plenty.link(), body)
    assert plenty.stop() == 0
    crowd = subprocess.Popen([sys.executable, "-c", "while True: pass"],
                             preexec_fn=lambda: os.sched_setaffinity(0, every[:1]))
    try:
        crowded = house.server("crowded", environment={"OPENBLAS_NUM_THREADS": "1"}, processors=every[:1])
        assert export(crowded.link(), body) == expected
        assert crowded.stop() == 0
    finally:
        crowd.kill()
        crowd.wait()


@fact
def a_label_is_no_part_of_what_is_exported(house):
    link = house.server().link()
    assert export(link, request(2000, label="one")) == export(link, request(2000, label="two"))


@fact
def another_seed_exports_other_bytes(house):
    link = house.server().link()
    assert export(link, request(2000)) != export(link, request(2000, controller={"name": "evolution", "seed": 8}))


@fact
def a_server_that_is_asked_to_leave_goes_on_with_its_search_when_it_is_back(house):
    server = house.server()
    link = server.link()
    body = request(long_budget(link))
    search = link.post("/search", body)["id"]
    until(lambda: link.get(f"/search/{search}")["state"] == "running", 30, "the search running")
    assert server.stop() == 0
    server.start()
    link = server.link()
    resumed = link.ended(search, 240)
    assert resumed["state"] == "finished" and resumed["outcome"] == "predicted", resumed
    assert link.send("GET", f"/search/{search}/export").body == export(link, body)


if __name__ == "__main__":
    main()
