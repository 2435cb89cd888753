"""The files that the lints look at, and their text without comments and strings."""
import os
import re
import subprocess
import sys

SKIP = 77  # what ctest takes for "not run here"

ROOMS = ("base", "storage", "search", "supernet", "latency", "server", "web")


def listed(root):
    """Paths from `root` of all C files: those that git tracks, or all of them where it is no git checkout."""
    git = subprocess.run(["git", "-C", root, "ls-files", "-z", "--", "*.c", "*.h"], capture_output=True, check=False)
    if git.returncode == 0 and git.stdout:
        names = git.stdout.decode().split("\0")
        return sorted(n for n in names if n and os.path.exists(os.path.join(root, n)))
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = [f for f in folders if f not in ("build", "node_modules", ".git")]
        found += [os.path.relpath(os.path.join(folder, n), root) for n in names if n.endswith((".c", ".h"))]
    return sorted(found)


def in_rooms(paths):
    return [p for p in paths if p.split("/")[0] in ROOMS]


def read(root, path):
    with open(os.path.join(root, path), encoding="utf-8") as file:
        return file.read()


TOKEN = re.compile(r"""(?P<comment>/\*.*?\*/|//[^\n]*)|(?P<string>"(?:\\.|[^"\\\n])*")|'(?:\\.|[^'\\\n])*'""", re.S)


def without(text, kinds):
    """`text` with its comments, or its comments and strings, replaced by spaces; line numbers stay."""
    def blank(match):
        if match.lastgroup in kinds:
            return re.sub(r"[^\n]", " ", match.group())
        return match.group()
    return TOKEN.sub(blank, text)


def line_of(text, at):
    return text.count("\n", 0, at) + 1


def finish(complaints, n_files):
    """Print what is wrong and exit: 1 where there is something."""
    for complaint in complaints:
        print(complaint)
    if n_files == 0:
        print("no files to look at: the lint would pass whatever is written")
        sys.exit(1)
    print(f"{n_files} files, {len(complaints)} complaints")
    sys.exit(1 if complaints else 0)


def skip(why):
    print(f"skipped: {why}")
    sys.exit(SKIP)
