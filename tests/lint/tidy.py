#!/usr/bin/env python3
"""tidy.py ROOT BUILD: clang-tidy has nothing to say about any file that BUILD/compile_commands.json compiles."""
import concurrent.futures
import json
import os
import shutil
import subprocess
import sys

import sources


def check_one(root, build, path):
    command = ["clang-tidy", "-p", build, "--quiet", path]
    run = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    return run.stdout if run.returncode else None


def check(root, build, paths):
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return [said for said in pool.map(lambda p: check_one(root, build, p), paths) if said]


def main(root, build):
    if not shutil.which("clang-tidy"):
        sources.skip("no clang-tidy here")
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as file:
        compiled = {os.path.realpath(os.path.join(c["directory"], c["file"])) for c in json.load(file)}
    tracked = sources.listed(root)
    paths = [p for p in tracked if os.path.realpath(os.path.join(root, p)) in compiled]
    sources.finish(check(root, build, paths), len(paths))


if __name__ == "__main__":
    main(*sys.argv[1:])
