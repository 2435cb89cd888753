#!/usr/bin/env python3
"""includes.py ROOT: who may include what.

A room includes public headers of the rooms below it, and whatever it likes of its own house (supernet and its inner
rooms are one). A library of the system has the users named here. JSON stays in files named codec_*.
"""
import os
import re
import sys

import sources

BASE = {"base"}
NETWORK = BASE | {"base/model", "search", "supernet"}

# room: the rooms that it may include besides itself
FLOORS = {
    "base": set(),
    "base/model": BASE,
    "storage": BASE,
    "search": BASE | {"base/model"},
    "supernet": BASE | {"base/model", "search"},
    "supernet/kernels": NETWORK,
    "supernet/train": NETWORK | {"supernet/kernels", "supernet/files", "supernet/train/data"},
    "supernet/train/data": BASE,
    "supernet/files": NETWORK | {"supernet/kernels"},
    "latency": NETWORK | {"supernet/kernels", "supernet/train", "supernet/files"},
    "latency/agent": BASE | {"supernet", "supernet/kernels", "latency"},
    "web": BASE,
    "server": NETWORK | {"supernet/kernels", "supernet/train", "supernet/train/data", "supernet/files", "latency", "storage",
                         "web"},
}

# What a room shows to others, besides its codec_*.h: by default the header that has its name.
PUBLIC = {
    "supernet/train": {"train.h", "source.h"},
    "base": {"base.h", "http_client.h"},
    "search": {"search.h", "space.h"},
    "supernet": {"network.h"},
    "supernet/train/data": {"images.h"},
}

# header of a library: the rooms, or the one file, that may include it
SOLE_USERS = {
    r"cblas\.h|openblas.*": ("base/model", "supernet", "supernet/kernels", "supernet/train", "supernet/files"),
    r"sqlite3(ext)?\.h": ("storage",),
    r"curl/.*": ("base/http_client.c",),
    r"sodium(\.h|/.*)": ("base",),
    r"protobuf-c/.*": ("supernet/files",),
    r"jpeglib\.h|jerror\.h|png\.h": ("supernet/train/data",),
    r"zlib\.h": ("supernet/files", "supernet/train/data", "server/accuracy_rows.c", "server/evaluator_csv.c"),
    r"microhttpd\.h": ("server",),
}

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.M)
JANSSON = re.compile(r"\bjson_(?:t\b|\w+[ \t]*\()")


def room_of(path):
    """The innermost room that a file stands in; folders within a room belong to it (supernet/kernels/vector)."""
    folder = os.path.dirname(path)
    while folder and folder not in FLOORS:
        folder = os.path.dirname(folder)
    return folder or None


def is_public(room, header):
    name = os.path.basename(header)
    return os.path.dirname(header) == room and (
        name.startswith("codec_") or name in PUBLIC.get(room, {os.path.basename(room) + ".h"}))


def is_codec(path):
    return os.path.basename(path).startswith("codec_")


def check_own(path, header):
    """A header of ours, named from the root."""
    mine, theirs = room_of(path), room_of(header)
    if ".." in header.split("/"):
        return "climbs out of its folder; name it from the root"
    if theirs is None or theirs == mine:
        return None
    if theirs not in FLOORS[mine]:
        return f"{mine} may not include {theirs}"
    if mine.split("/")[0] != theirs.split("/")[0] and not is_public(theirs, header):
        return f"is private to {theirs}"
    return None


def check_library(path, header):
    for pattern, users in SOLE_USERS.items():
        if re.fullmatch(pattern, header) and room_of(path) not in users and path not in users:
            return f"is for {' and '.join(users)} alone"
    return None


def check_json(path, header):
    if header in ("jansson.h", "base/codec_json.h") and not is_codec(path):
        return "is for files named codec_* alone"
    return None


def check_file(path, text, exists):
    complaints = []
    clean = sources.without(text, ("comment",))
    for match in INCLUDE.finditer(clean):
        quote, header = match.groups()
        beside = os.path.join(os.path.dirname(path), header)
        if quote == '"' and not exists(header) and exists(beside):
            header = beside
        why = check_json(path, header) or (check_own if quote == '"' else check_library)(path, header)
        if why:
            complaints.append(f"{path}:{sources.line_of(clean, match.start())}: {header} {why}")
    if not is_codec(path):
        code = sources.without(text, ("comment", "string"))
        for match in JANSSON.finditer(code):
            line = sources.line_of(code, match.start())
            complaints.append(f"{path}:{line}: {match.group()} belongs in a file named codec_*")
    return complaints


def check(files):
    """files: path -> text. The complaints, one line each."""
    complaints = []
    for path, text in files.items():
        complaints += check_file(path, text, files.__contains__)
    http = [p for p, t in files.items() if re.search(r"#[ \t]*include[ \t]*<microhttpd\.h>", t)]
    if len(http) > 1:
        complaints.append(f"microhttpd.h is for one file, not for {' and '.join(http)}")
    return complaints


def main(root):
    files = {p: sources.read(root, p) for p in sources.in_rooms(sources.listed(root))}
    sources.finish(check(files), len(files))


if __name__ == "__main__":
    main(sys.argv[1])
