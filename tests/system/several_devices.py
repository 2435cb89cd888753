#!/usr/bin/env python3
"""One network for several boards: devices played by the test, one slow for every operator, one slow for what it computes."""
import os
import sqlite3
import subprocess
import threading
import time

from tailor import ENDED, PlayedDevice, SPACE, fact, main, until

COSTS = {"overhead": {"op_ns": 60000, "mac_ns": 0.01}, "compute": {"op_ns": 1000, "mac_ns": 0.2}}
NAMES = list(COSTS)
COLUMNS = [f"latency_ms@{name}" for name in NAMES]


def registered(house, link):
    devices = [PlayedDevice(name, house.seed + i, **COSTS[name]) for i, name in enumerate(NAMES)]
    for device in devices:
        device.register(link)
    return devices


def profiled(house, server):
    link = server.link()
    devices = registered(house, link)
    for device in devices:
        device.profile(link)
    return devices, link


def ends_of(link):
    ranges = link.get(f"/spaces/{SPACE}/ranges?device={','.join(NAMES)}")
    assert ranges["devices"] == NAMES and "latency_ms" not in ranges["ranges"], ranges
    return [(ranges["ranges"][column]["min"], ranges["ranges"][column]["max"]) for column in COLUMNS]


def at(ends, *shares):
    return [low + share * (high - low) for (low, high), share in zip(ends, shares)]


def body(limits, **more):
    return dict({"space": SPACE, "devices": NAMES, "objective": {"maximize": "accuracy"},
                 "constraints": [{"metric": "latency_ms", "device": name, "max": limit}
                                 for name, limit in zip(NAMES, limits)],
                 "controller": {"name": "evolution", "seed": 3}, "budget": {"evaluations": 4000}}, **more)


def posted(link, request):
    answer = link.send("POST", "/search", request)
    assert answer.status == 202, answer
    return answer.json["id"]


def worked(server, devices, link, search, seconds=120, factors=None):
    """All devices work at once until the search is at its end."""
    def work(device):
        own = server.link()
        device.work_until(own, lambda: own.get(f"/search/{search}")["state"] in ENDED, seconds,
                          factor=(factors or {}).get(device.name, 1.0))
    threads = [threading.Thread(target=work, args=[device], daemon=True) for device in devices]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(seconds + 10)
    return link.get(f"/search/{search}")


def verdicts(found, candidate):
    return {v["device"]: v for v in found["verifications"] if v["candidate"] == candidate}


@fact
def one_network_holds_on_every_board_and_was_measured_on_each(house):
    server = house.server()
    link = server.link()
    devices = registered(house, link)
    # no device has a model yet, so that both are profiled first
    first = worked(server, devices, link, posted(link, body([1e6, 1e6])))
    assert first["outcome"] == "verified", first
    models = {name: link.get(f"/devices/{name}")["models"][0] for name in NAMES}
    assert all(model["mape"] < 2 for model in models.values()), models
    limits = at(ends_of(link), 0.5, 0.4)
    found = worked(server, devices, link, posted(link, body(limits)))
    assert found["state"] == "finished" and found["outcome"] == "verified", found
    assert found["devices"] == NAMES and "device" not in found, found
    answer = found["answer"]
    for column, limit in zip(COLUMNS, limits):
        value = answer["metrics"][column]
        assert value["kind"] == "measured" and value["interval"][1] <= limit, (column, value, limit)
        assert found["best"][column] == value["value"], found["best"]
    assert "latency_ms" not in answer["metrics"] and answer["verification"] is None, answer
    assert [v["device"] for v in answer["verifications"]] == NAMES, answer
    assert all(v["holds"] and v["visits"] >= 2 and v["blocks"] >= 20 for v in answer["verifications"]), answer
    for column, name in zip(COLUMNS, NAMES):
        for measurement in answer["metrics"][column]["measurements"]:
            assert link.get(f"/measurements/{measurement}")["device"] == name
    # the search is found under each of its devices, and under no other
    for name in NAMES:
        assert found["id"] in [row["id"] for row in link.items(f"/search?device={name}")]
    assert link.items("/search?device=neither") == []
    # what was found answers other limits on each board, draws on each board's axis, and names each board's blocks
    tighter = at(ends_of(link), 0.45, 0.35)
    narrowed = link.items(f"/search/{found['id']}/front?max_{COLUMNS[0]}={tighter[0]}&max_{COLUMNS[1]}={tighter[1]}")
    assert 0 < len(narrowed) < len(link.items(f"/search/{found['id']}/front")), narrowed
    assert all(c["metrics"][k]["value"] <= m for c in narrowed for k, m in zip(COLUMNS, tighter))
    points = link.get(f"/search/{found['id']}/points?x={COLUMNS[1]}")
    assert len(points["x"]) > 100 and min(points["x"]) > 0, len(points["x"])
    assert link.send("GET", f"/search/{found['id']}/points?x=latency_ms").status == 422
    blocks = link.get(f"/candidates/{answer['candidate']}")["network"]["blocks"]
    assert all(block[column] > 0 for block in blocks for column in COLUMNS), blocks[0]
    export = link.get(f"/search/{found['id']}/export")
    assert all(len(export["front"][column]) == len(export["front"]["accuracy"]) for column in COLUMNS)
    assert all(x <= limit for column, limit in zip(COLUMNS, limits) for x in export["front"][column])


