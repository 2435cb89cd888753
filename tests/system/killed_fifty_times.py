#!/usr/bin/env python3
"""What a server acknowledged is there afterwards, however often it is killed."""
import hashlib
import json
import os
import random
import sqlite3
import threading

from tailor import ENDED, Gone, PlayedDevice, SPACE, Skip, fact, main, until

KILLS = 50
LOSSY = "tests/system/lossy_server"  # a server whose disk loses what was not synced when it is killed
DEVICE = "tester"


class Client(threading.Thread):
    """Something that talks to the server until it is told to stop; what it raises is raised again by finish()."""

    def __init__(self, server, seed):
        super().__init__(daemon=True)
        self.server = server
        self.link = server.link()
        self.random = random.Random(seed)
        self.stop = threading.Event()
        self.problem = None

    def run(self):
        try:
            while not self.stop.is_set():
                try:
                    self.step()
                except Gone:
                    self.stop.wait(0.005)
        except Exception as problem:  # pylint: disable=broad-except
            self.problem = problem
        self.link.close()

    def finish(self):
        self.stop.set()
        self.join(60)
        assert not self.is_alive(), f"{type(self).__name__} hangs"
        if self.problem:
            raise self.problem


class Worker(Client):
    """The device's agent: leases jobs, measures and completes them, and has itself profiled again when there are none."""

    def __init__(self, server, seed, device, jobs):
        super().__init__(server, seed)
        self.device = device
        self.jobs = jobs  # every job that was leased, for the uploaders
        self.completed = set()

    def step(self):
        job = self.device.lease(self.link)
        if not job:
            answer = self.link.send("POST", "/jobs", {"kind": "profile", "device": DEVICE, "space": SPACE})
            assert answer.status in (202, 409), answer
            return
        self.jobs.append(job)
        answer = self.device.tell(self.link, job, "complete")
        assert answer.status in (200, 409), answer
        if answer.status == 200:
            self.completed.add(job["id"])


class Uploader(Client):
    """Uploads measurements of leased jobs, each again and again until it is acknowledged."""

    def __init__(self, server, seed, jobs, key):
        super().__init__(server, seed)
        self.device = PlayedDevice(DEVICE, seed)
        self.device.key = key
        self.jobs = jobs
        self.acknowledged = {}
        self.retries = 0

    def step(self):
        if not self.jobs:
            self.stop.wait(0.005)
            return
        job = self.random.choice(self.jobs)
        body = self.device.measurement(job, self.random.randrange(len(job["items"])))
        name, tries = self.device.new_uuid(), 0
        while not self.stop.is_set():
            try:
                answer = self.link.send("PUT", f"/measurements/{name}", body)
                assert answer.status in ((201,) if tries == 0 else (200, 201)), answer
                self.acknowledged[name] = body
                return
            except Gone:
                tries += 1
                self.retries += 1
                self.stop.wait(0.005)


class Searcher(Client):
    """POSTs searches; waits for the end of some of them and keeps what they exported."""

    def __init__(self, server, seed):
        super().__init__(server, seed)
        self.posted = {}
        self.exported = {}
        self.number = 0

    def step(self):
        self.number += 1
        body = {"space": SPACE, "label": f"search {self.number}", "objective": {"maximize": "accuracy"},
                "constraints": [{"metric": "macs", "max": self.random.choice([2.5e8, 3e8, 4e8])}],
                "controller": {"name": "random", "seed": self.random.randrange(1 << 31)},
                "budget": {"evaluations": self.random.choice([300, 1000])}}
        answer = self.link.send("POST", "/search", body)
        assert answer.status == 202, answer
        search = answer.json["id"]
        assert answer.headers["Location"] == f"/search/{search}"
        self.posted[search] = body
        while not self.stop.is_set():
            try:
                answer = self.link.send("GET", f"/search/{search}", wait=2)
                assert answer.status == 200, answer
                if answer.json["state"] in ENDED:
                    assert answer.json["state"] == "finished", answer
                    export = self.link.send("GET", f"/search/{search}/export")
                    assert export.status == 200, export
                    self.exported[search] = hashlib.sha256(export.body).hexdigest()
                    return
            except Gone:
                self.stop.wait(0.005)


