#!/usr/bin/env python3
"""Archives: built while nobody waits, begun again after a kill, valued again by new models, and named by what used them."""
import time

from tailor import NOTE10_SPACE, SPACE, data_path, fact, main, until

BUILD_S = 240  # the longest that building may take on a slow, busy machine
BUILT = r"archive: .* members after \d+ evaluations and [\d.]+ s$"
REVALUED = r"archive: (?:.*) (\d+) members after \d+ evaluations and [\d.]+ s, to be refined"


def request(**more):
    return dict({"space": SPACE, "constraints": [{"metric": "macs", "max": 3e8}], "budget": {"evaluations": 2000}}, **more)


def serve(house, name, evaluations):
    return house.server(name, command=("tailor", "serve", "--archive", str(evaluations)))


def archives(link):
    return [model for model in link.items("/models") if model["kind"] == "archive"]


def first_answer(link, body):
    answer = link.send("POST", "/search", body, headers={"Prefer": "wait"})
    assert answer.status == 200, answer
    return answer.json


def export(link, search):
    return link.send("GET", f"/search/{search['id']}/export").body


@fact
def a_build_that_was_killed_is_begun_again(house):
    server = serve(house, "killed", 40000)
    server.link().search(request())
    server.program.line("archive: .* is being built", BUILD_S)
    server.kill()
    server.start()
    assert not archives(server.link())
    server.program.line(BUILT, BUILD_S)
    link = server.link()
    first = first_answer(link, request(constraints=[{"metric": "macs", "max": 4e8}]))
    assert first["answered_from"] == "archive", first
    assert first["archive_members"] == archives(link)[0]["info"]["members"], first
    last = link.ended(first["id"])
    assert last["answered_from"] == "search", last
    assert last["answer"]["metrics"]["accuracy"]["value"] >= first["answer"]["metrics"]["accuracy"]["value"], last
    server.kill()  # what was built is there
    server.start()
    assert first_answer(server.link(), request())["answered_from"] == "archive"
    assert len(archives(server.link())) == 1


@fact
def a_search_does_not_wait_for_a_build(house):
    server = serve(house, "busy", 2000000)
    link = server.link()
    alone = link.search(request())
    server.program.line("archive: .* is being built", BUILD_S)
    begun = time.monotonic()
    beside = link.search(request())
    print(f"{time.monotonic() - begun:.2f} s beside a build; {alone['seconds']:.2f} s of searching alone")
    assert beside["state"] == "finished" and not archives(link), "the search waited for the archive"
    assert export(link, alone) == export(link, beside)


def import_tables(link, resolutions):
    folder = data_path("ofa_note10")
    tables = []
    for resolution in resolutions:
        with open(f"{folder}/{resolution}_lookup_table.yaml", "rb") as file:
            tables.append({"resolution": resolution, "artifact": link.put_artifact(file.read())})
    link.post("/models", {"kind": "latency", "format": "ofa-lut", "space": NOTE10_SPACE, "device": "note10",
                          "tables": tables})


@fact
def a_new_latency_model_values_the_members_again(house):
    server = serve(house, "republished", 20000)
    link = server.link()
    link.import_note10()
    body = request(space=NOTE10_SPACE, device="note10", constraints=[{"metric": "latency_ms", "max": 25}])
    link.search(body)
    server.program.line(BUILT, BUILD_S)
    link = server.link()
    before = link.ended(first_answer(link, body)["id"])
    assert before["archive_members"] > 0, before
    import_tables(link, (160, 192, 224))  # members at 176 and 208 are no longer covered
    members = int(server.program.line(REVALUED, BUILD_S).group(1))
    until(lambda: len(archives(server.link())) == 3, BUILD_S, "the archive refined")
    link = server.link()
    assert 0 < members <= before["archive_members"]
    after = first_answer(link, body)
    assert after["answered_from"] == "archive" and after["snapshot"] != before["snapshot"], after
    assert after["answer"]["architecture"]["options"]["resolution"] in ("160", "192", "224"), after
    again = link.search(dict(body, snapshot=before["snapshot"]))
    assert again["snapshot"] == before["snapshot"]
    assert export(link, again) == export(link, before), "the same snapshot gives other bytes"


if __name__ == "__main__":
    main()
