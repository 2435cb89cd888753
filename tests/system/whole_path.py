#!/usr/bin/env python3
"""The main job with nothing played: the real agent measures this machine, and a search is verified on it."""
import os
import signal

from tailor import SPACE, Skip, fact, main, until

DEVICE = "this-machine"


def measuring_means_something(house):
    if house.sanitized:
        raise Skip(f"built with {house.sanitized}: the times would be the sanitizer's")
    if len(os.sched_getaffinity(0)) < 2:
        raise Skip("one processor: server and measurement would share it")


def search_body(limit_ms, **more):
    return dict({"space": SPACE, "device": DEVICE, "objective": {"maximize": "accuracy"},
                 "constraints": [{"metric": "latency_ms", "max": limit_ms}],
                 "controller": {"name": "evolution", "seed": 1}, "budget": {"evaluations": 5000},
                 "verify": {"top_k": 2, "rounds": 2}}, **more)


def registered(link):
    return any(device["name"] == DEVICE and device["online"] for device in link.items("/devices"))


def jobs_ended(link):
    return sum(job["state"] == "done" for job in link.items(f"/jobs?device={DEVICE}"))


def check_values(answer):
    metrics = answer["metrics"]
    for name in ("macs", "params", "size_bytes", "peak_memory_bytes"):
        assert metrics[name]["kind"] == "computed" and metrics[name]["value"] > 0, (name, metrics[name])
    accuracy = metrics["accuracy"]
    assert accuracy["kind"] == "predicted" and accuracy["interval"][0] < accuracy["value"] < accuracy["interval"][1]


@fact
def a_limit_on_this_machine_ends_in_a_network_measured_on_it(house):
    measuring_means_something(house)
    server = house.server()
    link = server.link()
    agent = house.agent(server, DEVICE)
    until(lambda: registered(link), 30, "the agent registered")
    link.post("/jobs", {"kind": "profile", "device": DEVICE, "space": SPACE})

    # the agent is killed in the middle of a job, twice, and the server once: the profile ends all the same
    for victim in ("agent", "server", "agent"):
        ended = jobs_ended(link)
        until(lambda: jobs_ended(link) > ended, 120, "another job done")  # pylint: disable=cell-var-from-loop
        if victim == "agent":
            agent.end(signal.SIGKILL, 30)
            agent = house.agent(server, DEVICE)
        else:
            server.kill()
            server.start()
            link = server.link()
            agent.end(signal.SIGTERM, 30)  # it knew the old port
            agent = house.agent(server, DEVICE)
    device = profiled(link)
    model = device["models"][0]
    print(f"model: {model['networks']} networks, {model['blocks']} blocks, held-out error {model['mape']:.2f} %, "
          f"Spearman {model['spearman']:.4f}")
    assert model["spearman"] > 0.8, model
    states = {job["state"] for job in link.items(f"/jobs?device={DEVICE}")}
    assert states == {"done"}, states

    ends = link.send("POST", "/search", search_body(1e-6)).json["ranges"]["latency_ms"]
    limit = ends["min"] + 0.4 * (ends["max"] - ends["min"])
    found = link.search(search_body(limit), seconds=240)
    print(f"limit {limit:.2f} ms: {found['outcome']}, {found['message']}")
    assert found["state"] == "finished" and found["outcome"] in ("verified", "unverified"), found
    answer = found["answer"]
    check_values(answer)
    latency = answer["metrics"]["latency_ms"]
    measured = [v for v in found["verifications"] if v["median_ms"] is not None]
    assert measured, found["verifications"]
    if found["outcome"] == "verified":
        assert latency["kind"] == "measured" and latency["interval"][1] <= limit, (latency, limit)
        assert answer["verification"]["holds"] and answer["verification"]["visits"] >= 2, answer
        for name in latency["measurements"]:
            assert link.get(f"/measurements/{name}")["device"] == DEVICE

    visits = len(link.items("/measurements"))
    again = link.search(search_body(limit), seconds=240)
    assert again["state"] == "finished", again
    if found["outcome"] == "verified" and found["round"] == 1:
        assert again["outcome"] == "verified", again
        settled = all(v["stable_visits"] >= 2 for v in found["verifications"])  # what stayed unstable is tried again
        if settled and again["snapshot"] == found["snapshot"]:
            assert len(link.items("/measurements")) == visits, "what was measured is measured again"
    assert agent.end(signal.SIGTERM, 10) == 0
    assert server.stop() == 0


PROFILES_MAX = 3


def profiled(link):
    """The device with its model. Where too few visits were stable, more profiles add to them."""
    for _ in range(PROFILES_MAX):
        until(lambda: not open_jobs(link), 300, "the profile's jobs ended")
        try:
            return until(lambda: with_model(link), 10, "a latency model of this machine")
        except AssertionError:
            link.send("POST", "/jobs", {"kind": "profile", "device": DEVICE, "space": SPACE})
    raise Skip(f"this machine is too busy to measure on: {PROFILES_MAX} profiles have fewer than 8 stable visits")


def open_jobs(link):
    return [job for job in link.items(f"/jobs?device={DEVICE}") if job["state"] in ("queued", "leased")]


def with_model(link):
    device = link.get(f"/devices/{DEVICE}")
    return device if device["models"] else None


@fact
def an_agent_that_finds_no_server_waits_for_it_and_leaves_when_told(house):
    server = house.server()
    port = server.port
    assert server.stop() == 0
    server.port = port
    agent = house.agent(server, DEVICE)
    agent.line("trying again", 30)
    assert agent.end(signal.SIGTERM, 10) in (0, 1)


@fact
def a_second_agent_may_not_take_a_name_that_is_held(house):
    server = house.server()
    house.agent(server, DEVICE)
    link = server.link()
    until(lambda: registered(link), 30, "the agent registered")
    thief = house.program("tailor-agent", "--server", f"http://127.0.0.1:{server.port}", "--name", DEVICE, "--state",
                          house.path("elsewhere"))
    thief.line(r"another agent|409|holds the name", 30)
    assert thief.process.wait(30) == 1


if __name__ == "__main__":
    main()
