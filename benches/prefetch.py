#!/usr/bin/env python3
"""What does the prefetch worker win on a cold archive, and cost on a hot one? Prints a table.

    benches/prefetch.py [--mib 1024] [--record 124] [--rounds 7] [--dir DIR]

Each row is a walk over the whole archive in a process of its own, with the worker and without it,
in turn; `dd` reads the same files. Needs cargo, and root for the cold rows.
"""

import argparse
import glob
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from residency import build, drop_cache, make_archive, warm


def walk(tool, archive, *options):
    output = subprocess.run([tool, archive, *options], check=True, capture_output=True, text=True)
    return float(output.stdout.split()[1])


def dd(archive):
    begun = time.monotonic()
    for path in sorted(glob.glob(f"{archive}*")):
        subprocess.run(["dd", f"if={path}", "of=/dev/null", "bs=1M", "status=none"], check=True)
    return time.monotonic() - begun


def rounds(count, prepare, contenders):
    """Seconds of each contender, one of each in every round."""
    seconds = {name: [] for name in contenders}
    for _ in range(count):
        for name, run in contenders.items():
            if not prepare():
                sys.exit("the page cache can be dropped by root only")
            seconds[name].append(run())
    return seconds


def measure(options, tool, archive):
    make_archive(tool.parents[1] / "ringkeep", archive, options.mib, options.record)
    print(f"{options.mib} MiB, records of {options.record} bytes, medians of {options.rounds} rounds")
    print(f"{'walk':<18}{'cache':<6}{'with, s':>9}{'without, s':>12}{'ratio':>7}{'dd, s':>8}  spread")
    for cache, prepare in (("cold", drop_cache), ("hot", lambda: warm(archive))):
        for io in ([], ["file"]):
            for direction in ("forward", "backward"):
                contenders = {
                    "with": lambda: walk(tool, archive, direction, *io),
                    "without": lambda: walk(tool, archive, direction, *io, "off"),
                }
                if cache == "cold":
                    contenders["dd"] = lambda: dd(archive)
                seconds = rounds(options.rounds, prepare, contenders)
                median = {name: statistics.median(all_of) for name, all_of in seconds.items()}
                dd_seconds = f"{median['dd']:.2f}" if "dd" in median else "-"
                spread = " ".join(f"{min(all_of):.2f}-{max(all_of):.2f}"
                                  for all_of in seconds.values())
                print(f"{direction + ', ' + (io or ['mapped'])[0]:<18}{cache:<6}"
                      f"{median['with']:>9.2f}{median['without']:>12.2f}"
                      f"{median['without'] / median['with']:>7.2f}"
                      f"{dd_seconds:>8}  {spread}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mib", type=int, default=1024, help="size of the archive")
    parser.add_argument("--record", type=int, default=124, help="bytes of a record")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--dir", help="where the archive is made")
    options = parser.parse_args()
    target = build()
    directory = tempfile.mkdtemp(dir=options.dir)
    try:
        measure(options, target / "examples" / "residency", pathlib.Path(directory) / "cache.dat")
    finally:
        shutil.rmtree(directory)


if __name__ == "__main__":
    main()
