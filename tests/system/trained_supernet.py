#!/usr/bin/env python3
"""From images to a network that leaves with its weights: train (killed, stopped and resumed to the same bytes), measure, fit,
serve, search, download. The images are the test's own: stripes of four directions."""
import atexit
import json
import os
import random
import re
import resource
import shutil
import signal
import struct
import subprocess
import tempfile

from tailor import fact, main, until

SHARED = tempfile.mkdtemp(prefix="tailor-trained-")  # the facts build on one another's files
atexit.register(shutil.rmtree, SHARED, ignore_errors=True)

FAMILY = {
    "name": "stripes", "title": "A family for stripes", "source": "this test", "classes": 4, "bn_eps": 1e-5,
    "resolutions": [12, 16], "stem": {"width": 8, "stride": 1, "act": "hswish"}, "first": {"width": 8, "act": "relu"},
    "kernels": [3, 5], "expands": [2, 3], "depths": [1, 2],
    "stages": [{"width": 8, "stride": 2, "act": "relu"}, {"width": 16, "stride": 2, "act": "hswish", "se": True}],
    "head": {"final": 32, "act": "hswish"}}
BOTTLENECKS = {
    "name": "stripes-resnet", "title": "Bottlenecks for stripes", "source": "this test", "classes": 4, "bn_eps": 1e-5,
    "resolutions": [12, 16], "block": "bottleneck", "multipliers": [0.5, 1],
    "stem": {"mid": [8, 16], "depths": [0, 1], "width": [8, 16], "stride": 1, "act": "relu", "pool": True},
    "kernels": [3], "expands": [0.25, 0.5], "depths": [1, 2],
    "stages": [{"width": [32, 64], "stride": 1, "act": "relu"}, {"width": [64, 128], "stride": 2, "act": "relu"}],
    "head": {"act": "relu"}}
TRAIN = ["--epochs", "4", "--batch", "25", "--measure", "1", "--calibration", "100", "--warmup", "0.5",
         "--no-mirror", "--pad", "1"]


def stripes(label, rng, side=16):
    at = {0: lambda x, y: y, 1: lambda x, y: x, 2: lambda x, y: x + y, 3: lambda x, y: x - y}[label]
    return bytes(min(255, max(0, int((200 if at(x, y) % 4 < 2 else 60) + rng.gauss(0, 25))))
                 for y in range(side) for x in range(side))


def write_idx(folder, name, n, seed):
    rng = random.Random(seed)
    labels = [i % 4 for i in range(n)]
    with open(os.path.join(folder, f"{name}-images-idx3-ubyte"), "wb") as file:
        file.write(struct.pack(">IIII", 0x803, n, 16, 16) + b"".join(stripes(label, rng) for label in labels))
    with open(os.path.join(folder, f"{name}-labels-idx1-ubyte"), "wb") as file:
        file.write(struct.pack(">II", 0x801, n) + bytes(labels))


def shared(name):
    return os.path.join(SHARED, name)


def images(name="images", seed=1):
    folder = shared(name)
    if not os.path.isdir(folder):
        os.mkdir(folder)
        write_idx(folder, "train", 1000, seed)
        write_idx(folder, "t10k", 200, 2)
    return folder


