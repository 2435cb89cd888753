#!/usr/bin/env python3
"""Searches that verify, on a device played by the test: its times follow from operator lists, so that every outcome is known.

The device's latency is exactly additive, so its model is nearly exact, and a measured network takes `factor` times what the
model says.
"""
import sqlite3
import time

from tailor import ENDED, PlayedDevice, SPACE, fact, main, until

DEVICE = "played"


def profiled(house, server):
    """A device with a model, and the range of its latencies."""
    device = PlayedDevice(DEVICE, house.seed)
    link = server.link()
    device.register(link)
    device.profile(link)
    model = link.get(f"/devices/{DEVICE}")["models"][0]
    print(f"model: {model['networks']} networks, {model['blocks']} blocks, mape {model['mape']:.2f} %")
    assert model["space"] == SPACE and model["mape"] < 2, model
    return device, link, latency_range(link)


def latency_range(link):
    answer = link.send("POST", "/search", search_body(1e-6))
    assert answer.status == 422, answer
    ends = answer.json["ranges"]["latency_ms"]
    return ends["min"], ends["max"]


def search_body(limit_ms, **more):
    return dict({"space": SPACE, "device": DEVICE, "objective": {"maximize": "accuracy"},
                 "constraints": [{"metric": "latency_ms", "max": limit_ms}],
                 "controller": {"name": "evolution", "seed": 3}, "budget": {"evaluations": 4000}}, **more)


def middle(ends):
    return ends[0] + 0.4 * (ends[1] - ends[0])


def posted(link, body):
    answer = link.send("POST", "/search", body)
    assert answer.status == 202, answer
    return answer.json["id"]


def worked(device, link, search, seconds=120, **options):
    """The device works until the search is at its end; the document, and how many visits that took."""
    def done():
        return link.get(f"/search/{search}")["state"] in ENDED
    visits = device.work_until(link, done, seconds, **options)
    return link.get(f"/search/{search}"), visits


@fact
def a_search_that_needs_a_model_profiles_fits_and_verifies_by_itself(house):
    server = house.server()
    link = server.link()
    device = PlayedDevice(DEVICE, house.seed)
    device.register(link)
    # nothing is known of the device yet, so that the limit is taken on trust
    search = posted(link, search_body(1e6))
    until(lambda: link.get(f"/search/{search}")["state"] == "profiling", 30, "profiling")
    found, visits = worked(device, link, search)
    assert found["state"] == "finished" and found["outcome"] == "verified", found
    assert visits >= 6, visits
    events = link.get(f"/search/{search}/events?after=0")["items"]
    assert [e["number"] for e in events] == list(range(1, len(events) + 1)), events
    assert len({e["data"]["message"] for e in events if e["kind"] == "state"}) >= 3, events


@fact
def a_limit_below_reach_ends_infeasible_once_the_device_is_profiled(house):
    server = house.server()
    link = server.link()
    device = PlayedDevice(DEVICE, house.seed)
    device.register(link)
    found, _ = worked(device, link, posted(link, search_body(1e-3)))
    assert found["state"] == "finished" and found["outcome"] == "infeasible", found
    assert found["ranges"]["latency_ms"]["min"] > 1e-3, found["ranges"]


@fact
def limits_that_exclude_each_other_end_infeasible_once_the_device_is_profiled(house):
    server = house.server()
    link = server.link()
    device = PlayedDevice(DEVICE, house.seed)
    device.register(link)
    ranges = link.get(f"/spaces/{SPACE}/ranges")["ranges"]
    found, _ = worked(device, link, posted(link, search_body(1e6, constraints=[
        {"metric": "latency_ms", "max": 1e6}, {"metric": "macs", "min": 0.9 * ranges["macs"]["max"]},
        {"metric": "params", "max": 1.01 * ranges["params"]["min"]}])))
    assert found["state"] == "finished" and found["outcome"] == "infeasible", found
    assert "holds these limits together" in found["message"], found["message"]
    latency, macs, params = found["together"]
    assert latency["reaches"] is None, latency  # the other two exclude each other
    assert macs["proved"] and macs["reaches"] < macs["min"] and params["reaches"] > params["max"], found["together"]


@fact
def a_profile_on_a_busy_machine_ends_with_a_reason_and_is_made_again_for_the_next_search(house):
    server = house.server()
    link = server.link()
    device = PlayedDevice(DEVICE, house.seed)
    device.register(link)
    search = posted(link, search_body(1e6))
    until(lambda: in_state(link, search, "profiling"), 30, "profiling")

    def at_its_end():
        job = device.lease(link)
        if job:
            device.do(link, job, noise=0.8)
        return in_state(link, search, "failed")
    failed = until(at_its_end, 60, "the search failed")
    assert "too busy" in failed["problem"]["detail"], failed["problem"]
    found, _ = worked(device, link, posted(link, search_body(1e6)))
    assert found["outcome"] == "verified", found


