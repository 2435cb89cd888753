"""The real programs in folders of their own, for tests that look at the whole of Tailor.

A test file is a list of functions marked @fact, each named as the fact it shows, and ends with main(). Facts get a House:
a temporary folder, the programs started in it, and the promise that both are gone afterwards. Only the standard library is
used.

Threads: a House belongs to the main thread (a child dies with the thread that started it); a Link to one thread.
"""
import argparse
import ctypes
import hashlib
import http.client
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import urllib.parse
import uuid

SKIP_CODE = 77  # what ctest takes for "not run here"
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)
SPACE = "ofa-mbv3-w1.0"


class Skip(Exception):
    """This fact cannot be shown here; the sentence says why."""


class Gone(Exception):
    """The server did not answer: it is being killed, or is not up yet."""


def data_path(name):
    """A file or folder of the public data sets; skips the fact where it is absent."""
    path = os.path.join(os.environ.get("TAILOR_DATA", "../shared/data"), name)
    if not os.path.exists(path):
        raise Skip(f"{path} is not there (set TAILOR_DATA to the folder of public data)")
    return path


def until(condition, seconds, what):
    """Ask until the answer is true, and return it. The pause only spares the processor: nothing depends on its length."""
    pause = threading.Event()
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"after {seconds} s still not: {what}")
        pause.wait(0.02)


# ---- programs --------------------------------------------------------------------------------------------------------


class Program:
    """A child process whose output is kept line by line."""

    def __init__(self, arguments, environment=None, processors=None):
        def in_child():
            LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if processors:
                os.sched_setaffinity(0, processors)

        self.lines = []
        self.news = threading.Condition()
        self.ended = False
        self.process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, preexec_fn=in_child,
                                        env=dict(os.environ, **(environment or {})))
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            with self.news:
                self.lines.append(line.decode("utf-8", "replace").rstrip("\n"))
                self.news.notify_all()
        with self.news:
            self.ended = True
            self.news.notify_all()

    def line(self, pattern, seconds):
        """The match of the first line, past or to come, that fits."""
        deadline = time.monotonic() + seconds
        seen = 0
        with self.news:
            while True:
                while seen < len(self.lines):
                    match = re.search(pattern, self.lines[seen])
                    seen += 1
                    if match:
                        return match
                left = deadline - time.monotonic()
                if self.ended or left <= 0:
                    said = "\n".join(self.lines[-20:])
                    raise AssertionError(f"{self.process.args[0]} never said /{pattern}/, but:\n{said}")
                self.news.wait(left)

    def signal(self, number):
        if self.process.poll() is None:
            self.process.send_signal(number)

    def end(self, number, seconds):
        """Send a signal, wait for the end, return the exit status."""
        self.signal(number)
        status = self.process.wait(seconds)
        self.reader.join(10)
        self.process.stdout.close()
        return status

    def kill(self):
        return self.end(signal.SIGKILL, 30)


class House:
    """A temporary folder and the programs in it."""

    def __init__(self, build, sanitized):
        self.build = build
        self.sanitized = sanitized
        self.folder = tempfile.mkdtemp(prefix="tailor-system-")
        self.servers = []
        self.programs = []

    def path(self, name):
        return os.path.join(self.folder, name)

    def program(self, name, *arguments, environment=None, processors=None):
        program = Program([os.path.join(self.build, name), *arguments], environment, processors)
        self.programs.append(program)
        return program

    def server(self, name="data", **options):
        server = Server(self, name, **options)
        self.servers.append(server)
        server.start()
        return server

    def agent(self, server, name, *arguments, environment=None):
        """An agent of this house: its agents measure one at a time, whatever other tests do."""
        return self.program("tailor-agent", "--server", f"http://127.0.0.1:{server.port}", "--name", name, "--state",
                            self.path("agent-" + name), "--lock", self.path("lock"), *arguments, environment=environment)

    def tell(self):
        for program in self.programs:
            print(f"---- {' '.join(program.process.args)}: {program.process.poll()}")
            print("\n".join(program.lines[-30:]))

    def close(self):
        for program in self.programs:
            program.signal(signal.SIGCONT)
            program.signal(signal.SIGKILL)
        for program in self.programs:
            program.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


class Server:
    """A tailor serve on a data folder; it may be killed and started again, each time on another port."""

    def __init__(self, house, name, command=("tailor", "serve"), environment=None, processors=None):
        self.house = house
        self.command = command
        self.data = house.path(name)
        self.database = os.path.join(self.data, "tailor.db")
        self.options = {"environment": environment, "processors": processors}
        self.program = None
        self.port = 0  # 0: not up

    def start(self):
        self.program = self.house.program(*self.command, "--data", self.data, "--listen", "127.0.0.1:0",
                                          **self.options)
        self.port = int(self.program.line(r"listening on http://127\.0\.0\.1:(\d+)", 60).group(1))

    def kill(self):
        self.port = 0
        self.program.kill()
        self.house.programs.remove(self.program)

    def stop(self, seconds=30):
        """Ask it to leave, as a person would; its exit status."""
        self.port = 0
        return self.program.end(signal.SIGTERM, seconds)

    def connection(self):
        return http.client.HTTPConnection("127.0.0.1", self.port)

    def link(self, token=None):
        return Link(self, token)


