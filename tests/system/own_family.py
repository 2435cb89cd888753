#!/usr/bin/env python3
"""A family of one's own: a file, and every command takes it; what is wrong with it is said by field."""
import json
import os
import subprocess

from tailor import fact, main

OWN = {
    "name": "own-small", "title": "A small family", "source": "this test", "classes": 10, "bn_eps": 1e-5,
    "resolutions": [16, 32], "stem": {"width": 8, "stride": 1, "act": "relu"}, "kernels": [3, 5], "expands": [2, 4],
    "depths": [1, 2], "stages": [{"width": 16, "stride": 2, "act": "relu"},
                                 {"width": 24, "stride": 2, "act": "hswish", "se": True, "slots": 1}],
    "head": {"final": 64, "act": "hswish"}}


def written(house, family):
    path = house.path("own.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(family, file)
    return path


def said(house, *arguments):
    """Exit status, stdout and stderr of `tailor`."""
    done = subprocess.run([os.path.join(house.build, "tailor"), *arguments], capture_output=True, text=True, timeout=60,
                          check=False)
    return done.returncode, done.stdout, done.stderr


@fact
def a_file_is_shown_with_its_number_of_sub_networks(house):
    status, out, _ = said(house, "spaces", "show", written(house, OWN))
    assert status == 0, out
    assert "sub-networks: 80 without resolutions, 160 with 2" in out, out  # (4 + 4^2) * 4
    assert "s1.b2.kernel     3 5   (when s1.depth is 2)" in out, out


@fact
def a_wrong_file_is_told_the_field(house):
    status, _, err = said(house, "spaces", "show", written(house, dict(OWN, classes=0)))
    assert status == 2 and "/classes" in err, err
    status, _, err = said(house, "serve", "--data", house.path("no"), "--family", written(house, dict(OWN, kernels=[4])))
    assert status == 2 and "/kernels" in err and "1, 3, 5 or 7" in err, err
    status, _, err = said(house, "spaces", "show", "ofa-mbv3-w1.00")
    assert status == 2 and "did you mean ofa-mbv3-w1" in err, err
    status, _, err = said(house, "search", "--space", house.path("absent.json"))
    assert status == 1 and "absent.json" in err, err


@fact
def a_server_that_was_given_the_file_searches_it(house):
    path = written(house, OWN)
    server = house.server(command=("tailor", "serve", "--family", path))
    space = server.link().ask("GET", "/spaces/own-small")
    assert space.status == 200 and space.json["count"] == "160", space
    status, out, err = said(house, "search", "--server", f"http://127.0.0.1:{server.port}", "--space", path, "--minimize",
                            "macs", "--min", "params=8000", "--evaluations", "200", "--no-verify")
    assert status == 0, err
    assert "macs" in out, out
    assert server.stop() == 0


if __name__ == "__main__":
    main()