@fact
def a_board_that_is_slower_than_predicted_is_corrected_alone(house):
    server = house.server()
    devices, link = profiled(house, server)
    limits = at(ends_of(link), 0.5, 0.4)
    found = worked(server, devices, link, posted(link, body(limits)), factors={"compute": 1.25})
    assert found["outcome"] == "verified" and found["round"] >= 2, found
    ones = [v for v in found["verifications"] if v["round"] == 1]
    assert any(v["device"] == "overhead" and v["holds"] for v in ones), ones
    assert not any(v["device"] == "compute" and v["holds"] for v in ones), ones
    last = link.get(f"/search/{found['id']}/events?after=0")["items"][-1]["data"]["corrections"]
    assert abs(last[0]["scale"] - 1) < 0.05 < 0.15 < last[1]["scale"] - 1, last
    both = verdicts(found, found["answer"]["candidate"])
    assert all(both[name]["upper_ms"] <= limit for name, limit in zip(NAMES, limits)), both


@fact
def a_board_that_is_away_is_named_and_the_search_goes_on_when_it_is_back(house):
    server = house.server()
    devices, link = profiled(house, server)
    search = posted(link, body(at(ends_of(link), 0.5, 0.4)))
    until(lambda: link.get(f"/search/{search}")["state"] == "verifying", 60, "verifying")
    assert server.stop() == 0
    database = sqlite3.connect(server.database)
    database.execute("UPDATE device SET seen_ns = seen_ns - 3600000000000 WHERE name = 'compute'")
    database.commit()
    database.close()
    server.start()
    link = server.link()
    devices[0].register(link)
    shown = until(lambda: waiting(link, search), 60, "waiting for the device")
    assert "compute" in shown["message"] and "overhead" not in shown["message"], shown["message"]
    devices[1].register(link)
    found = worked(server, devices, link, search)
    assert found["outcome"] == "verified", found


def waiting(link, search):
    shown = link.get(f"/search/{search}")
    return shown if shown["state"] == "waiting_for_device" else None