@fact
def what_was_measured_within_the_limit_is_verified_and_says_so(house):
    server = house.server()
    device, link, ends = profiled(house, server)
    limit = middle(ends)
    found, visits = worked(device, link, posted(link, search_body(limit)))
    assert found["state"] == "finished" and found["outcome"] == "verified", found
    answer = found["answer"]
    latency, accuracy = answer["metrics"]["latency_ms"], answer["metrics"]["accuracy"]
    assert answer["verified"] is True and latency["kind"] == "measured", answer
    assert latency["interval"][0] <= latency["value"] <= latency["interval"][1] <= limit, (latency, limit)
    assert accuracy["kind"] == "predicted" and accuracy["interval"][0] < accuracy["value"] < accuracy["interval"][1]
    assert answer["metrics"]["macs"]["kind"] == "computed"
    verification = answer["verification"]
    assert verification["holds"] and verification["visits"] >= 2 and verification["blocks"] >= 20, verification
    assert verification["upper_ms"] <= limit, verification
    # the measurements named are the ones that were made for it
    assert len(latency["measurements"]) >= 2
    for name in latency["measurements"]:
        shown = link.get(f"/measurements/{name}")
        assert shown["search"] == found["id"] and shown["device"] == DEVICE and shown["verdict"] == "stable", shown
    assert visits == 3 * 2, f"{visits} visits for three candidates"
    # the same search again finds its visits made, and no device is asked
    again = link.search(search_body(limit), seconds=60)
    assert again["outcome"] == "verified", again
    assert again["answer"]["architecture"]["id"] == answer["architecture"]["id"]
    assert link.items(f"/measurements?search={again['id']}") == []
    assert device.lease(link) is None


@fact
def a_candidate_is_measured_again_because_somebody_asks(house):
    server = house.server()
    device, link, ends = profiled(house, server)
    first = link.search(search_body(middle(ends), verify=False), seconds=60)
    answer = first["answer"]
    ordered = link.post("/jobs", {"kind": "measure", "device": DEVICE, "candidate": answer["candidate"], "visits": 3})
    assert len(ordered["jobs"]) == 3, ordered
    device.work_until(link, lambda: len(link.items(f"/measurements?subject={ordered['subject']}")) == 3, 60)
    for shown in link.items(f"/measurements?subject={ordered['subject']}"):
        assert shown["job"] in ordered["jobs"] and shown["search"] is None and shown["verdict"] == "stable", shown
    # a search that wants them finds its visits made: two of its three candidates are left to measure. It names its models, or
    # it might start from an archive that was built meanwhile
    found, visits = worked(device, link, posted(link, search_body(middle(ends), snapshot=first["snapshot"])))
    assert found["outcome"] == "verified" and visits == 2 * 2, (found["outcome"], visits)
    for wrong, pointer in (({"candidate": 10 ** 9}, "/candidate"), ({"candidate": answer["candidate"], "visits": 65}, "/visits"),
                           ({"candidate": answer["candidate"], "device": "nobody"}, "/device"), ({}, "/candidate")):
        refused = link.send("POST", "/jobs", {"kind": "measure", "device": DEVICE, **wrong})
        assert refused.status == 422 and refused.json["errors"][0]["pointer"] == pointer, refused


@fact
def a_device_slower_than_predicted_moves_the_search_on_until_something_holds(house):
    server = house.server()
    device, link, ends = profiled(house, server)
    limit = middle(ends)
    search = posted(link, search_body(limit))
    found, visits = worked(device, link, search, factor=1.2)
    assert found["state"] == "finished" and found["outcome"] == "verified", found
    assert found["round"] >= 2 and visits >= 12, (found["round"], visits)
    assert not any(v["holds"] for v in found["verifications"] if v["round"] == 1), found["verifications"]
    assert found["answer"]["metrics"]["latency_ms"]["interval"][1] <= limit, found["answer"]
    # the export is of the first predicting phase, and stays
    assert link.send("GET", f"/search/{search}/export").status == 200


@fact
def when_no_round_holds_the_best_measured_one_is_given_and_called_unverified(house):
    server = house.server()
    device, link, ends = profiled(house, server)
    limit = middle(ends)
    search = posted(link, search_body(limit, verify={"top_k": 2, "rounds": 2}))
    slow = [1.2]

    def done():
        shown = link.get(f"/search/{search}")
        slow[0] = 1.2 if shown["round"] < 2 else 1.7  # slower again than what the first round taught
        return shown["state"] in ENDED
    deadline = time.monotonic() + 120
    while not done():
        assert time.monotonic() < deadline
        job = device.lease(link, wait=1)
        if job:
            device.do(link, job, factor=slow[0])
    found = link.get(f"/search/{search}")
    assert found["state"] == "finished" and found["outcome"] == "unverified", found
    assert found["round"] == 2 and found["answer"]["verified"] is False, found
    assert found["answer"]["metrics"]["latency_ms"]["kind"] == "measured", found["answer"]
    measured = [v["median_ms"] for v in found["verifications"]]
    assert all(value > limit for value in measured), (measured, limit)


