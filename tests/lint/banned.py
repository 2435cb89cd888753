#!/usr/bin/env python3
"""banned.py ROOT: functions that nobody calls, and SQL that is built by formatting."""
import re
import sys

import sources

INSTEAD = {
    "strcpy": "memcpy or snprintf",
    "strcat": "tl_buf_addf",
    "sprintf": "snprintf",
    "vsprintf": "vsnprintf",
    "gets": "fgets",
    "strtok": "strcspn and strspn",
    "atoi": "strtol with its checks",
    "atol": "strtol with its checks",
    "atof": "strtod with its checks",
    "rand": "tl_rng",
    "srand": "tl_rng",
    "random": "tl_rng",
    "alloca": "tl_arena or a fixed size",
    "system": "posix_spawn",
    "sqlite3_mprintf": "bound parameters",
    "sqlite3_vmprintf": "bound parameters",
    "sqlite3_snprintf": "bound parameters",
}
CALL = re.compile(r"(?<![\w.>])(" + "|".join(INSTEAD) + r")[ \t]*\(")

# adjacent literals, with the PRId64 and the like between them
LITERAL = re.compile(r'"(?:\\.|[^"\\\n])*"(?:\s*(?:"(?:\\.|[^"\\\n])*"|PRI[diuxX]\w+))*')
CONVERSION = re.compile(r'%[-+ #0]*[0-9*]*(?:\.[0-9*]+)?(?:hh?|ll?|[zjtL])?[diouxXfeEgGcsp]|%"\s*PRI')
SQL = re.compile(
    r"\bselect\b.*\bfrom\b|\binsert\s+(or\s+\w+\s+)?into\b|\bupdate\s+\S+\s+set\b|\bdelete\s+from\b|\bpragma\s+\w|"
    r"\b(create|drop|alter)\s+(table|index|view|trigger)\b|\bvacuum\s+into\b|\battach\s+database\b|\border\s+by\b",
    re.I | re.S)


def check_file(path, text):
    complaints = []
    code = sources.without(text, ("comment", "string"))
    for match in CALL.finditer(code):
        name = match.group(1)
        complaints.append(f"{path}:{sources.line_of(code, match.start())}: {name} is banned; use {INSTEAD[name]}")
    clean = sources.without(text, ("comment",))
    for match in LITERAL.finditer(clean):
        literal = re.sub(r'"\s*"', "", match.group())  # as the compiler joins them
        if SQL.search(literal) and CONVERSION.search(literal):
            line = sources.line_of(clean, match.start())
            complaints.append(f"{path}:{line}: SQL is built by formatting; use bound parameters")
    return complaints


def check(files):
    """files: path -> text. The complaints, one line each."""
    return [c for path, text in files.items() for c in check_file(path, text)]


def main(root):
    files = {p: sources.read(root, p) for p in sources.listed(root)}
    sources.finish(check(files), len(files))


if __name__ == "__main__":
    main(sys.argv[1])