# ---- HTTP ------------------------------------------------------------------------------------------------------------


class Answer:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def json(self):
        return json.loads(self.body)

    def __str__(self):
        return f"{self.status} {self.body[:600].decode('utf-8', 'replace')}"


class Link:
    """One connection to a server, made again when it broke."""

    def __init__(self, server, token=None):
        self.server = server
        self.token = token
        self.port = 0
        self.connection = None

    def close(self):
        if self.connection:
            self.connection.close()
            self.connection = None

    def send(self, method, path, body=None, wait=None, timeout=60, headers=None):
        """One try. A body that is no bytes is sent as JSON. Raises Gone when there was no complete answer."""
        headers = dict(headers or {})
        if self.token:
            headers.setdefault("Authorization", f"Bearer {self.token}")
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        if body is not None:
            headers.setdefault("Content-Type", "application/json")
        if wait is not None:
            headers["Prefer"] = f"wait={wait}"
        if self.port != self.server.port:
            self.close()
            self.port = self.server.port
        if not self.port:
            raise Gone("it is not up")
        try:
            if not self.connection or not self.connection.sock:  # it may have said that it closes
                self.connection = self.server.connection()
                self.connection.connect()
            self.connection.sock.settimeout(timeout)
            self.connection.request(method, path, body, headers)
            response = self.connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        except (OSError, http.client.HTTPException) as problem:
            self.close()
            raise Gone(str(problem)) from problem

    def ask(self, *arguments, seconds=60, **options):
        """Try until there is an answer, whatever happens to the server meanwhile."""
        def once():
            try:
                return self.send(*arguments, **options)
            except Gone:
                return None
        return until(once, seconds, f"an answer to {arguments[0]} {arguments[1]}")

    def get(self, path, status=200, **options):
        answer = self.send("GET", path, **options)
        assert answer.status == status, f"GET {path}: {answer}"
        return answer.json if answer.body else None

    def post(self, path, body, status=(200, 201, 202), **options):
        answer = self.send("POST", path, body, **options)
        assert answer.status in status, f"POST {path}: {answer}"
        return answer.json

    def items(self, path):
        """All items of a list, page by page."""
        items, token = [], None
        while True:
            joint = "&" if "?" in path else "?"
            page = self.get(f"{path}{joint}page_size=1000" + (f"&page_token={token}" if token else ""))
            items += page["items"]
            token = page["next_page_token"]
            if not token:
                return items

    def search(self, body, seconds=120):
        """POST a search and wait until it is at its end; the document."""
        search = self.post("/search", body, wait=min(seconds, 600), timeout=seconds + 30)
        return search if search["state"] in ENDED else self.ended(search["id"], seconds)

    def ended(self, search, seconds=120):
        """Wait, across whatever happens to the server, until a search is at its end."""
        def once():
            answer = self.ask("GET", f"/search/{search}", wait=5, seconds=seconds)
            assert answer.status == 200, f"search {search} is lost: {answer}"
            return answer.json if answer.json["state"] in ENDED else None
        return until(once, seconds, f"search {search} at its end")

    def put_artifact(self, data):
        name = hashlib.blake2b(data, digest_size=16).hexdigest()
        answer = self.send("PUT", f"/artifacts/{name}", data, headers={"Content-Type": "application/octet-stream"})
        assert answer.status in (200, 201), answer
        return name

    def import_note10(self):
        """The tutorial's inputs: once-for-all's accuracy predictor and its tables of the phone, as device note10."""
        folder = data_path("ofa_note10")
        tables = []
        for resolution in (160, 176, 192, 208, 224):
            with open(f"{folder}/{resolution}_lookup_table.yaml", "rb") as file:
                tables.append({"resolution": resolution, "artifact": self.put_artifact(file.read())})
        with open(f"{folder}/acc_predictor.safetensors", "rb") as file:
            predictor = self.put_artifact(file.read())
        self.post("/models", {"kind": "accuracy", "format": "ofa-mlp", "space": NOTE10_SPACE, "artifact": predictor})
        self.post("/models", {"kind": "latency", "format": "ofa-lut", "space": NOTE10_SPACE, "device": "note10",
                              "tables": tables})


ENDED = ("finished", "failed", "cancelled")
NOTE10_SPACE = "ofa-mbv3-w1.2"


# ---- a device played by the test -------------------------------------------------------------------------------------


def op_macs(op):
    kernel = op.get("k", 1)
    (_, _, c_in), (h_out, w_out, c_out) = op["in"], op["out"]
    if op["kind"] == "conv":
        return h_out * w_out * c_out * c_in * kernel * kernel
    if op["kind"] == "depthwise":
        return h_out * w_out * c_out * kernel * kernel
    if op["kind"] == "linear":
        return c_in * c_out
    return h_out * w_out * c_out


