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


RESNET = {
    "name": "own-resnet", "title": "Bottlenecks", "source": "this test", "classes": 10, "bn_eps": 1e-5, "resolutions": [16, 24],
    "block": "bottleneck", "multipliers": [0.5, 1], "stem": {"mid": [8, 16], "depths": [0, 1], "width": [8, 16], "stride": 1,
                                                             "act": "relu", "pool": True},
    "kernels": [3], "expands": [0.25, 0.5], "depths": [1, 2],
    "stages": [{"width": [32, 64], "stride": 1, "act": "relu"}, {"width": [64, 128], "stride": 2, "act": "relu"}],
    "head": {"act": "relu"}}


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


@fact
def a_supernet_of_bottlenecks_hands_out_its_networks(house):
    path, supernet = written(house, RESNET), house.path("supernet.safetensors")
    subprocess.run([os.path.join(house.build, "tests", "onnx", "make_supernet"), path, supernet], check=True, timeout=60)
    server = house.server(command=("tailor", "serve", "--family", path))
    url, link = f"http://127.0.0.1:{server.port}", server.link()
    status, _, err = said(house, "import", "--server", url, "--space", "own-resnet", "supernet", supernet)
    assert status == 0, err
    status, _, err = said(house, "search", "--server", url, "--space", "own-resnet", "--minimize", "macs", "--min",
                          "params=12000", "--evaluations", "100", "--no-verify")
    assert status == 0, err
    search = link.items("/search")[0]
    candidate = f"/candidates/{link.get('/search/' + str(search['id']))['answer']['candidate']}"
    architecture = house.path("architecture.json")
    with open(architecture, "w", encoding="utf-8") as file:
        json.dump(link.get(candidate + "/artifacts/architecture.json"), file)
    for kind in ("onnx", "safetensors"):
        ours = house.path("own." + kind)
        status, _, err = said(house, "export", "--supernet", supernet, "--architecture", architecture, "--output", ours)
        assert status == 0, err
        answer = link.ask("GET", f"{candidate}/artifacts/{kind}")
        assert answer.status == 200 and b"the supernet's running statistics" in answer.body, answer
        with open(ours, "rb") as file:  # the metadata differ
            assert abs(len(file.read()) - len(answer.body)) < 2048
    config = link.ask("GET", candidate + "/artifacts/net.config")
    assert config.status == 200 and config.json["name"] == "ResNets", config
    assert server.stop() == 0


if __name__ == "__main__":
    main()