@fact
def a_limit_that_one_board_cannot_meet_is_refused_with_what_each_can(house):
    server = house.server()
    _, link = profiled(house, server)
    ends = ends_of(link)
    answer = link.send("POST", "/search", body([ends[0][0] * 2, ends[1][0] * 0.5]))
    assert answer.status == 422, answer
    problem = answer.json
    assert problem["errors"][0]["pointer"] == "/constraints/1/max" and "latency_ms@compute" in problem["detail"], problem
    assert [problem["ranges"][column]["min"] for column in COLUMNS] == [low for low, _ in ends], problem
    # the objectives may be the latencies themselves
    front = link.search({"space": SPACE, "devices": NAMES, "verify": False, "budget": {"evaluations": 3000},
                         "objectives": [{"minimize": "latency_ms", "device": "overhead"},
                                        {"minimize": "latency_ms", "device": "compute"}]})
    assert front["outcome"] == "predicted" and front["objectives"][1]["device"] == "compute", front
    pairs = sorted((c["metrics"][COLUMNS[0]]["value"], c["metrics"][COLUMNS[1]]["value"])
                   for c in link.items(f"/search/{front['id']}/front"))
    assert all(a[0] < b[0] and a[1] > b[1] for a, b in zip(pairs, pairs[1:])), pairs


@fact
def the_same_bytes_come_of_the_same_search_and_after_a_kill(house):
    exports = []
    server = house.server()
    _, link = profiled(house, server)
    request = body(at(ends_of(link), 0.5, 0.4), verify=False, budget={"evaluations": 60000})
    for kills in (0, 2):
        search = posted(link, request)
        for _ in range(kills):
            until(lambda: link.get(f"/search/{search}")["state"] != "queued", 60, "it runs")
            time.sleep(0.3)
            server.kill()
            server.start()
            link = server.link()
        link.ended(search)
        exports.append(link.send("GET", f"/search/{search}/export").body)
    assert exports[0] == exports[1] and len(exports[0]) > 10000


@fact
def archives_are_of_one_board_or_none(house):
    server = house.server(command=("tailor", "serve", "--archive", "2000"))
    _, link = profiled(house, server)
    request = body(at(ends_of(link), 0.5, 0.4), verify=False, budget={"evaluations": 1000})
    plain = {"space": SPACE, "budget": {"evaluations": 1000}}
    for one in (plain, request):
        link.search(one)
    server.program.line("archive: .* on no device: .* members", 60)  # those of several, searched later, would come first
    assert not [line for line in server.program.lines if "archive: " in line and NAMES[0] in line]
    assert link.search(plain)["archive_members"] > 0
    found = link.search(request)
    assert found["archive_members"] == 0 and found["answered_from"] == "search", found


def said(house, server, *arguments):
    done = subprocess.run([os.path.join(house.build, "tailor"), *arguments], capture_output=True, text=True, timeout=120,
                          check=False, env=dict(os.environ, TAILOR_SERVER=f"http://127.0.0.1:{server.port}"))
    return done.returncode, done.stdout, done.stderr


@fact
def the_command_line_asks_for_one_network_or_for_one_a_board(house):
    server = house.server()
    profiled(house, server)
    boards = [word for name in NAMES for word in ("--device", name)]
    common = ["search", "--space", SPACE, *boards, "--no-verify", "--evaluations", "3000"]
    code, out, err = said(house, server, *common, "--max", "latency_ms@overhead=50%", "--max", "latency_ms@compute=40%")
    assert code == 0, err
    for column in COLUMNS:
        assert any(line.split()[0] == column and "<=" in line for line in out.splitlines() if line.strip()), out
    code, out, err = said(house, server, *common, "--each", "--max", "latency_ms=40%", "--max", "latency_ms@compute=35%")
    assert code == 0 and all(f"--- {name} ---" in out for name in NAMES), (out, err)
    rows = [line for line in out.splitlines() if line.split()[:1] == ["latency_ms"]]
    assert [row.count("<=") for row in rows] == [1, 2], rows
    for wrong, told in ((["--max", "latency_ms=5"], "latency_ms@overhead"), (["--max", "macs@compute=5"], "macs"),
                        (["--max", "latency_ms@nano=5"], "--device nano"), (["--device", "compute"], "once")):
        code, out, err = said(house, server, *common, *wrong)
        assert code != 0 and told in err, (wrong, err)


if __name__ == "__main__":
    main()
