#!/usr/bin/env python3
"""Does a budget on memory hold, and what does it cost? Prints a table; exit code 1 if it does not.

    benches/residency.py [--mib 8192] [--budget 64] [--record 124] [--dir DIR] [--bounded-only]

An archive is made with the command. Then each workload runs once with the budget and once without,
in a process of its own that is watched every two milliseconds: RssFile and RssAnon as
/proc/PID/status has them, dirty and written-back bytes of the archive as cachestat(2) has them
(Linux 6.5). Needs cargo; as root, cold runs and a memory cgroup of 1.5 budgets too.
"""

import argparse
import ctypes
import glob
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
MIB = 1 << 20
# What a process of this program has resident of its own text, beside the archive.
OWN_FILE_MIB = 2
ANON_MIB = 16
PAGE = os.sysconf("SC_PAGE_SIZE")
LIBC = ctypes.CDLL(None, use_errno=True)


def dirty_bytes(files):
    """Dirty and written-back bytes of the files; None where the kernel does not tell."""
    span, found = (ctypes.c_uint64 * 2)(0, 0), (ctypes.c_uint64 * 5)()
    total = 0
    for file in files:
        if LIBC.syscall(451, file.fileno(), span, found, 0) != 0:
            return None
        total += (found[1] + found[2]) * PAGE
    return total


def status(pid):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    return [int(fields[name].split()[0]) * 1024 for name in ("RssFile", "RssAnon")]


def run(command, archive, enter=None):
    """Runs one workload; its records and seconds, and the largest of each figure."""
    files = [open(path, "rb") for path in glob.glob(f"{archive}*")]
    most = [0, 0, 0]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=enter)
    while child.poll() is None:
        try:
            seen = status(child.pid)
        except (OSError, KeyError):
            break
        seen.append(dirty_bytes(files) or 0)
        most = [max(pair) for pair in zip(most, seen)]
        time.sleep(0.002)
    output = child.communicate()[0].split()
    if child.returncode != 0 or len(output) != 2:
        sys.exit(f"{' '.join(map(str, command))} ended with {child.returncode}")
    if most[0] == 0:
        sys.exit(f"{' '.join(map(str, command))} ended before it was looked at once")
    return int(output[0]), float(output[1]), most


def drop_cache():
    os.sync()
    try:
        pathlib.Path("/proc/sys/vm/drop_caches").write_text("3")
        return True
    except OSError:
        return False


