#!/usr/bin/env python3
"""Servers beyond loopback, and devices that misbehave: real programs, TLS with authorities of the test's own, disks without room."""
import http.client
import os
import re
import shutil
import ssl
import subprocess
import sys

from tailor import Program, Server, Skip, fact, main, until

SMALL = "nasbench-macro"
SUBJECT = "subjectAltName=DNS:localhost,IP:127.0.0.1"


def run(*command, **options):
    return subprocess.run(command, check=True, capture_output=True, text=True, **options)


class Authority:
    """A certificate authority that certifies this machine."""

    def __init__(self, house, name="authority"):
        if not shutil.which("openssl"):
            raise Skip("openssl is not here, so that no certificate can be made")
        self.ca, ca_key = house.path(f"{name}.pem"), house.path(f"{name}.key")
        self.cert, self.key, request = (house.path(f"{name}-server.{ending}") for ending in ("pem", "key", "csr"))
        extensions = house.path(f"{name}.ext")
        with open(extensions, "w", encoding="utf-8") as file:
            file.write(SUBJECT)
        fresh = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
        run("openssl", "req", "-x509", *fresh, "-keyout", ca_key, "-out", self.ca, "-days", "2", "-subj", f"/CN={name}")
        run("openssl", "req", *fresh, "-keyout", self.key, "-out", request, "-subj", "/CN=localhost")
        run("openssl", "x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", ca_key, "-CAcreateserial", "-out",
            self.cert, "-days", "2", "-extfile", extensions)
        os.chmod(self.key, 0o600)


class SafeServer(Server):
    """A server that listens on every address, with TLS."""

    def __init__(self, house, name, authority):
        super().__init__(house, name)
        self.authority = authority

    def start(self):
        self.program = self.house.program(*self.command, "--data", self.data, "--listen", "0.0.0.0:0", "--tls-cert",
                                          self.authority.cert, "--tls-key", self.authority.key)
        self.port = int(self.program.line(r"listening on https://0\.0\.0\.0:(\d+)", 60).group(1))

    def connection(self):
        trusted = ssl.create_default_context(cafile=self.authority.ca)
        return http.client.HTTPSConnection("127.0.0.1", self.port, context=trusted)


def token_file(house, name, secret):
    path = house.path(name)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as file:
        file.write(secret + "\n")
    return path


def tokens_made(house, *devices):
    """A data folder with a client's token and one for each device's agent; the secrets."""
    server = house.server("data")
    link = server.link()
    client = link.post("/tokens", {"kind": "client", "label": "the test"})["token"]
    agents = [link.post("/tokens", {"kind": "agent", "device": name})["token"] for name in devices]
    assert server.stop() == 0
    return client, agents


def safe_server(house, authority):
    server = SafeServer(house, "data", authority)
    house.servers.append(server)
    server.start()
    return server


def agent_command(house, server, name, token, ca, state=None):
    return ["tailor-agent", "--server", f"https://localhost:{server.port}", "--name", name, "--token-file", token, "--ca",
            ca, "--state", house.path(state or "agent-" + name)]


def ended(program, seconds=60):
    status = program.process.wait(seconds)
    program.reader.join(10)
    return status


@fact
def beyond_loopback_it_starts_with_tokens_and_tls_or_says_what_is_missing(house):
    def refused(*options):
        program = house.program("tailor", "serve", "--data", house.path("data"), *options)
        assert ended(program) == 2, program.lines
        return " ".join(program.lines)
    assert "--tls-cert" in refused("--listen", "0.0.0.0:0")
    assert "tokens add --client" in refused("--listen", "0.0.0.0:0", "--insecure")
    assert "tokens add --client" in refused("--listen", "127.0.0.1:0", "--require-token")
    assert "belong together" in refused("--tls-cert", "x.pem")
    tokens_made(house)
    assert "--tls-cert" in refused("--listen", "[::]:0")
    program = house.program("tailor", "serve", "--data", house.path("data"), "--listen", "0.0.0.0:0", "--insecure")
    port = int(program.line(r"listening on http://0\.0\.0\.0:(\d+)", 60).group(1))
    program.line(r"tokens travel in the clear", 5)
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", "/devices")  # from loopback, too: a proxy there is no way around
    assert connection.getresponse().status == 401


