#!/usr/bin/env python3
"""format.py ROOT: every C file is as clang-format writes it."""
import shutil
import subprocess
import sys

import sources

VERSION = 14  # other versions write some lines differently


def tool():
    for name in (f"clang-format-{VERSION}", "clang-format"):
        if shutil.which(name):
            told = subprocess.run([name, "--version"], capture_output=True, text=True, check=False).stdout
            if f" {VERSION}." in told:
                return name
    sources.skip(f"no clang-format {VERSION} here")
    return None


def check(root, paths):
    if not paths:
        return []
    command = [tool(), "--dry-run", "-Werror", "--style=file", *paths]
    run = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    return [line for line in run.stderr.splitlines() if ": error:" in line] if run.returncode else []


def main(root):
    paths = sources.listed(root)
    sources.finish(check(root, paths), len(paths))


if __name__ == "__main__":
    main(sys.argv[1])
