#!/usr/bin/env python3
"""The units of deploy/: systemd takes them, they give the programs little, and their command lines are the programs' own."""
import os
import re
import shutil
import subprocess

from tailor import Skip, fact, main

UNITS = ("tailor", "tailor-agent")
EXPOSURE_MAX = 2.0  # of 10, as systemd-analyze security counts


def analyze(*arguments):
    if not shutil.which("systemd-analyze"):
        raise Skip("systemd-analyze is not here")
    return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, check=False)


def installed(house, unit):
    """The unit as it would be where the programs are installed in the build folder."""
    with open(f"deploy/{unit}.service", encoding="utf-8") as file:
        text = file.read()
    settings = house.path("agent.env")
    with open(settings, "w", encoding="utf-8") as file:
        file.write("TAILOR_SERVER=https://localhost:1\nTAILOR_DEVICE=board\n")
    text = text.replace("/usr/bin/", os.path.abspath(house.build) + "/").replace("/etc/tailor/agent.env", settings)
    path = house.path(f"{unit}.service")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path, text


@fact
def systemd_has_nothing_to_say_of_the_units(house):
    for unit in UNITS:
        path, _ = installed(house, unit)
        verdict = analyze("verify", "--man=no", path)
        assert verdict.returncode == 0 and not re.search(rf"{unit}\.service", verdict.stderr), verdict.stderr


@fact
def the_units_expose_little(house):
    for unit in UNITS:
        path, _ = installed(house, unit)
        verdict = analyze("security", "--offline=yes", "--no-pager", path)
        if "unrecognized option" in verdict.stderr:
            raise Skip("this systemd-analyze is older than 250")
        exposure = re.search(r"Overall exposure level for \S+: ([\d.]+)", verdict.stdout)
        assert exposure, verdict.stdout + verdict.stderr
        print(f"{unit}: {exposure.group(1)}")
        assert float(exposure.group(1)) <= EXPOSURE_MAX, verdict.stdout


@fact
def their_options_are_the_programs_own(house):
    for unit in UNITS:
        _, text = installed(house, unit)
        lines = re.findall(r"^#? *ExecStart=(\S+) (.*)$", text, re.M)
        assert lines, text
        for program, arguments in lines:
            command = [program] + re.findall(r"^[a-z]+", arguments) + ["--help"]
            told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            for option in re.findall(r"--[a-z-]+", arguments):
                assert option in told, (unit, option)


if __name__ == "__main__":
    main()
