#!/usr/bin/env python3
"""Other runtimes with nothing played: onnxruntime and its WebAssembly are two devices of this machine, measured and searched."""
import os
import shutil
import signal
import statistics
import sys

from tailor import Skip, fact, main, until

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path.insert(0, os.path.join(ROOT, "tests", "onnx"))
from ort import install  # noqa: E402  pylint: disable=wrong-import-position

SPACE = "cifar-mbv3"
PROFILES_MAX = 2
RUNTIMES = {"node": "onnxruntime-node", "wasm": "onnxruntime-wasm"}


def start_agents(house, server):
    """An agent for each runtime, as somebody would start them; they share one lock."""
    if house.sanitized:
        raise Skip(f"built with {house.sanitized}: it would only be slower")
    if len(os.sched_getaffinity(0)) < 2:
        raise Skip("one processor: server and measurement would share it")
    if not shutil.which("node"):
        raise Skip("node is not here")
    folder = install(os.path.join(house.build, "tests", "onnx", "onnxruntime"))
    if not folder:
        raise Skip("onnxruntime-node is not here and cannot be installed")
    environment = {"TAILOR_NODE_MODULES": os.path.join(folder, "node_modules")}
    return {name: house.agent(server, name, "--config", os.path.join(ROOT, "deploy", "runners", f"{runtime}.json"),
                              environment=environment)
            for name, runtime in RUNTIMES.items()}


def devices(link):
    return {device["name"]: device for device in link.items("/devices") if device["online"]}


def open_jobs(link):
    return [job for job in link.items("/jobs") if job["state"] in ("queued", "leased")]


def profile(link, name):
    link.post("/jobs", {"kind": "profile", "device": name, "space": SPACE})


def medians(link, name):
    """What the device measured, in milliseconds as they were, by network."""
    seen = {}
    for row in link.items(f"/measurements?device={name}&kind=network"):
        seen.setdefault(row["subject"], []).append(row["median_ms"])
    return {subject: statistics.median(values) for subject, values in seen.items()}


def check_files(link, name):
    """Every measurement tells its runtime, and the hash of the file that was timed: one for each network."""
    hashes = {}
    for row in link.items(f"/measurements?device={name}")[:12]:
        body = link.get(f"/measurements/{row['id']}")["body"]
        assert body["context"]["runtime"].startswith(RUNTIMES[name] + " "), body["context"]
        assert body["samples"] == "runs" and len(body["context"]["model"]) == 32, body["context"]
        hashes[row["subject"]] = body["context"]["model"]
    assert len(set(hashes.values())) == len(hashes) > 1, hashes
    return hashes


def models(link):
    """The latency models of both devices. Where too few visits were stable, more profiles add to them."""
    for _ in range(PROFILES_MAX):
        until(lambda: not open_jobs(link), 600, "the profiles' jobs ended")
        try:
            return until(lambda: all(d["models"] for d in devices(link).values()) and devices(link), 10, "models")
        except AssertionError:
            for name, device in devices(link).items():
                if not device["models"]:
                    profile(link, name)
    raise Skip(f"this machine is too busy to measure on: {PROFILES_MAX} profiles have fewer than 8 stable visits")


def search_body(device, limit_ms):
    return {"space": SPACE, "device": device, "objective": {"maximize": "accuracy"},
            "constraints": [{"metric": "latency_ms", "max": limit_ms}], "controller": {"name": "evolution", "seed": 1},
            "budget": {"evaluations": 2000}, "verify": {"top_k": 2, "rounds": 2}}


@fact
def two_runtimes_of_one_machine_are_two_devices(house):
    server = house.server()
    link = server.link()
    agents = start_agents(house, server)
    until(lambda: len(devices(link)) == 2, 60, "both agents registered")
    for name, device in devices(link).items():
        info = device["info"]
        assert info["runtime"].startswith(RUNTIMES[name] + " ") and info["batch"] == 1, info
        assert info["number_type"] == "float32" and info["threads"] == 1, info
        profile(link, name)
    until(lambda: not open_jobs(link), 600, "the profiles' jobs ended")
    states = {job["state"] for job in link.items("/jobs")}
    assert states == {"done"}, [job for job in link.items("/jobs") if job["state"] != "done"]
    assert check_files(link, "node") == check_files(link, "wasm"), "the same networks are other files"
    node, wasm = medians(link, "node"), medians(link, "wasm")
    ratios = [wasm[subject] / node[subject] for subject in node]
    print(f"{len(ratios)} networks: WebAssembly takes {min(ratios):.2f} to {max(ratios):.2f} times as long as native code")
    assert len(ratios) > 20 and statistics.median(ratios) > 1.1, ratios

    known = models(link)
    for name, device in known.items():
        model = device["models"][0]
        print(f"{name}: anchor {device['anchor_reference_ms']:.2f} ms, {model['networks']} networks, {model['blocks']} "
              f"blocks, held-out error {model['mape']:.2f} %, Spearman {model['spearman']:.4f}")
    assert known["node"]["models"][0]["hash"] != known["wasm"]["models"][0]["hash"]
    ends = {name: link.get(f"/spaces/{SPACE}/ranges?device={name}")["ranges"]["latency_ms"] for name in known}
    assert ends["wasm"]["max"] > 1.1 * ends["node"]["max"], ends

    limit = ends["node"]["min"] + 0.5 * (ends["node"]["max"] - ends["node"]["min"])
    found = link.search(search_body("node", limit), seconds=240)
    print(f"limit {limit:.4f} ms: {found['outcome']}, {found['message']}")
    assert found["state"] == "finished" and found["outcome"] in ("verified", "unverified"), found
    assert all(v["visits"] >= 2 for v in found["verifications"]), found["verifications"]  # stable or not: it may be busy here
    if found["outcome"] == "verified":
        latency = found["answer"]["metrics"]["latency_ms"]
        assert latency["kind"] == "measured" and latency["interval"][1] <= limit, (latency, limit)
    for agent in agents.values():
        assert agent.end(signal.SIGTERM, 10) == 0


if __name__ == "__main__":
    main()