def memory_group(limit):
    """A cgroup of so many bytes, version 1 or 2, and how a child enters it."""
    for base, file in (("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
                       ("/sys/fs/cgroup", "memory.max")):
        group = pathlib.Path(base) / f"ringkeep-residency-{os.getpid()}"
        try:
            group.mkdir()
            (group / file).write_text(str(limit))
        except OSError:
            if group.exists():
                group.rmdir()
            continue
        return group, lambda: (group / "cgroup.procs").write_text(str(os.getpid()))
    return None, None


def build():
    """The command and the example; the directory where they are."""
    cargo = ["cargo", "build", "--release", "--quiet", "--manifest-path", str(ROOT / "Cargo.toml")]
    subprocess.run([*cargo, "-p", "ringkeep-cli"], check=True)
    subprocess.run([*cargo, "-p", "ringkeep", "--example", "residency"], check=True)
    return pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"


def warm(archive):
    """Puts into the page cache all that it has room for."""
    for path in sorted(glob.glob(f"{archive}*")):
        subprocess.run(["cat", path], stdout=subprocess.DEVNULL, check=True)
    return True


def make_archive(ringkeep, path, mib, record):
    """Creates it with the command, and fills it once and a little more."""
    capacity = mib * MIB // (record + 4)
    subprocess.run([ringkeep, "create", path, "--record-size", str(record),
                    "--capacity", str(capacity)], check=True, stdout=subprocess.DEVNULL)
    append = subprocess.Popen([ringkeep, "append", path, "--format", "raw"],
                              stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    block = os.urandom(record * 1024)
    for _ in range(capacity // 1024 + 2):
        append.stdin.write(block)
    append.stdin.close()
    if append.wait() != 0:
        sys.exit("the archive could not be filled")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mib", type=int, default=8192, help="size of the archive")
    parser.add_argument("--budget", type=int, default=64, help="in MiB")
    parser.add_argument("--record", type=int, default=124, help="bytes of a record")
    parser.add_argument("--dir", help="where the archive is made")
    parser.add_argument("--bounded-only", action="store_true", help="compare no speeds")
    options = parser.parse_args()
    target = build()
    directory = tempfile.mkdtemp(dir=options.dir)
    try:
        failures = measure(options, target, pathlib.Path(directory) / "cache.dat")
    finally:
        shutil.rmtree(directory)
    for failure in failures:
        print(f"FAILED: {failure}")
    sys.exit(1 if failures else 0)


def measure(options, target, archive):
    make_archive(target / "ringkeep", archive, options.mib, options.record)
    with open(archive, "rb") as file:
        if dirty_bytes([file]) is None:
            print("SKIPPED: dirty bytes under a budget: the kernel does not tell them here")
    tool, failures = target / "examples" / "residency", []
    heads = "workload", "cache", "records", "seconds", "of unbounded", "RssFile", "RssAnon", "dirty"
    print(f"archive of {options.mib} MiB, records of {options.record} bytes, "
          f"budget of {options.budget} MiB; the most of each, in MiB")
    print("{:<22}{:<7}{:>11}{:>9}{:>14}{:>9}{:>9}{:>9}".format(*heads))

    def show(name, cache, result, beside=None):
        records, seconds, most = result
        ratio = f"{beside[1] / seconds:.2f}" if beside else ""
        mib = [f"{value / MIB:.1f}" for value in most]
        print(f"{name:<22}{cache:<7}{records:>11}{seconds:>9.2f}{ratio:>14}"
              f"{mib[0]:>9}{mib[1]:>9}{mib[2]:>9}", flush=True)

    def check(name, result):
        file, anon, dirty = result[2]
        limits = (("RssFile", file, options.budget + OWN_FILE_MIB), ("RssAnon", anon, ANON_MIB),
                  ("dirty", dirty, options.budget))
        for what, found, limit in limits:
            if found > limit * MIB:
                failures.append(f"{name}: {what} was {found / MIB:.1f} MiB, of {limit}")

    def workload(name, cache="warm", budget=True, group=None):
        if cache == "cold" and not drop_cache():
            return None
        if cache == "warm" and name not in ("producer", "both"):
            warm(archive)
        if name in ("producer", "both"):
            os.sync()
        bounded = [str(options.budget)] if budget else []
        return run([tool, archive, name, *bounded], archive, group)

    plan = [("forward", "warm"), ("backward", "warm"), ("random", "warm"), ("batches", "warm"),
            ("readers", "warm"), ("forward", "cold"), ("backward", "cold"), ("random", "cold"),
            ("batches", "cold"),
            ("producer", "warm"), ("both", "warm")]
    for name, cache in plan:
        unbounded = None
        if not options.bounded_only:
            unbounded = workload(name, cache, budget=False)
            if unbounded:
                show(f"{name}, unbounded", cache, unbounded)
        bounded = workload(name, cache)
        if not bounded:
            print(f"SKIPPED: {name} on a cold file: the page cache can be dropped by root only")
            continue
        show(name, cache, bounded, unbounded)
        check(f"{name}, {cache}", bounded)
    limit = options.budget * MIB * 3 // 2
    group, enter = memory_group(limit)
    if not group:
        print("SKIPPED: a budget inside a memory cgroup: none can be made here")
        return failures
    cache = "cold" if drop_cache() else "warm"
    for name in ("forward", "random", "batches", "readers", "producer", "both"):
        result = workload(name, cache, group=enter)
        show(f"{name}, cgroup {limit // MIB}", cache, result)
        check(f"{name} in a cgroup", result)
    group.rmdir()
    return failures


if __name__ == "__main__":
    main()
