#!/usr/bin/env python3
"""ofa_checkpoints.py TAILOR FAMILIES: sub-networks of a converted once-for-all checkpoint give what once-for-all's code gives.

The checkpoints hold seeded random weights and statistics under the names of the published ones. The other side is written
from once-for-all's layers (DynamicMBConvLayer, DynamicSeparableConv2d, DynamicSE of https://github.com/mit-han-lab/once-for-all)
and shares nothing with ours. Skips (exit 77) by name without numpy.
"""
import json
import os
import struct
import subprocess
import sys
import tempfile

try:
    import numpy as np
except ImportError:
    print("skipped: numpy is not here (Debian: python3-numpy)")
    sys.exit(77)

TAILOR, FAMILIES = sys.argv[1:3]
CASES = [("ofa-mbv3-w1.0", "mobile_inverted_conv"), ("ofa-proxyless-w1.3", "conv")]
SIDE, BATCH, CLOSE = 128, 2, 1e-4


def divisible(value, by=8):
    near = max(by, int(value + by / 2) // by * by)
    return near + by if near < 0.9 * value else near


class Checkpoint:
    """A state dict of the largest network, in which layers are cut to what a sub-network uses."""

    def __init__(self, family, key, rng):
        self.family, self.key, self.rng, self.tensors = family, key, rng, {}
        top, stem, first = family["expands"][-1], family["stem"]["width"], family["first"]["width"]
        self.conv("first_conv", stem, 3, 3)
        self.block(0, stem, stem, first, 3, False)
        index, width = 1, first
        for stage in family["stages"]:
            for _ in range(stage.get("slots", max(family["depths"]))):
                self.block(index, width, divisible(width * top), stage["width"], 7, stage.get("se", False))
                index, width = index + 1, stage["width"]
        head = family["head"]
        if "feature" in head:
            self.conv("final_expand_layer", head["final"], width, 1)
            self.conv("feature_mix_layer", head["feature"], head["final"], 1, norm=False)
        else:
            self.conv("feature_mix_layer", head["final"], width, 1)
        self.fill("classifier.linear.weight", (family["classes"], head.get("feature", head["final"])))
        self.tensors["classifier.linear.bias"] = rng.normal(size=family["classes"]).astype("f4") * 0.01

    def fill(self, name, shape):
        fan = int(np.prod(shape[1:]))
        self.tensors[name] = (self.rng.normal(size=shape) * (1 / fan) ** 0.5).astype("f4")

    def conv(self, layer, co, ci, k, dynamic=False, norm=True):
        self.fill(layer + (".conv.conv.weight" if dynamic else ".conv.weight"), (co, ci, k, k))
        for what, low, high in (("weight", .5, 1.5), ("bias", -.5, .5), ("running_mean", -.5, .5), ("running_var", .5, 1.5)):
            if norm:
                name = f"{layer}.bn.{'bn.' if dynamic else ''}{what}"
                self.tensors[name] = self.rng.uniform(low, high, co).astype("f4")
        if norm:
            self.tensors[f"{layer}.bn.{'bn.' if dynamic else ''}num_batches_tracked"] = np.array(5, "i8")

    def block(self, index, ci, hidden, co, k, se):
        layer, dynamic = f"blocks.{index}.{self.key}.", index > 0
        if dynamic:
            self.conv(layer + "inverted_bottleneck", hidden, ci, 1, True)
            for large, small in ((7, 5), (5, 3)):
                near = np.eye(small * small) + self.rng.normal(size=(small * small,) * 2) * 0.1
                self.tensors[f"{layer}depth_conv.conv.{large}to{small}_matrix"] = near.astype("f4")
        self.conv(layer + "depth_conv", hidden, 1, k, dynamic)
        if se:
            middle = divisible(hidden // 4)
            for which, shape in (("reduce", (middle, hidden, 1, 1)), ("expand", (hidden, middle, 1, 1))):
                self.fill(f"{layer}depth_conv.se.fc.{which}.weight", shape)
                self.tensors[f"{layer}depth_conv.se.fc.{which}.bias"] = self.rng.normal(size=shape[0]).astype("f4") * 0.2
        self.conv(layer + "point_linear", co, hidden, 1, dynamic)

    def write(self, path):
        header, data = {}, b""
        for name, tensor in self.tensors.items():
            header[name] = {"dtype": "I64" if tensor.dtype == "i8" else "F32", "shape": tensor.shape,
                            "data_offsets": [len(data), len(data) + tensor.nbytes]}
            data += tensor.tobytes()
        text = json.dumps(header).encode()
        with open(path, "wb") as file:
            file.write(struct.pack("<Q", len(text)) + text + data)


def convolve(x, weights, stride, depthwise=False):
    """x (N, C, H, W) float64, padded to keep the size at stride 1."""
    k = weights.shape[-1]
    x = np.pad(x, ((0, 0), (0, 0), (k // 2, k // 2), (k // 2, k // 2)))
    high, wide = ((n - k) // stride + 1 for n in x.shape[2:])
    total = 0
    for i in range(k):
        for j in range(k):
            seen = x[:, :, i:i + stride * high:stride, j:j + stride * wide:stride]
            tap = weights[:, :, i, j]
            total = total + (seen * tap[:, 0][None, :, None, None] if depthwise else
                             np.tensordot(tap, seen, (1, 1)).transpose(1, 0, 2, 3))
    return total


ACTS = {"relu": lambda x: np.maximum(x, 0), "relu6": lambda x: np.clip(x, 0, 6),
        "hswish": lambda x: x * np.clip(x + 3, 0, 6) / 6, None: lambda x: x}


class Forward:
    def __init__(self, checkpoint, architecture):
        self.of, self.family, self.arch = checkpoint.tensors, checkpoint.family, architecture
        self.key = checkpoint.key

    def norm(self, x, layer, act):
        n = x.shape[1]
        gain, shift, mean, var = (self.of[f"{layer}.{w}"][:n].astype(float)[None, :, None, None]
                                  for w in ("weight", "bias", "running_mean", "running_var"))
        return ACTS[act]((x - mean) / np.sqrt(var + self.family["bn_eps"]) * gain + shift)

    def fixed(self, x, layer, stride, act, depthwise=False):
        x = convolve(x, self.of[layer + ".conv.weight"].astype(float), stride, depthwise)
        return self.norm(x, layer + ".bn", act) if layer + ".bn.weight" in self.of else ACTS[act](x)

    def pointwise(self, x, layer, co, act):
        weights = self.of[layer + ".conv.conv.weight"][:co, :x.shape[1]].astype(float)
        return self.norm(convolve(x, weights, 1), layer + ".bn.bn", act)

    def depthwise(self, x, layer, k, stride, act):
        weights = self.of[layer + ".conv.conv.weight"][:x.shape[1]].astype(float)
        for large, small in ((7, 5), (5, 3)):
            if k <= small:
                cut = weights[:, :, 1:-1, 1:-1].reshape(len(weights), -1)
                weights = cut @ self.of[f"{layer}.conv.{large}to{small}_matrix"].astype(float).T
                weights = weights.reshape(-1, 1, small, small)
        return self.norm(convolve(x, weights, stride, True), layer + ".bn.bn", act)

    def gate(self, x, layer):
        channels, middle = x.shape[1], divisible(x.shape[1] // 4)
        y = x.mean((2, 3), keepdims=True)
        for which, co, act in (("reduce", middle, "relu"), ("expand", channels, None)):
            weights = self.of[f"{layer}.se.fc.{which}.weight"][:co, :y.shape[1]].astype(float)
            y = ACTS[act](convolve(y, weights, 1) + self.of[f"{layer}.se.fc.{which}.bias"][:co][None, :, None, None])
        return x * np.clip(y + 3, 0, 6) / 6

    def slot(self, x, index, stage, stride, kernel, expand):
        layer, act, given = f"blocks.{index}.{self.key}.", stage["act"], x
        x = self.pointwise(x, layer + "inverted_bottleneck", divisible(x.shape[1] * expand), act)
        x = self.depthwise(x, layer + "depth_conv", kernel, stride, act)
        x = self.gate(x, layer + "depth_conv") if stage.get("se") else x
        x = self.pointwise(x, layer + "point_linear", stage["width"], None)
        return x + given if stride == 1 and given.shape[1] == x.shape[1] else x

    def stages(self, x):
        index, at = 1, 0
        for stage, depth in zip(self.family["stages"], self.arch["d"]):
            slots = stage.get("slots", max(self.family["depths"]))
            for slot in range(min(depth, slots)):
                x = self.slot(x, index + slot, stage, stage["stride"] if slot == 0 else 1, self.arch["ks"][at + slot],
                              self.arch["e"][at + slot])
            index, at = index + slots, at + slots
        return x

    def logits(self, x):
        stem, first, head = (self.family[w] for w in ("stem", "first", "head"))
        block = f"blocks.0.{self.key}."
        x = self.fixed(x.astype(float), "first_conv", stem["stride"], stem["act"])
        y = self.fixed(x, block + "depth_conv", 1, first["act"], True)
        y = self.fixed(y, block + "point_linear", 1, None)
        x = self.stages(y + x if y.shape == x.shape else y)
        if "feature" in head:
            x = self.fixed(x, "final_expand_layer", 1, head["act"]).mean((2, 3), keepdims=True)
        x = self.fixed(x, "feature_mix_layer", 1, head["act"]).mean((2, 3))
        return x @ self.of["classifier.linear.weight"].astype(float).T + self.of["classifier.linear.bias"]


def tailor(*words):
    subprocess.run([TAILOR, *words], check=True, capture_output=True, text=True)


def architectures(family, rng):
    """The smallest, the largest and two at random, in the lists of once-for-all."""
    slots = [s.get("slots", max(family["depths"])) for s in family["stages"]]
    for pick in (min, max, rng.choice, rng.choice):
        yield {"ks": [int(pick(family["kernels"])) for _ in range(sum(slots))],
               "e": [int(pick(family["expands"])) for _ in range(sum(slots))],
               "d": [int(pick(family["depths"])) if n > 1 else 1 for n in slots], "r": [SIDE]}


def check(name, key, folder):
    rng = np.random.default_rng(7)
    with open(os.path.join(FAMILIES, name + ".json"), encoding="utf-8") as file:
        family = json.load(file)
    theirs, ours, arch, x_file, y_file = (os.path.join(folder, n) for n in ("ofa.st", "ours.st", "a.json", "x.npy", "y.npy"))
    checkpoint = Checkpoint(family, key, rng)
    checkpoint.write(theirs)
    tailor("convert", "--family", name, "--input", theirs, "--output", ours)
    x = rng.normal(size=(BATCH, 3, SIDE, SIDE)).astype("f4")
    np.save(x_file, x)
    for architecture in architectures(family, rng):
        with open(arch, "w", encoding="utf-8") as file:
            json.dump(architecture, file)
        tailor("run", "--supernet", ours, "--architecture", arch, "--input", x_file, "--output", y_file)
        want = Forward(checkpoint, architecture).logits(x)
        off = np.abs(np.load(y_file) - want).max() / np.abs(want).max()
        assert off < CLOSE, f"{name}, {architecture}: logits are {off} apart"
        print(f"{name}: logits agree to {off:.1e}")


def main():
    for name, key in CASES:
        with tempfile.TemporaryDirectory() as folder:
            check(name, key, folder)


main()
