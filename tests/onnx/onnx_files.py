#!/usr/bin/env python3
"""onnx_files.py TAILOR MAKE_SUPERNET MAKE_MODEL SOURCE_DIR BINARY_DIR: exported models pass onnx.checker and give our own logits.

Skips (exit 77) by name when python3-onnx is not there; without onnxruntime-node the comparison of logits is left out by
name, after everything else has passed.
"""
import json
import os
import subprocess
import sys
import tempfile

from ort import install

try:
    import numpy as np
    import onnx
except ImportError as why:
    print(f"skipped: {why.name} is not here (Debian: python3-{why.name})")
    sys.exit(77)

TAILOR, MAKE, MAKE_MODEL, SOURCE, BINARY = sys.argv[1:6]

OFA = {"ks": [3, 5, 7, 3] * 5, "e": [3, 4, 6, 4] * 5, "d": [2, 3, 4, 3, 2], "r": [128]}
CASES = {
    "cifar-mbv3": {"ks": [3, 5] * 6, "e": [3, 4, 6] * 4, "d": [3, 2, 4], "r": [28]},
    "mnist-mbv3": {"ks": [3, 5, 7, 3], "e": [3, 4, 6, 3], "d": [2, 1], "r": [20]},
    "ofa-mbv3-w1.0": OFA,
    "ofa-resnet50d": {"d": [0, 1, 0, 2, 1], "e": [0.2, 0.25, 0.35] * 6, "w": [1, 0, 2, 1, 0, 1], "r": [132]},
    os.path.join(SOURCE, "relu6.json"): {"ks": [7, 3, 5, 7], "e": [2, 3, 3, 2], "d": [2, 2], "r": [33]},
}

# Networks of every kind, at sizes that halve evenly and that do not.
NETWORKS = [("nasbench-macro", 32), ("mnasnet", 97), ("ofa-resnet50d", 64), ("ofa-resnet50d", 97),
            ("ofa-proxyless-w1.3", 65), ("ofa-mbv3-w1.2", 65)]


def run(*command, **more):
    return subprocess.run(command, check=True, capture_output=True, text=True, **more).stdout


def logits_of(ort, model, x, folder):
    source, target = os.path.join(folder, "x.f32"), os.path.join(folder, "y.f32")
    x.tofile(source)
    run("node", os.path.join(SOURCE, "run.mjs"), model, source, target, *map(str, x.shape),
        env=dict(os.environ, TAILOR_ORT=ort))
    return np.fromfile(target, dtype="<f4").reshape(x.shape[0], -1)


def check_graph(model, batch="batch"):
    graph = onnx.load(model)
    onnx.checker.check_model(graph, full_check=True)
    names = [node.name for node in graph.graph.node]
    assert len(set(names)) == len(names), "a node's name is there twice"
    first = graph.graph.input[0].type.tensor_type.shape.dim[0]
    assert (first.dim_param or first.dim_value) == batch, first
    assert graph.ir_version == 8 and graph.opset_import[0].version == 17
    return graph


def check_model(model, architecture):
    graph = check_graph(model)
    names = [node.name for node in graph.graph.node]
    assert ("s1.b1.conv2" if "w" in architecture else "s1.b1.depthwise") in names and "head.classifier" in names, names
    metadata = {pair.key: pair.value for pair in graph.metadata_props}
    assert json.loads(metadata["architecture"]) == architecture, metadata


def compare(what, ours, theirs):
    off = np.abs(ours - theirs).max() / np.abs(theirs).max()
    assert off < 1e-4, f"{what}: logits are {off} apart"
    print(f"{what}: logits agree to {off:.1e}")


def check_network(family, side, ort, folder):
    run(MAKE_MODEL, family, str(side), "1", folder)
    model = os.path.join(folder, "model.onnx")
    check_graph(model)
    for batch in (1, 3) if ort else ():
        x, ours = (np.load(os.path.join(folder, f"{name}{batch}.npy")) for name in "xy")
        compare(f"{family} at {side}, batch {batch}", ours, logits_of(ort, model, x, folder))


def check_blocks(family, side, ort, folder):
    """Every block of a network as a model of its own; how many there are."""
    block = 0
    while subprocess.run([MAKE_MODEL, family, str(side), "1", folder, str(block)], check=False).returncode == 0:
        model = os.path.join(folder, "model.onnx")
        check_graph(model, 3)
        x, ours = (np.load(os.path.join(folder, f"{name}3.npy")) for name in "xy")
        if ort:
            compare(f"block {block} of {family}", ours.reshape(3, -1), logits_of(ort, model, x, folder))
        block += 1
    return block


def check_case(family, architecture, ort, folder):
    supernet, arch = os.path.join(folder, "supernet.safetensors"), os.path.join(folder, "arch.json")
    model, x_file, y_file = (os.path.join(folder, n) for n in ("model.onnx", "x.npy", "y.npy"))
    run(MAKE, family, supernet)
    with open(arch, "w") as file:
        json.dump(architecture, file)
    run(TAILOR, "export", "--supernet", supernet, "--architecture", arch, "--output", model)
    check_model(model, architecture)
    side = architecture["r"][0]
    for batch in (1, 3):
        x = np.random.default_rng(batch).standard_normal((batch, 3, side, side)).astype("float32")
        np.save(x_file, x)
        run(TAILOR, "run", "--supernet", supernet, "--architecture", arch, "--input", x_file, "--output", y_file)
        ours = np.load(y_file)
        assert ours.shape[0] == batch and np.isfinite(ours).all()
        if ort:
            compare(f"{os.path.basename(family)}, batch {batch}", ours, logits_of(ort, model, x, folder))


def main():
    ort = install(os.path.join(BINARY, "onnxruntime"))
    for family, architecture in CASES.items():
        with tempfile.TemporaryDirectory() as folder:
            check_case(family, architecture, ort, folder)
    for family, side in NETWORKS:
        with tempfile.TemporaryDirectory() as folder:
            check_network(family, side, ort, folder)
    blocks = 0
    for family, side in NETWORKS[:1] + NETWORKS[3:4] + NETWORKS[5:]:
        with tempfile.TemporaryDirectory() as folder:
            blocks += check_blocks(family, side, ort, folder)
    assert blocks > 20, blocks
    print(f"{len(CASES) + len(NETWORKS)} models and {blocks} blocks pass onnx.checker in full")


main()