def check_searches(server, searcher):
    link = server.link()
    for search, body in searcher.posted.items():
        shown = link.ended(search)
        assert shown["state"] == "finished", shown
        for field in ("space", "label", "objective", "controller", "constraints"):
            assert shown[field] == body[field], (field, shown[field], body[field])
    for search, digest in searcher.exported.items():
        export = link.send("GET", f"/search/{search}/export")
        assert hashlib.sha256(export.body).hexdigest() == digest, f"search {search} exports other bytes than before"


def check_measurements(server, acknowledged):
    link = server.link()
    listed = {item["id"] for item in link.items(f"/measurements?device={DEVICE}")}
    missing = set(acknowledged) - listed
    assert not missing, f"{len(missing)} of {len(acknowledged)} acknowledged measurements are gone: {sorted(missing)[:3]}"
    name, body = next(iter(acknowledged.items()))
    assert link.send("PUT", f"/measurements/{name}", body).status == 200
    assert link.send("PUT", f"/measurements/{name}", body.replace(b"1.5", b"1.6")).status == 409


def check_file(path, acknowledged, posted, completed):
    database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert database.execute("PRAGMA foreign_key_check").fetchall() == []
    stored = dict(database.execute("SELECT id, body FROM measurement"))
    for name, body in acknowledged.items():
        assert stored[name] == body, f"measurement {name} has other bytes"
    searches = dict(database.execute("SELECT id, spec FROM search"))
    for search, body in posted.items():
        assert json.loads(searches[search])["label"] == body["label"]
    done = {row[0] for row in database.execute("SELECT id FROM job WHERE state = 'done'")}
    assert completed <= done, "an acknowledged completion is forgotten"
    numbers = database.execute("SELECT search, count(*), max(number) FROM event GROUP BY search").fetchall()
    assert all(count == last for _, count, last in numbers), "the numbers of events have holes"
    database.close()


def kill_fifty_times(house, **options):
    generator = random.Random(house.seed)
    server = house.server(**options)
    device = PlayedDevice(DEVICE, house.seed)
    device.register(server.link())
    jobs = []
    worker = Worker(server, house.seed + 1, device, jobs)
    uploaders = [Uploader(server, house.seed + 2 + i, jobs, device.key) for i in range(3)]
    searcher = Searcher(server, house.seed + 9)
    clients = [worker, searcher, *uploaders]
    for client in clients:
        client.start()
    moment = threading.Event()
    for _ in range(KILLS):
        before = sum(len(u.acknowledged) for u in uploaders)
        if generator.random() < 0.8:  # while it works; else while it is starting or has just started
            until(lambda: any(c.problem for c in clients) or sum(len(u.acknowledged) for u in uploaders) > before, 30,
                  "a measurement acknowledged")
        moment.wait(generator.uniform(0, 0.25))
        server.kill()
        server.start()
    until(lambda: any(c.problem for c in clients) or searcher.exported, 60, "a search at its end")
    for client in clients:
        client.finish()
    acknowledged = {name: body for u in uploaders for name, body in u.acknowledged.items()}
    print(f"{KILLS} kills, {len(acknowledged)} measurements, {sum(u.retries for u in uploaders)} retries, "
          f"{len(searcher.posted)} searches, {len(worker.completed)} jobs acknowledged")
    assert len(acknowledged) >= KILLS / 2
    check_measurements(server, acknowledged)
    check_searches(server, searcher)
    assert server.stop() == 0
    check_file(server.database, acknowledged, searcher.posted, worker.completed)


@fact
def nothing_acknowledged_is_lost_in_fifty_kills(house):
    kill_fifty_times(house)


@fact
def nothing_acknowledged_is_lost_when_the_power_is_cut_fifty_times(house):
    if not os.path.exists(os.path.join(house.build, LOSSY)):
        raise Skip(f"{LOSSY} is not built (TAILOR_TESTS is off)")
    kill_fifty_times(house, command=(LOSSY,))


if __name__ == "__main__":
    main()
