#!/usr/bin/env python3
"""A space of one's own: a file that is shown without a server, brought to one, and still there when it starts again."""
import json
import os
import subprocess

from tailor import fact, main

LAYERS = 6
OWN = {
    "name": "own-ops", "title": "Layers without two skips in a row", "source": "this test",
    "variables": [{"name": "width", "options": [16, 32]}] + [
        {"name": f"l{i}", "options": ["skip", {"label": "conv3", "number": 3}, "pool"]} for i in range(LAYERS)],
    "forbid": [{f"l{i}": ["skip"], f"l{i + 1}": ["skip"]} for i in range(LAYERS - 1)]}


def count():
    skip, other = 1, 2
    for _ in range(LAYERS - 1):
        skip, other = other, 2 * (skip + other)
    return 2 * (skip + other)


def written(house, space):
    path = house.path("own-space.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(space, file)
    return path


def said(house, *arguments):
    """Exit status, stdout and stderr of `tailor`."""
    done = subprocess.run([os.path.join(house.build, "tailor"), *arguments], capture_output=True, text=True, timeout=60,
                          check=False)
    return done.returncode, done.stdout, done.stderr


@fact
def a_file_is_shown_without_a_server(house):
    status, out, err = said(house, "spaces", "show", written(house, OWN))
    assert status == 0, err
    assert f"architectures: {count()}\n" in out and "never l0 skip with l1 skip" in out, out
    assert "l5               skip conv3 pool" in out, out


@fact
def spaces_that_come_with_the_program_are_listed_and_shown(house):
    status, out, err = said(house, "spaces")
    assert status == 0 and "nas-bench-201\n" in out and "architectures: 15625\n" in out and "ofa-mbv3-w1.0\n" in out, err
    status, out, err = said(house, "spaces", "show", "yoco-bert")
    assert status == 0 and "l12.ffn          512 768 1024 3072   (when layers is 12)" in out, (out, err)


@fact
def a_wrong_file_is_told_the_file_and_the_field(house):
    path = written(house, dict(OWN, forbid=[{"l0": ["skipp"]}]))
    for words in (("show", path), ("add", path)):
        status, _, err = said(house, "spaces", *words)
        assert status == 2 and "own-space.json" in err and "/forbid/0/l0/0" in err and "\"skip\"?" in err, err
    status, _, err = said(house, "spaces", "remove")
    assert status == 2 and "add FILE.json" in err, err


@fact
def a_space_that_was_added_survives_a_killed_server(house):
    server = house.server()
    path = written(house, OWN)
    url = f"http://127.0.0.1:{server.port}"
    status, out, err = said(house, "spaces", "add", "--server", url, path)
    assert status == 0 and "is known now" in out and str(count()) in out, (out, err)
    server.kill()
    server.start()
    url = f"http://127.0.0.1:{server.port}"
    assert server.link().get("/spaces/own-ops")["count"] == str(count())
    status, out, err = said(house, "spaces", "add", "--server", url, path)
    assert status == 0 and "was known already" in out, (out, err)
    status, _, err = said(house, "spaces", "add", "--server", url, written(house, dict(OWN, title="Another")))
    assert status != 0 and "/name" in err and "choose another" in err, err
    assert server.stop() == 0


if __name__ == "__main__":
    main()