@fact
def visits_that_never_become_stable_verify_nothing(house):
    server = house.server()
    device, link, ends = profiled(house, server)
    found, visits = worked(device, link, posted(link, search_body(middle(ends), verify={"top_k": 1, "rounds": 1})),
                           noise=0.8)
    assert found["state"] == "finished" and found["outcome"] == "unverified", found
    assert visits == 3, visits
    assert found["answer"]["verified"] is False and found["verifications"][0]["stable_visits"] == 0, found


@fact
def a_job_that_the_device_cannot_do_does_not_keep_the_search_waiting(house):
    server = house.server()
    device, link, ends = profiled(house, server)
    search = posted(link, search_body(middle(ends), verify={"top_k": 1, "rounds": 1}))
    deadline = time.monotonic() + 60
    while link.get(f"/search/{search}")["state"] not in ENDED:
        assert time.monotonic() < deadline, link.get(f"/search/{search}")
        job = device.lease(link, wait=1)
        if job:
            assert device.tell(link, job, "fail", reason="the disk is full").status == 200
    found = link.get(f"/search/{search}")
    assert found["state"] in ("finished", "failed") and found["outcome"] != "verified", found


@fact
def a_lease_that_its_agent_lost_comes_back_to_it_first(house):
    server = house.server()
    link = server.link()
    device = PlayedDevice(DEVICE, house.seed)
    device.register(link)
    link.post("/jobs", {"kind": "profile", "device": DEVICE, "space": SPACE})
    job = device.lease(link)
    server.kill()
    server.start()
    link = server.link()
    again = device.lease(link)
    assert again["id"] == job["id"], "another job while the first is still leased"
    device.do(link, again)
    assert device.lease(link)["id"] != job["id"]
    # whoever completes it again changes nothing, and nobody can fail it now
    assert device.tell(link, again, "complete").status == 200
    assert device.tell(link, again, "fail", reason="too late").status == 409
    assert device.tell(link, again, "renew").status == 409


def after_an_hour(server):
    """Nobody has heard of the device for an hour; a link to the server."""
    assert server.stop() == 0
    database = sqlite3.connect(server.database)
    database.execute("UPDATE device SET seen_ns = seen_ns - 3600000000000")
    database.commit()
    database.close()
    server.start()
    return server.link()


@fact
def what_was_measured_before_verifies_a_search_while_the_device_is_away(house):
    server = house.server()
    device, link, ends = profiled(house, server)
    found, _ = worked(device, link, posted(link, search_body(middle(ends))))
    link = after_an_hour(server)
    again = link.search(search_body(middle(ends)), seconds=60)
    assert again["outcome"] == found["outcome"] == "verified", again
    assert again["answer"]["architecture"]["id"] == found["answer"]["architecture"]["id"]


@fact
def a_device_that_is_away_leaves_a_predicted_answer_and_goes_on_when_it_is_back(house):
    server = house.server()
    device, link, ends = profiled(house, server)
    search = posted(link, search_body(middle(ends)))
    until(lambda: link.get(f"/search/{search}")["state"] == "verifying", 60, "verifying")
    link = after_an_hour(server)
    shown = until(lambda: in_state(link, search, "waiting_for_device"), 30, "waiting for the device")
    assert DEVICE in shown["message"] and "T" in shown["message"] and "Z" in shown["message"], shown["message"]
    assert shown["answer"]["metrics"]["latency_ms"]["kind"] == "predicted" and not shown["answer"]["verified"], shown
    assert link.get(f"/devices/{DEVICE}")["online"] is False
    # who waits for an answer gets the predicted one
    waited = link.send("POST", "/search", search_body(middle(ends), label="patient"), wait=60, timeout=90)
    assert waited.status == 200 and waited.json["state"] == "waiting_for_device", waited
    assert waited.json["answer"]["metrics"]["latency_ms"]["kind"] == "predicted"
    device.register(link)
    found, _ = worked(device, link, search)
    assert found["state"] == "finished" and found["outcome"] == "verified", found


def in_state(link, search, state):
    shown = link.get(f"/search/{search}")
    return shown if shown["state"] == state else None


@fact
def a_cancelled_search_asks_for_nothing_more(house):
    server = house.server()
    device, link, ends = profiled(house, server)
    search = posted(link, search_body(middle(ends)))
    until(lambda: in_state(link, search, "verifying"), 60, "verifying")
    assert link.send("POST", f"/search/{search}:cancel").status == 200
    assert link.send("POST", f"/search/{search}:cancel").status == 409
    assert link.get(f"/search/{search}")["state"] == "cancelled"
    assert device.lease(link) is None
    # a search that is running stops too
    long = posted(link, search_body(middle(ends), budget={"evaluations": 100000000}, verify=False))
    until(lambda: in_state(link, long, "running"), 60, "running")
    assert link.send("POST", f"/search/{long}:cancel").status == 200
    quick = link.search(search_body(middle(ends), verify=False), seconds=60)
    assert quick["outcome"] == "predicted", quick


if __name__ == "__main__":
    main()