@fact
def a_key_that_others_may_read_or_of_another_certificate_is_refused(house):
    authority, other = Authority(house), Authority(house, "other")
    tokens_made(house)

    def refused(cert, key):
        program = house.program("tailor", "serve", "--data", house.path("data"), "--listen", "127.0.0.1:0", "--tls-cert",
                                cert, "--tls-key", key)
        assert ended(program) != 0, program.lines
        return " ".join(program.lines)
    assert "PEM certificate and its key" in refused(authority.cert, other.key)
    assert "PEM certificate and its key" in refused(authority.key, authority.key)
    os.chmod(authority.key, 0o644)
    assert "chmod 600" in refused(authority.cert, authority.key)


@fact
def an_agent_measures_over_tls_with_its_token(house):
    authority, stranger = Authority(house), Authority(house, "stranger")
    client, (token,) = tokens_made(house, "board")
    server = safe_server(house, authority)
    link = server.link(client)
    path = token_file(house, "board.token", token)

    # it does not talk to a server that another authority vouches for
    deceived = house.program(*agent_command(house, server, "board", path, stranger.ca))
    deceived.line(r"certificate", 30)
    assert deceived.kill() and link.items("/devices") == []

    agent = house.program(*agent_command(house, server, "board", path, authority.ca))
    agent.line(r"registered as board", 30)
    link.post("/jobs", {"kind": "profile", "device": "board", "space": SMALL})
    until(lambda: link.items("/measurements?device=board"), 60, "a measurement")
    assert link.get("/devices/board")["online"]

    # a second agent with the same token, and one with a token for another name
    second = house.program(*agent_command(house, server, "board", path, authority.ca, "elsewhere"))
    assert ended(second) == 1
    assert re.search(r"409: another agent holds the name board.*tokens add", " ".join(second.lines)), second.lines
    other = house.program(*agent_command(house, server, "other", path, authority.ca))
    assert ended(other) == 1
    assert "for the agent of board, not of other" in " ".join(other.lines), other.lines

    # it goes on across a restart, which it sees as an outage
    port, measured = server.port, len(link.items("/measurements?device=board"))
    assert server.stop() == 0
    server.program = house.program("tailor", "serve", "--data", server.data, "--listen", f"0.0.0.0:{port}", "--tls-cert",
                                   authority.cert, "--tls-key", authority.key)
    server.program.line(r"listening on", 60)
    server.port = port
    until(lambda: len(link.ask("GET", "/measurements?device=board&page_size=1000").json["items"]) > measured, 90,
          "more measurements after the restart")

    # and leaves when its token is revoked
    agents = [t for t in link.items("/tokens") if t["device"] == "board"]
    assert len(agents) == 1 and agents[0]["registered"], agents
    assert link.send("DELETE", f"/tokens/{agents[0]['id']}").status == 204
    assert ended(agent) == 1
    assert "revoked" in agent.lines[-1], agent.lines[-3:]


@fact
def the_workers_of_a_pool_share_a_token(house):
    authority = Authority(house)
    client, (token,) = tokens_made(house, "pool")
    server = safe_server(house, authority)
    link = server.link(client)
    module = house.path("my_eval.py")
    with open(module, "w", encoding="utf-8") as file:
        file.write("def evaluate(options):\n    return {'accuracy': 50}\n")

    def worker(path):
        command = [sys.executable, "-B", "deploy/worker.py", "--name", "pool", "--key", house.path("pool.key"), "--server",
                   f"https://localhost:{server.port}", "--module", module]
        program = Program(command, {"TAILOR_TOKEN_FILE": path, "TAILOR_CA": authority.ca})
        house.programs.append(program)
        return program
    path = token_file(house, "pool.token", token)
    for _ in range(2):
        worker(path).line("is ready", 60)
    found = link.search({"space": SMALL, "evaluate": {"by": "pool", "metrics": ["accuracy"]},
                         "budget": {"evaluations": 30}})
    assert found["answer"]["metrics"]["accuracy"]["value"] == 50, found
    os.chmod(path, 0o644)
    open_to_all = worker(path)
    assert ended(open_to_all) == 1 and "chmod 600" in open_to_all.lines[-1], open_to_all.lines


