#!/usr/bin/env python3
"""CSV into a ring and out of it, beside SQLite: python3 benches/peers/csv_sqlite.py RINGKEEP [ROWS]

RINGKEEP is the command, built with --release. It needs sqlite3, and about 200 bytes of disk for a
row in the current directory. Both sides take the same CSV file (a time, a float, a whole number, a
label), three times in turn, and give it back; what comes out must be the same rows. Neither side
syncs before its end. The last column is how much longer SQLite took, by the medians.
"""

import hashlib
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile
import time

ROUNDS = 3
SCHEMA = "t:time_ms, temp:f64[C], rpm:u16, state:enum8{idle,run,fault}"
TABLE = "create table t(t text, temp real, rpm integer, state text)"


def make_csv(path, rows):
    random.seed(1)
    hours = [f"{hour:02}:{minute:02}:{second:02}" for hour in range(24)
             for minute in range(60) for second in range(60)]
    with open(path, "w") as out:
        out.write("t,temp,rpm,state\n")
        for row in range(rows):
            day, rest = divmod(row, 864_000)
            clock, tenth = hours[rest // 10], rest % 10
            temp = random.randrange(1, 100_000) / 1000
            state = ("idle", "run", "fault")[row % 3]
            out.write(f"2026-01-{day + 1:02}T{clock}.{tenth}00Z,{temp},{row % 9000},{state}\n")


def timed(command, **streams):
    begun = time.perf_counter()
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL, **streams)
    return time.perf_counter() - begun


def digest(path):
    # SQLite writes CRLF, and no header unless asked.
    rows = hashlib.sha256()
    with open(path, "rb") as lines:
        for line in lines:
            if not line.startswith(b"t,"):
                rows.update(line.rstrip(b"\r\n") + b"\n")
    return rows.hexdigest()


def main():
    command = str(pathlib.Path(sys.argv[1]).resolve())
    rows = int(sys.argv[2]) if len(sys.argv) > 2 else 10_000_000
    times = {name: [] for name in ("ring in", "sqlite in", "ring out", "sqlite out")}
    with tempfile.TemporaryDirectory(dir=".") as directory:
        place = pathlib.Path(directory)
        source, ring, database = place / "in.csv", place / "t.dat", place / "t.db"
        outs = {"ring out": place / "ring.csv", "sqlite out": place / "sqlite.csv"}
        make_csv(source, rows)
        for _ in range(ROUNDS):
            for old in place.glob("t.d*"):
                old.unlink()
            make = [command, "create", ring, "--schema", SCHEMA, "--capacity", str(rows)]
            times["ring in"].append(
                timed(make, stdout=subprocess.DEVNULL) + timed([command, "append", ring, source]))
            script = [TABLE, "pragma synchronous=off", ".mode csv", f".import --skip 1 {source} t"]
            times["sqlite in"].append(timed(["sqlite3", database, *script]))
            with open(outs["ring out"], "wb") as out:
                fields = ["--fields", "t,temp,rpm,state"]
                times["ring out"].append(
                    timed([command, "cat", ring, "--format", "csv", *fields], stdout=out))
            with open(outs["sqlite out"], "wb") as out:
                query = "select * from t"
                times["sqlite out"].append(
                    timed(["sqlite3", "-csv", database, query], stdout=out))
        assert digest(outs["ring out"]) == digest(source), "the ring gives other rows"
        assert digest(outs["sqlite out"]) == digest(source), "SQLite gives other rows"
    print(f"{rows} rows, {ROUNDS} rounds")
    print(f"{'work':<12} {'median s':>9} {'min s':>9} {'max s':>9} {'ns a row':>9} {'ratio':>6}")
    for name, found in times.items():
        median = statistics.median(found)
        peer = statistics.median(times[name.replace("ring", "sqlite")])
        print(f"{name:<12} {median:9.2f} {min(found):9.2f} {max(found):9.2f} "
              f"{median / rows * 1e9:9.0f} {peer / median:6.2f}")


if __name__ == "__main__":
    main()
