#!/usr/bin/env python3
"""headers.py ROOT COMPILER [FLAG...]: every public header compiles alone, also when it is included twice."""
import subprocess
import sys

import includes
import sources


def check(root, compiler, flags, headers):
    complaints = []
    for header in headers:
        text = f'#include "{header}"\n' * 2 + "typedef int not_empty;\n"
        command = [compiler, "-std=c17", *flags, "-Werror", f"-I{root}", "-fsyntax-only", "-x", "c", "-"]
        run = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
        if run.returncode:
            complaints.append(f"{header} does not compile alone:\n{run.stderr}")
    return complaints


def main(root, compiler, *flags):
    paths = sources.in_rooms(sources.listed(root))
    headers = [p for p in paths if p.endswith(".h") and includes.is_public(includes.room_of(p), p)]
    sources.finish(check(root, compiler, flags, headers), len(headers))


if __name__ == "__main__":
    main(*sys.argv[1:])