def network_ns(network, op_ns=3000, mac_ns=0.05):
    """What a device takes: a little for every operator, and for what it computes. Additive over blocks."""
    return sum(op_ns + mac_ns * op_macs(op) for op in network["ops"])


class PlayedDevice:
    """An agent that measures nothing: its times come from operator lists and a seeded generator."""

    def __init__(self, name, seed, **costs):
        self.name = name
        self.costs = costs  # of network_ns
        self.random = random.Random(seed)
        self.key = f"{self.random.getrandbits(128):032x}"

    def register(self, link):
        return link.post("/devices", {"name": self.name, "agent_key": self.key,
                                      "info": {"cpu": "played", "isa": "none", "threads": 1}})

    def lease(self, link, wait=None):
        """A job, or None."""
        answer = link.send("POST", "/jobs:lease", {"device": self.name, "agent_key": self.key}, wait=wait)
        assert answer.status in (200, 204), answer
        return answer.json if answer.status == 200 else None

    def tell(self, link, job, action, **more):
        return link.send("POST", f"/jobs/{job['id']}:{action}",
                         dict(attempt=job["attempt"], agent_key=self.key, **more))

    def block_ns(self, mean_ns, noise, runs):
        level = mean_ns * (1 + noise * self.random.uniform(-1, 1))
        return [max(1000, round(level * (1 + 0.001 * self.random.random()))) for _ in range(runs)]

    def measurement(self, job, item, factor=1.0, noise=0.002, runs=3):
        """The bytes of a measurement of job["items"][item]: `factor` times what the operators say."""
        rounds = job["protocol"]["rounds"]
        what = job["items"][item]
        anchor_ns = network_ns(job["anchor"]["network"], **self.costs)
        item_ns = factor * network_ns(what["network"], **self.costs)
        return json.dumps({
            "device": self.name, "agent_key": self.key, "job": job["id"], "attempt": job["attempt"], "item": item,
            "subject": what["subject"], "kind": what["kind"],
            "item_ns": [self.block_ns(item_ns, noise, runs) for _ in range(rounds)],
            "anchor_ns": [self.block_ns(anchor_ns, noise, runs) for _ in range(rounds + 1)],
            "started": "2026-01-01T00:00:00.000Z", "duration_s": 1.5,
            "context": {"others_cpu": 0.1, "steal": 0, "governor": None, "khz_before": None, "khz_after": None,
                        "temp_c_before": None, "temp_c_after": None, "load1": 0.5, "threads": 1, "isa": "none",
                        "agent": "played"}}).encode()

    def new_uuid(self):
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))

    def do(self, link, job, **options):
        """Measure, upload and complete a whole job."""
        for item in range(len(job["items"])):
            answer = link.send("PUT", f"/measurements/{self.new_uuid()}", self.measurement(job, item, **options))
            assert answer.status == 201, answer
        answer = self.tell(link, job, "complete")
        assert answer.status == 200, answer

    def work_until(self, link, done, seconds=120, **options):
        """Take jobs until done() says so; how many networks were measured for searches."""
        visits = 0
        deadline = time.monotonic() + seconds
        while not done():
            assert time.monotonic() < deadline, f"{self.name} is still not done after {seconds} s"
            job = self.lease(link, wait=1)
            if job:
                self.do(link, job, **(options if job["kind"] == "verify" else {}))
                visits += len(job["items"]) if job["kind"] == "verify" else 0
        return visits

    def profile(self, link, space=SPACE, seconds=120):
        link.post("/jobs", {"kind": "profile", "device": self.name, "space": space})
        self.work_until(link, lambda: link.get(f"/devices/{self.name}")["models"], seconds)


# ---- facts -----------------------------------------------------------------------------------------------------------

FACTS = []


def fact(function):
    FACTS.append(function)
    return function


def main():
    parser = argparse.ArgumentParser(description="Show facts about the whole of Tailor.")
    parser.add_argument("build", help="folder with the programs tailor and tailor-agent")
    parser.add_argument("facts", nargs="*", help="only these")
    parser.add_argument("--sanitized", default="", help="sanitizers that the programs were built with")
    parser.add_argument("--seed", type=int, default=None, help="of everything random (default: a new one)")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else random.SystemRandom().getrandbits(32)
    print(f"seed {seed} (--seed {seed} repeats it)", flush=True)
    failed, shown = [], 0
    for function in FACTS:
        if options.facts and function.__name__ not in options.facts:
            continue
        house = House(options.build, options.sanitized)
        house.seed = seed
        started = time.monotonic()
        verdict = "ok"
        try:
            function(house)
            shown += 1
        except Skip as why:
            verdict = f"skipped: {why}"
        except Exception:  # pylint: disable=broad-except
            verdict = "FAILED"
            failed.append(function.__name__)
            traceback.print_exc(file=sys.stdout)
            house.tell()
        finally:
            house.close()
        print(f"{function.__name__}: {verdict} ({time.monotonic() - started:.1f} s)", flush=True)
    sys.exit(1 if failed else 0 if shown else SKIP_CODE)
