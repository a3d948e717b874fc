#!/usr/bin/env python3
"""Puts load on `oriel serve`: how much it answers, how long that takes, and that nothing that it
accepted is lost.

    bench/serving.py MODEL_DIR            # all parts; some ten minutes
    bench/serving.py MODEL_DIR --write    # ... and writes the table into README.md and history.md
    bench/serving.py MODEL_DIR --parts idle,swaps
    bench/serving.py MODEL_DIR --quick    # does everything work?

MODEL_DIR is a version that `oriel export` made, .../efficientnet_lite2/1. Needs wrk (Debian), and
for gRPC ghz (`go install github.com/bojand/ghz/cmd/ghz@latest`); what is missing is left out and
named. All traffic stays on loopback. bench/README.md says what is measured and how.
"""

import argparse
import datetime
import json
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import tempfile

from harness import environment, report
from serving import loads
from serving.server import Server

BENCH = pathlib.Path(__file__).resolve().parent
ROOT = BENCH.parent
PARTS = ("http", "grpc", "overload", "idle", "swaps")


def tell(text):
    print(f"{datetime.datetime.now():%H:%M:%S} {text}", file=sys.stderr, flush=True)


def ms(seconds):
    return f"{1000 * seconds:.0f}" if seconds >= 0.1 else f"{1000 * seconds:.1f}"


def percent(value):
    return f"{100 * value:.1f} %"


class Bench:
    """Runs the parts; each adds rows of text to the table."""

    def __init__(self, args):
        self.args = args
        self.rows = []   # (what, result)
        self.left_out = []
        self.lost = 0

    def serve(self, *flags):
        # Everything that comes is to be accepted where a part does not say otherwise.
        return Server(self.args.oriel, self.args.model, "--precision", self.args.precision,
                      "--log-level", "warning", *flags)

    def network_alone(self):
        """images/s of `oriel bench`, the best of some runs: no server, no decoding."""
        best = 0
        for batch in (1, 8):
            out = subprocess.run(
                [self.args.oriel, "bench", self.args.model, "--json", "--precision",
                 self.args.precision, "--batch", str(batch), "--streams", "1", "--threads",
                 str(len(os.sched_getaffinity(0))), "--duration",
                 str(max(1, self.args.seconds / 6))],
                check=True, capture_output=True, text=True).stdout
            best = max(best, json.loads(out)["images_per_second"])
        return best

    def add_load(self, title, result, alone):
        self.lost += result.lost
        share = f", {percent(result.rate / alone)} of the network alone" if alone else ""
        self.rows.append((title, f"{result.rate:.1f} images/s{share}; p50 {ms(result.p50)} ms, "
                                 f"p99 {ms(result.p99)} ms; {result.answered} answered, "
                                 f"{result.refused} refused, {result.lost} lost"))

    def http(self):
        alone = self.network_alone()
        self.rows.append(("network alone (`oriel bench`)", f"{alone:.1f} images/s"))
        for connections in self.args.connections:
            with self.serve("--queue", "5000", "--request-timeout", "600") as server:
                result = loads.wrk(server.http, self.args.photo, connections, self.args.seconds)
            self.add_load(f"HTTP, {connections} connections", result, alone)
            tell(self.rows[-1])

    def grpc(self):
        if shutil.which("ghz", path=loads.PATH) is None:
            self.left_out.append("gRPC: there is no ghz")
            return
        for connections in self.args.connections:
            with self.serve("--queue", "5000", "--request-timeout", "600") as server:
                result = loads.ghz(server.grpc, self.args.photo, server.model, connections,
                                   self.args.seconds)
            self.add_load(f"gRPC, {connections} callers", result, None)
            tell(self.rows[-1])

    def overload(self):
        """Four times what it can do, at a steady pace."""
        queue = 32
        with self.serve("--queue", str(queue)) as server:
            capacity = loads.wrk(server.http, self.args.photo, 8, self.args.seconds / 4).rate
            result = loads.paced(server.http, self.args.photo, 4 * capacity, self.args.seconds)
        self.lost += result.lost
        self.rows.append((
            f"HTTP at 4x its capacity, `--queue {queue}`",
            f"{result.accepted} accepted: p50 {ms(result.accepted_p50)} ms, p99 "
            f"{ms(result.accepted_p99)} ms (a full queue takes {ms(queue / capacity)} ms); "
            f"{result.refused} got 429: p50 {ms(result.refused_p50)} ms, p99 "
            f"{ms(result.refused_p99)} ms; {result.lost} lost"))
        tell(self.rows[-1])

    def idle(self):
        count = 1000
        with self.serve() as server:
            without = loads.wrk(server.http, self.args.photo, 8, self.args.seconds / 2)
            before = server.resident()
            with loads.IdleConnections(server.http, count):
                cost = server.resident() - before
                beside = loads.wrk(server.http, self.args.photo, 8, self.args.seconds / 2)
        self.lost += without.lost + beside.lost
        self.rows.append((f"{count} idle connections",
                          f"{cost / 2**20:.1f} MiB; {percent(beside.rate / without.rate)} of the "
                          "throughput without them"))
        tell(self.rows[-1])

    def swaps(self):
        """A version after the other while requests come."""
        count = 3 if self.args.quick else 100
        with tempfile.TemporaryDirectory(prefix="oriel-swaps-") as folder:
            root = pathlib.Path(folder)
            shutil.copytree(self.args.model, root / self.args.model.parent.name / "1")
            with Server(self.args.oriel, None, "--model-dir", root, "--poll-interval", "0.05",
                        "--precision", self.args.precision, "--log-level", "warning") as server:
                result = loads.swap_versions(server, root, self.args.photo, count)
        self.lost += result.lost
        self.rows.append((f"{count} new versions under load",
                          f"{result.answered} answered, {result.lost} lost; resident memory "
                          f"{result.before / 2**20:.0f} MiB before, {result.after / 2**20:.0f} MiB "
                          f"after ({100 * (result.after / result.before - 1):+.1f} %)"))
        tell(self.rows[-1])


