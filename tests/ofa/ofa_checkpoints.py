#!/usr/bin/env python3
"""ofa_checkpoints.py TAILOR FAMILIES: sub-networks of a converted once-for-all checkpoint give what once-for-all's code gives.

The checkpoints hold seeded random weights and statistics under the names of the published ones. The other side is written
from once-for-all's layers (DynamicMBConvLayer, DynamicSeparableConv2d, DynamicSE, DynamicResNetBottleneckBlock of
https://github.com/mit-han-lab/once-for-all) and shares nothing with ours. Skips (exit 77) by name without numpy.
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
        header, end = {}, 0
        for name, tensor in self.tensors.items():
            header[name] = {"dtype": "I64" if tensor.dtype == "i8" else "F32", "shape": tensor.shape,
                            "data_offsets": [end, end + tensor.nbytes]}
            end += tensor.nbytes
        text = json.dumps(header).encode()
        with open(path, "wb") as file:
            file.write(struct.pack("<Q", len(text)) + text)
            for tensor in self.tensors.values():
                file.write(tensor.tobytes())


class ResNets:
    """OFAResNets: depths [0, 1, 2] beyond the base, as released."""
    STAGES, BASE, STRIDES = (256, 512, 1024, 2048), (2, 2, 4, 2), (1, 2, 2, 2)
    EXPANDS, WIDTHS, DEEPEST = (.2, .25, .35), (.65, .8, 1.), 2
    STEM = [divisible(64 * m) for m in WIDTHS]
    MID = [divisible(c // 2) for c in STEM]

    @classmethod
    def width(cls, stage, index):
        return divisible(cls.STAGES[stage] * cls.WIDTHS[index])


class ResNetCheckpoint(Checkpoint):
    def __init__(self, family, _, rng):
        self.family, self.rng, self.tensors = family, rng, {}
        stem, mid = ResNets.STEM[-1], ResNets.MID[-1]
        for name, co, ci in (("0", mid, 3), ("1.conv", mid, mid), ("2", stem, mid)):
            self.conv("input_stem." + name, co, ci, 3, True)
        index, ci = 0, stem
        for co, base in zip(ResNets.STAGES, ResNets.BASE):
            hidden = divisible(round(co * ResNets.EXPANDS[-1]))
            for slot in range(base + ResNets.DEEPEST):
                for name, shape in (("conv1", (hidden, ci, 1)), ("conv2", (hidden, hidden, 3)), ("conv3", (co, hidden, 1)),
                                    ("downsample", (co, ci, 1)))[:4 if slot == 0 else 3]:
                    self.conv(f"blocks.{index}.{name}", *shape, True)
                index, ci = index + 1, co
        self.fill("classifier.linear.linear.weight", (family["classes"], ci))
        self.tensors["classifier.linear.linear.bias"] = rng.normal(size=family["classes"]).astype("f4") * 0.01


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


def windows(x, k, stride, pad):
    """The k x k taps of every window that ceil_mode or padding lets begin inside, NaN outside the map."""
    high, wide = (-(-n // stride) for n in x.shape[2:])
    room = ((pad, stride * high + k - n - pad) for n, high in zip(x.shape[2:], (high, wide)))
    x = np.pad(x, ((0, 0), (0, 0), *room), constant_values=np.nan)
    return [x[:, :, i:i + stride * high:stride, j:j + stride * wide:stride] for i in range(k) for j in range(k)]


class ResNetForward(Forward):
    def __init__(self, checkpoint, architecture):
        self.of, self.family, self.arch = checkpoint.tensors, checkpoint.family, architecture
        self.config = {"input_stem": [], "blocks": []}

    def conv(self, x, layer, co, stride, act):
        weights = self.of[layer + ".conv.conv.weight"][:co, :x.shape[1]].astype(float)
        return self.norm(convolve(x, weights, stride), layer + ".bn.bn", act)

    def conv_layer(self, x, layer, co, stride):
        config = {"name": "ConvLayer", "kernel_size": 3, "stride": stride, "dilation": 1, "groups": 1, "bias": False,
                  "has_shuffle": False, "use_se": False, "in_channels": x.shape[1], "out_channels": co, "use_bn": True,
                  "act_func": "relu", "dropout_rate": 0, "ops_order": "weight_bn_act"}
        return self.conv(x, layer, co, stride, "relu"), config

    def stem(self, x):
        mid, stem = ResNets.MID[self.arch["w"][0]], ResNets.STEM[self.arch["w"][1]]
        x, config = self.conv_layer(x, "input_stem.0", mid, 2)
        self.config["input_stem"].append(config)
        if self.arch["d"][0] == ResNets.DEEPEST:
            y, config = self.conv_layer(x, "input_stem.1.conv", mid, 1)
            identity = {"name": "IdentityLayer", "in_channels": [mid], "out_channels": [mid], "use_bn": False,
                        "act_func": None, "dropout_rate": 0, "ops_order": "weight_bn_act"}
            self.config["input_stem"].append({"name": "ResidualBlock", "conv": config, "shortcut": identity})
            x = x + y
        x, config = self.conv_layer(x, "input_stem.2", stem, 1)
        self.config["input_stem"].append(config)
        return np.nanmax(windows(x, 3, 2, 1), axis=0)

    def bottleneck(self, x, index, co, expand, stride):
        layer, given, hidden = f"blocks.{index}.", x, divisible(round(co * expand))
        self.config["blocks"].append(
            {"name": "ResNetBottleneckBlock", "in_channels": x.shape[1], "out_channels": co, "kernel_size": 3, "stride": stride,
             "expand_ratio": expand, "mid_channels": hidden, "act_func": "relu", "groups": 1, "downsample_mode": "avgpool_conv"})
        x = self.conv(x, layer + "conv1", hidden, 1, "relu")
        x = self.conv(x, layer + "conv2", hidden, stride, "relu")
        x = self.conv(x, layer + "conv3", co, 1, None)
        if layer + "downsample.conv.conv.weight" in self.of:
            given = np.nanmean(windows(given, stride, stride, 0), axis=0)
            given = self.conv(given, layer + "downsample", co, 1, None)
        return np.maximum(x + given, 0)

    def logits(self, x):
        x, index = self.stem(x.astype(float)), 0
        for stage, (base, stride) in enumerate(zip(ResNets.BASE, ResNets.STRIDES)):
            co = ResNets.width(stage, self.arch["w"][2 + stage])
            for slot in range(base + self.arch["d"][1 + stage]):
                x = self.bottleneck(x, index + slot, co, self.arch["e"][index + slot], stride if slot == 0 else 1)
            index += base + ResNets.DEEPEST
        x, layer = x.mean((2, 3)), "classifier.linear.linear."
        self.config |= {"name": "ResNets", "bn": {"momentum": 0.1, "eps": 1e-5},
                        "classifier": {"name": "LinearLayer", "in_features": x.shape[1], "out_features": 1000, "bias": True,
                                       "use_bn": False, "act_func": None, "dropout_rate": 0, "ops_order": "weight_bn_act"}}
        return x @ self.of[layer + "weight"][:, :x.shape[1]].astype(float).T + self.of[layer + "bias"]


def tailor(*words):
    subprocess.run([TAILOR, *words], check=True)


def architectures_resnet(_, rng):
    """The smallest, the largest, and at random without and with the stem's block, at sizes that do not halve evenly too."""
    slots = [base + ResNets.DEEPEST for base in ResNets.BASE]
    for pick, stem, side in ((min, 0, SIDE), (max, 2, SIDE), (rng.choice, 0, 132), (rng.choice, 2, SIDE), (rng.choice, 0, SIDE),
                             (rng.choice, 2, 140)):
        yield {"d": [stem] + [int(pick((0, 1, 2))) for _ in slots], "e": [float(pick(ResNets.EXPANDS)) for _ in range(sum(slots))],
               "w": [int(pick((0, 1, 2))) for _ in range(6)], "r": [side]}


