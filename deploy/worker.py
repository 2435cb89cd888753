#!/usr/bin/env python3
"""A worker: your own code values the architectures that Tailor's searches ask for.

    deploy/worker.py --name my-supernet-v3 --module my_eval.py

my_eval.py has one function. It gets the options of an architecture (variable -> label, as in architecture.json; a
variable that is not active is not there) and returns the metrics that the search asks for; None in place of a number, or of
all, says that the architecture cannot be valued:

    import supernet                                     # yours
    net = supernet.load("weights.pth")

    def evaluate(options):
        depth = [int(options[f"s{i}.depth"]) for i in range(1, 6)]
        net.set_active(depth=depth)
        return {"accuracy": net.validate()}             # in points, 0 to 100

Then ask for a search whose values come from it:

    tailor search --space my-space --evaluate-by my-supernet-v3 --evaluate accuracy

Start as many workers as you like, on as many machines: those with the same --name and --key file are one pool, and each
works at a job of its own. The name says what is asked: what it answered is kept and used again by other searches, so give
new weights a new name. A worker may be killed at any time (somebody else gets its job when the lease runs out, a minute
later), and it waits for a server that is away. Only the standard library is used.

Threads: the main one evaluates; another one renews the lease meanwhile.
"""
import argparse
import http.client
import importlib.util
import json
import math
import os
import random
import re
import secrets
import sys
import threading
import time
import traceback
import urllib.error
import urllib.request

WAIT_S = 30  # a lease call waits so long for work
PAUSE_FIRST_S, PAUSE_MOST_S = 0.5, 20
REASON_MAX_BYTES = 200


def evaluate(options):
    """Replace this, or give --module. options: {"s1.depth": "3", ...}; returns {"accuracy": 76.1, ...}."""
    raise NotImplementedError("give --module FILE with a function evaluate(options), or write it into worker.py")


def say(text):
    print(time.strftime("%H:%M:%S"), text, flush=True)


# ---- the server ------------------------------------------------------------------------------------------------------


class Refused(Exception):
    """The server will never take this: status and its sentence."""

    def __init__(self, status, detail):
        super().__init__(f"{status} {detail}")
        self.status = status
        self.detail = detail


def detail_of(body):
    """What a problem document says, with the fields that it names."""
    try:
        problem = json.loads(body)
        fields = ", ".join(error["pointer"] for error in problem.get("errors", []) if error.get("pointer"))
        return f"{problem['detail']}{f' ({fields})' if fields else ''}"
    except (ValueError, KeyError, TypeError):
        return body[:200].decode("utf-8", "replace")


class Server:
    """POSTs, tried again for as long as the server is away (no connection, 500 and up) or asks for patience (429)."""

    def __init__(self, url):
        self.url = url.rstrip("/")
        self.is_away = False

    def once(self, path, body, wait_s):
        """(status, document or None, seconds to wait before the next try or None)."""
        request = urllib.request.Request(self.url + path, json.dumps(body, allow_nan=False).encode(),
                                         {"Content-Type": "application/json"})
        if wait_s:
            request.add_header("Prefer", f"wait={wait_s}")
        try:
            with urllib.request.urlopen(request, timeout=wait_s + 30) as answer:
                text = answer.read()
                return answer.status, json.loads(text) if text else None, None
        except urllib.error.HTTPError as problem:
            if problem.code == 429 or problem.code >= 500:
                after = problem.headers.get("Retry-After", "")
                return problem.code, None, float(after) if after.isdigit() else 0.0
            raise Refused(problem.code, detail_of(problem.read())) from problem
        except (OSError, http.client.HTTPException, ValueError):  # refused, reset, cut off
            return 0, None, 0.0

    def post(self, path, body, wait_s=0, tries=None):
        """The document of the answer (None: it has none). tries None: until there is an answer."""
        pause_s = PAUSE_FIRST_S
        while True:
            status, document, after_s = self.once(path, body, wait_s)
            if after_s is None:
                if self.is_away:
                    say(f"{self.url} is back")
                self.is_away = False
                return document
            if not self.is_away:
                say(f"{self.url} {f'answers {status}' if status else 'is away'}: trying again")
            self.is_away = True
            tries = tries - 1 if tries is not None else None
            if tries == 0:
                return None
            time.sleep(max(after_s, pause_s * (0.5 + random.random())))
            pause_s = min(2 * pause_s, PAUSE_MOST_S)


# ---- a job -----------------------------------------------------------------------------------------------------------


class Lease:
    """Renewed by a thread until it is left; `lost` once the server gave the job to somebody else or took it back."""

    def __init__(self, server, job, key):
        self.server = Server(server.url)
        self.path = f"/jobs/{job['id']}:renew"
        self.body = {"attempt": job["attempt"], "agent_key": key}
        self.every_s = job["lease_s"] / 3
        self.lost = False
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._renew, daemon=True)

    def _renew(self):
        while not self.over.wait(self.every_s) and not self.lost:
            try:
                self.server.post(self.path, self.body, tries=1)
            except Refused:
                self.lost = True

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