def family(name="stripes", **more):
    path = shared(f"{name}.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(dict(FAMILY, **more), file)
    return path


def tailor(house, *arguments, cwd=None, status=0):
    done = subprocess.run([os.path.join(house.build, "tailor"), *arguments], capture_output=True, text=True, timeout=300,
                          check=False, cwd=cwd)
    assert done.returncode == status, (arguments, done.returncode, done.stdout, done.stderr[-800:])
    return done.stdout + done.stderr


def train_words(*more):
    return ["train", "--family", family(), "--data", images(), "--output", "out", *TRAIN, *more]


def trained(name):
    """A folder of its own, so that the command, which the file tells, is the same in each."""
    folder = shared(name)
    os.makedirs(folder, exist_ok=True)
    return folder


def begun(house, folder, *more, stderr=subprocess.DEVNULL):
    return subprocess.Popen([os.path.join(house.build, "tailor"), *train_words(*more)], cwd=folder,
                            stdout=subprocess.PIPE, stderr=stderr, text=True)


def bytes_of(folder):
    with open(os.path.join(folder, "out", "supernet.safetensors"), "rb") as file:
        return file.read()


def log_of(folder):
    with open(os.path.join(folder, "out", "log.jsonl"), encoding="utf-8") as file:
        return [json.loads(line) for line in file]


@fact
def a_training_that_is_killed_and_stopped_gives_the_same_bytes(house):
    whole, broken = trained("whole"), trained("broken")
    tailor(house, *train_words(), cwd=whole)
    checkpoint = os.path.join(broken, "out", "checkpoint.safetensors")
    first = begun(house, broken)
    until(lambda: os.path.exists(checkpoint), 120, "the first checkpoint")
    first.kill()
    first.wait()
    left = checkpoint + ".01234567-89ab-4cde-8f01-23456789abcd.tmp"
    with open(left, "w", encoding="utf-8"):
        pass
    second = begun(house, broken, stderr=subprocess.PIPE)
    assert second.stderr.readline()
    second.send_signal(signal.SIGTERM)
    out, _ = second.communicate(timeout=60)
    assert second.returncode == 0 and ("stopped" in out or "is ready" in out), out
    tailor(house, *train_words("--threads", "1", "--checkpoint", "1", "--data", images() + "/" * 1100), cwd=broken)
    assert bytes_of(whole) == bytes_of(broken), "the supernets differ"
    assert not os.path.exists(left), "what the killed program left half written is still there"


@fact
def a_training_that_is_stopped_while_it_measures_measures_again(house):
    short = ["--epochs", "1", "--measure", "0", "--holdout", "0.5"]
    whole, broken = trained("measured"), trained("unmeasured")
    tailor(house, *train_words(*short), cwd=whole)
    assert [(line["part"], len(line["accuracy"])) for line in log_of(whole)] == [("held-out", 16), ("test", 16)]
    program = begun(house, broken, *short, stderr=subprocess.PIPE)
    lines = []
    for line in program.stderr:
        if line.startswith("measuring:"):
            lines.append(line)
            assert os.path.exists(os.path.join(broken, "out", "checkpoint.safetensors")), "measured before it was safe"
            program.send_signal(signal.SIGTERM)
    out, _ = program.communicate(timeout=60)
    assert program.returncode == 0 and "stopped" in out and 0 < len(lines) < 32, (out, len(lines))
    assert "s left" in lines[0], lines[0]
    tailor(house, *train_words(*short), cwd=broken)
    assert bytes_of(whole) == bytes_of(broken), "the supernets differ"


@fact
def a_short_try_measures_only_what_it_is_told(house):
    for final, networks in (("none", []), ("ends", [2, 2])):
        folder = trained(f"final-{final}")
        tailor(house, *train_words("--epochs", "0.2", "--warmup", "0", "--measure", "0", "--final", final), cwd=folder)
        assert bytes_of(folder)
        there = os.path.exists(os.path.join(folder, "out", "log.jsonl"))
        assert [len(line["accuracy"]) for line in log_of(folder)] == networks if networks else not there


@fact
def two_trainings_do_not_write_into_one_folder(house):
    folder = trained("taken")
    first = begun(house, folder)
    until(lambda: os.path.exists(os.path.join(folder, "out", "checkpoint.safetensors")), 120, "the first checkpoint")
    said = tailor(house, *train_words(), cwd=folder, status=1)
    first.kill()
    first.wait()
    assert "another training writes into out" in said, said


def no_room(n):
    """What a full disk does to whoever writes more than n bytes into a file: the write fails."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n, n))


@fact
def a_disk_that_is_full_leaves_the_last_checkpoint_whole(house):
    folder = trained("full")
    checkpoint = os.path.join(folder, "out", "checkpoint.safetensors")
    first = begun(house, folder)
    until(lambda: os.path.exists(checkpoint), 120, "the first checkpoint")
    first.kill()
    first.wait()
    with open(checkpoint, "rb") as file:
        before = file.read()
    said = subprocess.run([os.path.join(house.build, "tailor"), *train_words()], cwd=folder, capture_output=True, text=True,
                          check=False, timeout=300, preexec_fn=lambda: no_room(len(before) // 2))
    assert said.returncode == 1 and "checkpoint.safetensors" in said.stderr, said
    with open(checkpoint, "rb") as file:
        assert file.read() == before
    assert os.listdir(os.path.join(folder, "out")).count("checkpoint.safetensors") == 1
    tailor(house, *train_words(), cwd=folder)
    assert bytes_of(folder) == bytes_of(trained("whole"))


@fact
def another_plan_family_or_set_of_images_does_not_touch_the_checkpoint(house):
    folder = trained("whole")
    before = bytes_of(folder)
    for words, says in [
            (["--lr", "0.2", "--no-mirror", "--pad", "2"], "--pad (1 then, 2 now), --lr (0.1 then, 0.2 now);"),
            (["--data", images("others", 3)], "other options: the images of --data;"),
            (["--family", family("changed", head={"final": 40, "act": "hswish"})],
             "other options: the description of the family;")]:
        said = tailor(house, *train_words(*words), cwd=folder, status=1)
        assert says in said, (words, said)
        assert bytes_of(folder) == before


def unreadable_names():
    """The same images under a name that is not UTF-8, and four classes of which one has such a name."""
    data, classes = os.fsencode(shared("")) + b"im\xe9", shared("classes")
    os.symlink(images(), data)
    for split in (b"train", b"test"):
        for name in (b"a", b"b", b"c", b"caf\xe9"):
            place = os.path.join(os.fsencode(classes), split, name)
            os.makedirs(place)
            with open(os.path.join(place, b"1.png"), "wb") as file:
                file.write(b"no image")
    return os.fsdecode(data), classes


@fact
def the_example_of_the_help_is_that_of_the_readme(house):
    example = tailor(house, "train", "--help").split("example: ")[1].strip()
    with open(os.path.join(os.path.dirname(__file__), "..", "..", "README.md"), encoding="utf-8") as file:
        assert f"    {example}\n" in file.read(), example


@fact
def wrong_words_are_answered_with_what_would_be_right(house):
    no_text, no_class = unreadable_names()
    begin = ["train", "--family", family(), "--output", shared("no"), "--data"]
    for words, status, says in [
            (["train", "--family", "nothing", "--data", "x", "--output", "y"], 2, "no space is called"),
            (["train", "--family", "mnist-mbv3", "--data", images(), "--output", shared("no")], 2, "4 classes"),
            (["train", "--family", "mnist-mbv3", "--data", shared("absent"), "--output", shared("no")], 1, "absent"),
            (["train", "--family", family(), "--data", images(), "--output", shared("no"), "--batch", "1"], 2,
             "batch"),
            ([*begin, shared("absent"), "--method", "shrink", "--random", "0"], 2, "--random is at least 1"),
            ([*begin, shared("absent"), "--epochs", "2", "--warmup", "2"], 2, "shorter --warmup"),
            ([*begin, shared("absent"), "--architecture", "a.json"], 2, "--method alone"),
            ([*begin, no_text], 2, "is not UTF-8; rename it"),
            ([*begin, no_class], 2, "is not UTF-8; rename its folder"),
            ([*begin, shared("absent"), "--output", "/proc"], 1, "cannot write into the folder /proc"),
            ([*begin, shared("absent"), "--output", images() + "/train-images-idx3-ubyte"], 1, "cannot make the folder"),
            (["evaluate", "--supernet", family(), "--data", images()], 1, "safetensors")]:
        said = tailor(house, *words, status=status)
        assert says in said, (words, said)


@fact
def sub_networks_are_measured_and_a_model_is_fitted(house):
    folder = trained("whole")
    supernet, rows = os.path.join(folder, "out", "supernet.safetensors"), shared("rows.csv")
    words = ["sample-accuracy", "--supernet", supernet, "--data", images(), "--part", "held-out", "--output", rows,
             "--calibration", "200"]
    tailor(house, *words, "--n", "10")
    with open(rows, encoding="utf-8") as file:
        ten = file.read()
    tailor(house, *words, "--n", "24")
    with open(rows, encoding="utf-8") as file:
        more = file.read()
    assert more.startswith(ten) and more.count("\n") == 26, more  # what was measured, the header, the rows
    tailor(house, "fit-accuracy", "--space", family(), "--kind", "kernel", "--inducing", "16", "--folds", "2", rows,
           "--output", shared("accuracy.bin"))
    said = tailor(house, "evaluate", "--supernet", supernet, "--data", images())
    assert float(said.split("largest")[1].split()[0]) > 80, said


@fact
def rows_are_only_added_to_rows_of_the_same(house):
    supernet, rows = os.path.join(trained("whole"), "out", "supernet.safetensors"), shared("rows.csv")
    words = ["sample-accuracy", "--supernet", supernet, "--output", rows, "--n", "5"]
    same = ["--data", images(), "--part", "held-out", "--calibration", "200"]
    with open(rows, encoding="utf-8") as file:
        before = file.read()
    for more, says in [(["--seed", "2"], "seed=1, not with seed=2"), (["--images", "50"], "images=0, not with images=50"),
                       (["--calibration", "100"], "calibration=200, not with calibration=100"),
                       (["--part", "test"], "part=held-out, not with part=test"),
                       (["--data", images() + "/"], "not with data=")]:
        given = dict(zip(same[::2], same[1::2]))
        given.update(zip(more[::2], more[1::2]))
        said = tailor(house, *words, *[word for pair in given.items() for word in pair], status=1)
        assert says in said, said
    other = shared("other.safetensors")
    with open(supernet, "rb") as file, open(other, "wb") as copy:
        whole = bytearray(file.read())
        whole[-1] ^= 1
        copy.write(whole)
    said = tailor(house, "sample-accuracy", "--supernet", other, "--output", rows, "--data", images(), status=1)
    assert "supernet=" in said, said
    assert "has 24 sub-networks" in tailor(house, *words, *same)
    with open(rows, "w", encoding="utf-8") as file:
        file.write(before[:-9])  # as if a crash had cut the last line
    tailor(house, *words[:-1], "24", *same)
    with open(rows, encoding="utf-8") as file:
        assert file.read() == before
    with open(shared("old.csv"), "w", encoding="utf-8") as file:
        file.write(before.split("\n", 1)[1])
    said = tailor(house, *words[:3], "--output", shared("old.csv"), *same, status=1)
    assert "does not begin with what its rows were measured on" in said, said


@fact
def held_out_images_are_those_that_training_did_not_see(house):
    folder = trained("nothing-held-out")
    tailor(house, *train_words("--epochs", "0.1", "--warmup", "0", "--holdout", "0"), cwd=folder)
    supernet = os.path.join(folder, "out", "supernet.safetensors")
    words = ["evaluate", "--supernet", supernet, "--part", "held-out", "--data"]
    assert "training held no images out" in tailor(house, *words, images(), status=2)
    words[2] = os.path.join(trained("whole"), "out", "supernet.safetensors")
    moved = shared("moved")
    shutil.copytree(images(), moved)
    assert "held-out" in tailor(house, *words, moved)
    write_idx(moved, "train", 1000, 3)
    said = tailor(house, *words, moved, status=2)
    assert "not known to be those" in said and f"({os.path.basename(images())})" in said, said
    assert "test images" in tailor(house, "evaluate", "--supernet", words[2], "--data", moved)


def header_of(path):
    with open(path, "rb") as file:
        whole = file.read()
    size = struct.unpack("<Q", whole[:8])[0]
    return json.loads(whole[8:8 + size]), whole[8 + size:]


def write_file(path, header, tensors):
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + tensors)


@fact
def images_larger_than_the_network_sees_are_kept_to_calibrate_with(house):
    folder = trained("smaller")
    small = dict(FAMILY, name="smaller", resolutions=[8, 12])
    with open(shared("smaller.json"), "w", encoding="utf-8") as file:
        json.dump(small, file)
    tailor(house, "train", "--family", shared("smaller.json"), "--data", images(), "--output", "out", *TRAIN, "--epochs",
           "0.2", "--warmup", "0", cwd=folder)
    header, _ = header_of(os.path.join(folder, "out", "supernet.safetensors"))
    assert header["calibration.images"]["shape"] == [100, 12, 12, 3], header["calibration.images"]


@fact
def bottlenecks_are_trained_measured_and_calibrated(house):
    path, folder = shared("bottlenecks.json"), trained("bottlenecks")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(BOTTLENECKS, file)
    tailor(house, "train", "--family", path, "--data", images(), "--output", "out", *TRAIN, "--epochs", "2", "--teacher",
           "1", cwd=folder)
    assert [line["phase"] for line in log_of(folder)] == ["teacher", "sandwich", "sandwich"]
    assert len(log_of(folder)[0]["accuracy"]) == 2 and len(log_of(folder)[-1]["accuracy"]) == 16
    supernet = os.path.join(folder, "out", "supernet.safetensors")
    said = tailor(house, "evaluate", "--supernet", supernet, "--data", images())
    shares = [float(number) for number in re.findall(r"([0-9.]+) points", said)]
    assert shares and min(shares) > 50, said
    pick = {"d": [0, 1, 1], "e": [0.25, 0.5, 0.25, 0.5], "w": [0, 0, 1, 0], "r": [12]}
    with open(shared("bottleneck.json"), "w", encoding="utf-8") as file:
        json.dump(pick, file)
    said = tailor(house, "evaluate", "--supernet", supernet, "--data", images(), "--architecture",
                  shared("bottleneck.json"))
    assert float(re.search(r"([0-9.]+) points", said)[1]) > 50, said
    said = tailor(house, "export", "--supernet", supernet, "--architecture", shared("bottleneck.json"), "--output",
                  shared("bottleneck.onnx"))
    assert "running statistics" not in said, said


def architecture():
    path = shared("architecture.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"ks": [3, 5, 5, 3], "e": [2, 3, 2, 2], "d": [2, 1], "r": [16]}, file)
    return path


def write_input(path, side):
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3, {side}, {side}), }}"
    header += " " * (-(len(header) + 11) % 64) + "\n"
    numbers = [random.Random(4).gauss(0, 1) for _ in range(2 * 3 * side * side)]
    with open(path, "wb") as file:
        file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() +
                   struct.pack(f"<{len(numbers)}f", *numbers))


@fact
def a_net_config_goes_out_and_comes_in_again(house):
    supernet, out = os.path.join(trained("whole"), "out", "supernet.safetensors"), shared("again.net.config")
    write_input(shared("x.npy"), 16)
    tailor(house, "export", "--supernet", supernet, "--architecture", architecture(), "--output", out)
    answers = []
    for given in [architecture(), out]:
        tailor(house, "run", "--supernet", supernet, "--architecture", given, "--input", shared("x.npy"), "--output",
               shared("y.npy"))
        with open(shared("y.npy"), "rb") as file:
            answers.append(file.read())
    assert answers[0] == answers[1]
    write_input(shared("x12.npy"), 12)
    tailor(house, "run", "--supernet", supernet, "--architecture", out, "--input", shared("x12.npy"), "--output",
           shared("y.npy"), "--resolution", "12")


@fact
def a_supernet_without_calibration_images_says_what_is_used(house):
    header, tensors = header_of(os.path.join(trained("whole"), "out", "supernet.safetensors"))
    begin, end = header.pop("calibration.images")["data_offsets"]
    assert end == len(tensors)
    bare = shared("bare.safetensors")
    write_file(bare, header, tensors[:begin])
    write_input(shared("x.npy"), 16)
    for words in [["run", "--input", shared("x.npy"), "--output", shared("y.npy")],
                  ["export", "--output", shared("bare.onnx")]]:
        words += ["--supernet", bare, "--architecture", architecture()]
        assert "holds no calibration images" in tailor(house, *words)
        assert "holds no calibration images" not in tailor(house, *words, "--data", images())


@fact
def other_classes_are_told_and_broken_files_named(house):
    supernet = os.path.join(trained("whole"), "out", "supernet.safetensors")
    header, tensors = header_of(supernet)
    about = json.loads(header["__metadata__"]["supernet"])
    about["classes"] = ["rows", "columns", "rising", "falling"]
    header["__metadata__"]["supernet"] = json.dumps(about)
    named = shared("named.safetensors")
    write_file(named, header, tensors)
    assert "class 0" not in tailor(house, "evaluate", "--supernet", named, "--data", images())  # idx files name none
    begin, _ = header["stem.weight"]["data_offsets"]
    write_file(shared("nan.safetensors"), header, tensors[:begin] + b"\xff\xff" + tensors[begin + 2:])
    said = tailor(house, "evaluate", "--supernet", shared("nan.safetensors"), "--data", images(), status=2)
    assert "nan.safetensors" in said and "stem.weight" in said, said
    with open(shared("unknown.json"), "w", encoding="utf-8") as file:
        json.dump({"ks": [3, 5, 5, 3], "e": [2, 3, 2, 2], "d": [2, 1], "r": [16], "depth": 3}, file)
    said = tailor(house, "evaluate", "--supernet", supernet, "--data", images(), "--architecture", shared("unknown.json"),
                  status=2)
    assert "unknown.json" in said and "depth" in said, said
    said = tailor(house, "run", "--supernet", supernet, "--architecture", architecture(), "--input", family(), "--output",
                  shared("y.npy"), status=1)
    assert "stripes.json" in said and ".npy" in said, said


@fact
def a_supernet_gives_itself_away_without_its_images(house):
    supernet = os.path.join(trained("whole"), "out", "supernet.safetensors")
    said = tailor(house, "distill", "--supernet", supernet, "--data", images(), "--output",
                  shared("dreamt.safetensors"), "--iterations", "100", "--images", "50", "--subnets", "4", "--check", "4")
    with_real, with_made_up = (float(number) for number in re.findall(r"[0-9.]+(?= points| on the made-up)", said))
    assert with_made_up > with_real - 10, said


@fact
def a_candidate_of_a_served_supernet_leaves_with_its_weights(house):
    server = house.server(command=("tailor", "serve", "--family", family()))
    url = f"http://127.0.0.1:{server.port}"
    supernet = os.path.join(trained("whole"), "out", "supernet.safetensors")
    tailor(house, "import", "--server", url, "--space", "stripes", "supernet", supernet)
    tailor(house, "import", "--server", url, "--space", "stripes", "accuracy", shared("accuracy.bin"))
    said = tailor(house, "search", "--server", url, "--space", "stripes", "--max", "macs=4e5", "--evaluations", "300",
                  "--no-verify")
    assert "onnx" in said, said
    link = server.link()
    candidate = link.items("/search")[0]
    answer = link.get(f"/search/{candidate['id']}")["answer"]["candidate"]
    assert link.get(f"/candidates/{answer}")["artifacts"][-2:] == ["onnx", "safetensors"]
    whole = link.ask("GET", f"/candidates/{answer}/artifacts/safetensors")
    assert whole.status == 200 and whole.headers["ETag"], whole
    tag = whole.headers["ETag"]
    assert link.ask("GET", f"/candidates/{answer}/artifacts/safetensors", headers={"If-None-Match": tag}).status == 304
    part = link.ask("GET", f"/candidates/{answer}/artifacts/safetensors", headers={"Range": "bytes=0-7"})
    assert part.status == 206 and part.headers["Content-Range"].startswith("bytes 0-7/"), part
    beyond = link.ask("GET", f"/candidates/{answer}/artifacts/safetensors", headers={"Range": "bytes=999999999-"})
    assert beyond.status == 416, beyond
    head = link.ask("HEAD", f"/candidates/{answer}/artifacts/safetensors", headers={"Range": "bytes=0-7"})
    assert head.status == 200 and head.headers["ETag"] == tag, head
    tailor(house, "import", "--server", url, "--space", "stripes", "supernet", shared("dreamt.safetensors"))
    later = link.ask("GET", f"/candidates/{answer}/artifacts/safetensors")
    assert later.headers["ETag"] == tag, "the weights of a search changed under it"
    assert link.ask("GET", f"/candidates/{answer}/artifacts/net.config").json["name"] == "ProxylessNASNets"
    wrong = subprocess.run([os.path.join(house.build, "tailor"), "import", "--server", url, "--space", "cifar-mbv3",
                            "supernet", supernet], capture_output=True, text=True, check=False, timeout=60)
    assert wrong.returncode != 0 and "not the one this server knows" in wrong.stderr, wrong.stderr
    assert server.stop() == 0


if __name__ == "__main__":
    main()