@fact
def the_command_line_shows_its_token_from_a_file_for_its_owners_eyes(house):
    authority = Authority(house)
    client, _ = tokens_made(house)
    server = safe_server(house, authority)
    path = token_file(house, "me.token", client)
    tailor = os.path.join(house.build, "tailor")

    def call(**more):
        environment = dict(os.environ, TAILOR_SERVER=f"https://localhost:{server.port}", TAILOR_CA=authority.ca, **more)
        return subprocess.run([tailor, "tokens", "add", "--device", "board"], env=environment, capture_output=True,
                              text=True, check=False)
    assert "401" in call().stderr
    made = call(TAILOR_TOKEN_FILE=path)
    assert made.returncode == 0 and re.fullmatch(r"tlr_[0-9a-f]{64}\n", made.stdout), made
    assert call(TAILOR_TOKEN=client).returncode == 0
    assert "403" in call(TAILOR_TOKEN=made.stdout.strip()).stderr
    os.chmod(path, 0o644)
    assert "chmod 600" in call(TAILOR_TOKEN_FILE=path).stderr


@fact
def an_agent_killed_in_the_middle_of_a_job_gets_the_same_job_again(house):
    server = house.server()
    link = server.link()
    agent = house.agent(server, "board")
    agent.line(r"registered as board", 30)
    link.post("/jobs", {"kind": "profile", "device": "board", "space": SMALL})
    until(lambda: link.items("/jobs?device=board&state=leased"), 30, "a leased job")
    assert agent.kill()
    held = link.items("/jobs?device=board&state=leased")
    assert len(held) <= 1, held  # none: it was killed between two
    house.agent(server, "board").line(r"registered as board", 30)
    for job in held:
        until(lambda: link.items("/measurements?device=board"), 60, "its measurement")
        again = [j for j in link.items("/jobs?device=board") if j["id"] == job["id"]][0]
        assert again["attempt"] == job["attempt"] and again["state"] in ("leased", "done"), again
        assert link.get("/devices/board")["jobs"]["failed"] == 0


@fact
def a_device_whose_disk_is_full_is_quarantined_with_the_reason_and_loses_nothing(house):
    server = house.server()
    link = server.link()
    # no file of this agent may be longer than 512 bytes: its key fits, a measurement does not
    agent = Program(["sh", "-c", "trap '' XFSZ; ulimit -f 1; exec \"$@\"", "agent",
                     os.path.join(house.build, "tailor-agent"), "--server", f"http://127.0.0.1:{server.port}", "--name",
                     "board", "--state", house.path("agent-board")])
    house.programs.append(agent)
    agent.line(r"registered as board", 30)
    link.post("/jobs", {"kind": "profile", "device": "board", "space": SMALL})
    until(lambda: link.get("/devices/board")["state"] == "quarantined", 120, "quarantined")
    device = link.get("/devices/board")
    assert "three jobs failed within a minute" in device["state_reason"], device
    assert re.search(r"cannot write .*spool.*File too large", device["state_reason"]), device
    assert device["online"] and device["jobs"]["failed"] == 3 and device["jobs"]["leased"] == 0, device
    queued = device["jobs"]["queued"]
    assert queued > 0 and link.items("/measurements") == []

    # room again: the same device goes on
    assert agent.kill()
    house.agent(server, "board").line(r"registered as board", 30)
    assert link.get("/devices/board")["jobs"]["queued"] == queued
    assert link.post("/devices/board:resume", None)["state"] == "active"
    until(lambda: link.items("/measurements"), 60, "a measurement")


if __name__ == "__main__":
    main()