def value_of(values, metric):
    """A number, or None where the code says that there is none (None, nan, inf)."""
    if metric not in values:
        raise KeyError(f"evaluate() returned no {metric}, but {sorted(values)}")
    value = values[metric]
    if value is None:
        return None
    value = float(value)  # also of numpy, or a tensor of one number
    return value if math.isfinite(value) else None


def values_of(function, job, lease):
    """The answer to a job; None when the lease was lost on the way."""
    answer = []
    for architecture in job["architectures"]:
        if lease.lost:
            return None
        values = function(dict(architecture["options"]))
        values = dict.fromkeys(job["metrics"]) if values is None else values
        answer.append(dict({metric: value_of(values, metric) for metric in job["metrics"]}, id=architecture["id"]))
    return answer


def reason_of(problem):
    """One short line."""
    text = re.sub(r"\s+", " ", f"{type(problem).__name__}: {problem}")
    return text.encode()[:REASON_MAX_BYTES].decode("utf-8", "ignore")


def work(server, function, job, key):
    """Do a job and tell the server, whatever comes of it."""
    call = {"attempt": job["attempt"], "agent_key": key}
    begin = time.monotonic()
    try:
        with Lease(server, job, key) as lease:
            values = values_of(function, job, lease)
        if values is not None:
            server.post(f"/jobs/{job['id']}:complete", dict(call, values=values))
            say(f"{len(values)} architectures in {time.monotonic() - begin:.1f} s: "
                + ", ".join(f"{metric} {values[-1][metric]}" for metric in job["metrics"]))
            return
    except Refused as problem:
        if problem.status in (404, 409):  # no longer ours
            say(f"job {job['id']}: {problem.detail}")
            return
        reason = reason_of(problem)
    except Exception as problem:  # whatever the user's code raises
        traceback.print_exc()
        reason = reason_of(problem)
    else:
        say(f"job {job['id']} was given to somebody else, or its search is over")
        return
    try:
        server.post(f"/jobs/{job['id']}:fail", dict(call, reason=reason))
        say(f"job {job['id']} failed: {reason}")
    except Refused as problem:
        say(f"job {job['id']}: {problem.detail}")


# ---- the program -----------------------------------------------------------------------------------------------------


def load(path):
    """The function evaluate of a Python file."""
    spec = importlib.util.spec_from_file_location("worker_module", path)
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, os.path.dirname(os.path.abspath(path)))
    spec.loader.exec_module(module)
    if not callable(getattr(module, "evaluate", None)):
        sys.exit(f"{path} has no function evaluate(options)")
    return module.evaluate


def pool_key(path):
    """The secret of the pool: read, or made by its first worker."""
    try:
        os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_hex(16))
    except FileExistsError:
        pass
    for _ in range(50):  # another worker may be writing it
        with open(path) as file:
            key = file.read().strip()
        if re.fullmatch("[0-9a-f]{32}", key):
            return key
        time.sleep(0.1)
    sys.exit(f"{path} holds no key: 32 hexadecimal digits")


def options_of(arguments):
    parser = argparse.ArgumentParser(description="Let your own code value the architectures of Tailor's searches.",
                                     epilog="The head of this file says how; --module FILE has evaluate(options).")
    parser.add_argument("--name", required=True, help="of the pool: what \"evaluate\": {\"by\": NAME} asks for")
    parser.add_argument("--module", metavar="FILE", help="a Python file with a function evaluate(options) -> dict")
    parser.add_argument("--server", default=os.environ.get("TAILOR_SERVER", "http://127.0.0.1:8080"), metavar="URL",
                        help="default: the variable TAILOR_SERVER, else http://127.0.0.1:8080")
    parser.add_argument("--key", metavar="FILE", help="the pool's secret, the same for all its workers; made where it is "
                        "not there (default: ~/.local/state/tailor/worker-NAME.key)")
    parser.add_argument("--idle", type=float, metavar="S", help="leave after S seconds without work (default: never)")
    return parser.parse_args(arguments)


def main(arguments=None):
    options = options_of(arguments)
    function = load(options.module) if options.module else evaluate
    key = pool_key(options.key or os.path.expanduser(f"~/.local/state/tailor/worker-{options.name}.key"))
    server = Server(options.server)
    try:
        server.post("/devices", {"name": options.name, "agent_key": key,
                                 "info": {"worker": True, "program": "worker.py", "python": sys.version.split()[0]}})
        say(f"{options.name} is ready; asking {server.url} for work")
        idle_since = time.monotonic()
        while options.idle is None or time.monotonic() - idle_since < options.idle:
            wait_s = WAIT_S if options.idle is None else max(1, min(WAIT_S, math.ceil(options.idle)))
            job = server.post("/jobs:lease", {"device": options.name, "agent_key": key}, wait_s)
            if job:
                work(server, function, job, key)
                idle_since = time.monotonic()
    except Refused as problem:
        sys.exit(f"{server.url} refuses: {problem.detail}")
    except KeyboardInterrupt:
        say("stopped; an unfinished job is given to another worker in a minute")


if __name__ == "__main__":
    main()
