#!/usr/bin/env python3
"""Counts the instructions of the ring's hot paths, which no noise changes.

Runs `benches/instructions.rs` under callgrind, each path with two numbers of steps, and compares
the difference a step with what benches/instructions.json has for this compiler and processor.
Exit 1 where a path takes over 5 % more; another compiler only warns. `--record` writes the file.
"""

import json
import os
import pathlib
import platform
import re
import subprocess
import sys

HOME = pathlib.Path(__file__).resolve().parent
RECORDED = HOME / "instructions.json"
STEPS = (6400, 19200)
MOST = 1.05


def build():
    """The program that callgrind watches."""
    command = ["cargo", "build", "--release", "-p", "ringkeep-benches", "--message-format=json"]
    lines = subprocess.run(command, cwd=HOME, check=True, stdout=subprocess.PIPE).stdout
    for message in map(json.loads, lines.splitlines()):
        if message.get("target", {}).get("name") == "instructions" and message.get("executable"):
            return message["executable"]
    sys.exit("cargo built no benchmark")


def collected(binary, path, steps):
    """Instructions of one run."""
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=" + os.devnull]
    run = subprocess.run(command + [binary, path, str(steps)], capture_output=True, text=True)
    found = re.search(r"Collected : (\d+)", run.stderr)
    if run.returncode or not found:
        sys.exit(f"{path}: {run.stderr}")
    return int(found[1])


def count(binary):
    """Instructions of a step, path by path."""
    paths = subprocess.run([binary], check=True, stdout=subprocess.PIPE, text=True).stdout.split()
    fewer, more = STEPS
    return {
        path: round((collected(binary, path, more) - collected(binary, path, fewer)) / (more - fewer))
        for path in paths
    }


def main():
    version = subprocess.run(["rustc", "--version"], check=True, stdout=subprocess.PIPE, text=True)
    machine = f"{version.stdout.strip()}, {platform.machine()}"
    counts = count(build())
    if "--record" in sys.argv[1:]:
        RECORDED.write_text(json.dumps({"machine": machine, "counts": counts}, indent=4) + "\n")
    recorded = json.loads(RECORDED.read_text())
    is_same = recorded["machine"] == machine
    failed = False
    for path, found in counts.items():
        known = recorded["counts"].get(path)
        ratio = found / known if known else float("inf")
        failed |= ratio > MOST
        print(f"{path:<14} {found:>7} instructions a step, recorded {known}: {ratio:.3f}")
    if failed and is_same:
        sys.exit("more instructions than recorded: make it shorter, or say why and --record them")
    if failed:
        print(f"these were recorded by {recorded['machine']}, this is {machine}")


main()