def describe(bench, when):
    """(README's part, history's entry)."""
    args = bench.args
    cpu, flags = environment.cpu_info()
    commit = environment.commit()
    machine = (f"{len(os.sched_getaffinity(0))} cores of {cpu}; "
               f"{', '.join(flags) or 'no vector flags'}")
    table = report.markdown(["", ""], [list(row) for row in bench.rows])
    left_out = "".join(f"\n- left out: {why}" for why in bench.left_out)
    name = args.model.parent.name
    what = f"`{name}` in {args.precision}, one JPEG of {args.photo.stat().st_size >> 10} KiB, " \
           f"{args.seconds:.0f} s each, the clients on the same cores"
    readme = (f"`oriel serve` on {machine}; {what}; {when:%Y-%m-%d}, commit {commit}.\n\n"
              f"{table}{left_out}")
    entry = "\n".join([f"## {when:%Y-%m-%d %H:%M} UTC: serving, commit {commit}", "",
                       f"- machine: {machine}; {platform.system()} {platform.release()}",
                       f"- {what}", "", table + left_out])
    return readme, entry


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("model", type=pathlib.Path, metavar="MODEL_DIR")
    add("--oriel", type=pathlib.Path, default=ROOT / "build/dev/src/cli/oriel",
        help="the program to measure, a release build (default: build/dev's)")
    add("--photo", type=pathlib.Path, default=ROOT / "build/test-data/photos/china.jpg")
    add("--precision", default="f32", help="default: %(default)s")
    add("--connections", default="1,8,64,1000", help="default: %(default)s")
    add("--seconds", type=float, default=60, help="of each load (default: %(default)s)")
    add("--parts", default=",".join(PARTS), help="default: %(default)s")
    add("--write", action="store_true", help="write README.md's table and bench/history.md")
    add("--quick", action="store_true", help="short runs: is everything in order?")
    args = parser.parse_args()
    args.model = args.model.resolve()
    if not (args.model / "oriel.json").exists():
        parser.error(f"{args.model} has no oriel.json: want a version of an exported model")
    args.parts = args.parts.split(",")
    if unknown := set(args.parts) - set(PARTS):
        parser.error(f"unknown parts: {', '.join(sorted(unknown))}")
    if args.quick:
        args.seconds, args.connections = 2, "1,8"
        if args.write:
            parser.error("--quick's numbers are not for writing down")
    args.connections = [int(c) for c in args.connections.split(",")]
    return args


def main():
    args = parse_arguments()
    bench = Bench(args)
    when = datetime.datetime.now(datetime.UTC)
    for part in args.parts:
        getattr(bench, part)()
    readme, entry = describe(bench, when)
    print(entry)
    if args.write:
        report.write(ROOT / "README.md", BENCH / "history.md", "serving", readme, entry)
        tell("written: README.md, bench/history.md")
    if bench.lost:
        sys.exit(f"serving.py: {bench.lost} accepted requests were lost")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