def architectures(family, rng):
    """The smallest, the largest and two at random, in the lists of once-for-all."""
    slots = [s.get("slots", max(family["depths"])) for s in family["stages"]]
    for pick in (min, max, rng.choice, rng.choice):
        yield {"ks": [int(pick(family["kernels"])) for _ in range(sum(slots))],
               "e": [int(pick(family["expands"])) for _ in range(sum(slots))],
               "d": [int(pick(family["depths"])) if n > 1 else 1 for n in slots], "r": [SIDE]}


def read_tensors(path):
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        data = file.read()
    header.pop("__metadata__", None)
    return {name: np.frombuffer(data[slice(*t["data_offsets"])], "f4").reshape(t["shape"]) for name, t in header.items()}


def check_files(ours, arch, checkpoint, forward, folder):
    """The net.config is once-for-all's own, and the weights are cut as its code cuts them."""
    config, weights = (os.path.join(folder, n) for n in ("sub.net.config", "sub.safetensors"))
    tailor("export", "--supernet", ours, "--architecture", arch, "--output", config)
    with open(config, encoding="utf-8") as file:
        assert json.load(file) == forward.config
    tailor("export", "--supernet", ours, "--architecture", arch, "--output", weights)
    tensors = read_tensors(weights)
    assert len(tensors) == 2 + 5 * (len(forward.config["input_stem"]) + 3 * len(forward.config["blocks"]) + 4)
    cut, whole = tensors["s3.b2.conv2.weight"], checkpoint.tensors["blocks.9.conv2.conv.conv.weight"]
    assert np.array_equal(cut, whole[:cut.shape[0], :cut.shape[1]])


def check(name, key, kind, folder):
    rng = np.random.default_rng(7)
    with open(os.path.join(FAMILIES, name + ".json"), encoding="utf-8") as file:
        family = json.load(file)
    theirs, ours, arch, x_file, y_file = (os.path.join(folder, n) for n in ("ofa.st", "ours.st", "a.json", "x.npy", "y.npy"))
    make, run, list_of = kind
    checkpoint = make(family, key, rng)
    checkpoint.write(theirs)
    tailor("convert", "--family", name, "--input", theirs, "--output", ours)
    for architecture in list_of(family, rng):
        x = rng.normal(size=(1 if kind == RESNET else BATCH, 3, architecture["r"][0], architecture["r"][0])).astype("f4")
        np.save(x_file, x)
        with open(arch, "w", encoding="utf-8") as file:
            json.dump(architecture, file)
        tailor("run", "--supernet", ours, "--architecture", arch, "--input", x_file, "--output", y_file)
        forward = run(checkpoint, architecture)
        want = forward.logits(x)
        off = np.abs(np.load(y_file) - want).max() / np.abs(want).max()
        assert off < CLOSE, f"{name}, {architecture}: logits are {off} apart"
        print(f"{name}: logits agree to {off:.1e}")
        if kind == RESNET:
            check_files(ours, arch, checkpoint, forward, folder)


MOBILE, RESNET = (Checkpoint, Forward, architectures), (ResNetCheckpoint, ResNetForward, architectures_resnet)
CASES = [("ofa-mbv3-w1.0", "mobile_inverted_conv", MOBILE), ("ofa-proxyless-w1.3", "conv", MOBILE),
         ("ofa-resnet50d", None, RESNET)]


def main():
    for name, key, kind in CASES:
        with tempfile.TemporaryDirectory() as folder:
            check(name, key, kind, folder)


main()
