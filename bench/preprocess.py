#!/usr/bin/env python3
"""Measures `oriel preprocess` beside tf.data, torchvision and Pillow: the same photos, decoded
and preprocessed to 299 x 299 x 3 floats on the same CPUs, interleaved rounds.

    bench/preprocess.py              # prints the table; some minutes
    bench/preprocess.py --write      # ... and writes it into README.md and history.md
    bench/preprocess.py --quick      # does everything work?

bench/README.md says what is measured and how. tf.data runs in the environment of bench/peers.py,
torchvision and Pillow on Debian's python3-torchvision; what is missing is left out and named.
Needs Python 3.11 alone.
"""

import argparse
import datetime
import os
import pathlib
import platform
import random
import signal
import subprocess
import sys
import time

from harness import environment, report
from harness.children import Child, ChildError, Children
from harness.ratios import Metric

BENCH = pathlib.Path(__file__).resolve().parent
ROOT = BENCH.parent
WORKER = BENCH / "pipelines/worker.py"
RATE = Metric("images/s", True)

MODES = {
    "eval": "evaluation",
    "train": "training, fast mode",
    "train_slow": "training, slow mode",
}
FLAGS = {
    "eval": [],
    "train": ["--train", "--seed", "1"],
    "train_slow": ["--train", "--seed", "1", "--no-fast-mode"],
}
TITLES = {"oriel": "Oriel", "tfdata_pipeline": "tf.data", "torchvision_pipeline": "torchvision",
          "pillow_pipeline": "Pillow"}
DEBIAN_PYTHON = "/usr/bin/python3"


def tell(text):
    print(f"{datetime.datetime.now():%H:%M:%S} {text}", file=sys.stderr, flush=True)


def run_oriel(oriel, mode, threads, files):
    """Seconds of a pass: a whole process, from its start to its end."""
    begin = time.perf_counter()
    done = subprocess.run([oriel, "preprocess", *files, "--size", "299", "--quiet", "--threads",
                           str(threads), *FLAGS[mode]], capture_output=True, text=True)
    seconds = time.perf_counter() - begin
    if done.returncode != 0:
        sys.exit(f"preprocess.py: oriel preprocess: {done.stderr}")
    return seconds


class Bench:
    def __init__(self, args, python, files):
        self.args, self.python, self.files = args, python, files
        self.about = {}
        self.failures = {}

    def make_child(self, engine, mode, threads):
        python = self.python if engine == "tfdata_pipeline" else DEBIAN_PYTHON
        logs = self.args.work / "preprocess"
        logs.mkdir(parents=True, exist_ok=True)
        env = environment.child_environment(threads) | {"CUDA_VISIBLE_DEVICES": "",
                                                        "TF_CPP_MIN_LOG_LEVEL": "2"}
        child = Child(python, {"engine": engine, "precision": mode, "streams": threads,
                               "files": self.files}, logs / f"{engine}_{mode}.log", env,
                      worker=WORKER)
        self.about.setdefault(engine, child.ready)
        return child

    def slice(self, children, engine, mode):
        """Seconds of a pass, or None where the engine does not work."""
        if engine in self.failures:
            return None
        if engine == "oriel":
            return run_oriel(self.args.oriel, mode, self.args.threads, self.files)
        try:
            return children.get(engine, mode, self.args.threads).ask({"do": "pass"})["seconds"]
        except (ChildError, OSError) as e:
            self.failures[engine] = str(e)
            tell(f"left out: {e}")
            return None

    def run(self):
        """A row for each mode, with the rates of all rounds."""
        rows = {mode: report.Row(title, RATE) for mode, title in MODES.items()}
        with Children(self.make_child) as children:
            slices = [(mode, engine) for mode in MODES for engine in ["oriel", *self.args.peers]]
            for mode, engine in slices:  # warms files, caches and pipelines
                self.slice(children, engine, mode)
            for number in range(self.args.rounds):
                random.shuffle(slices)
                for mode, engine in slices:
                    seconds = self.slice(children, engine, mode)
                    if seconds is not None:
                        rows[mode].values.setdefault(engine, []).append(
                            len(self.files) / seconds)
                tell(f"round {number + 1} of {self.args.rounds}")
        for row in rows.values():
            for engine in self.failures:
                row.values.pop(engine, None)
            row.settings = {e: f"{self.args.threads} threads" for e in row.values}
            row.values = {e: row.values[e] for e in TITLES if e in row.values}
        return list(rows.values())


def describe(bench, rows, when):
    """(README's part, history's entry)."""
    args = bench.args
    cpu, flags = environment.cpu_info()
    commit = environment.commit()
    machine = f"{args.threads} cores of {cpu}; {', '.join(flags) or 'no vector flags'}"
    readme = (f"Photos decoded and preprocessed to 299 x 299 on {machine}; {when:%Y-%m-%d}, commit "
              f"{commit}. Medians over {args.rounds} interleaved rounds; in brackets how many times "
              f"better Oriel is.\n\n{report.readme_table(rows, TITLES)}")
    entry = "\n".join([
        f"## {when:%Y-%m-%d %H:%M} UTC: preprocessing, commit {commit}", "",
        f"- machine: {machine}; {platform.system()} {platform.release()}",
        f"- {args.rounds} rounds, passes over {len(bench.files)} files: {args.what}",
        *(f"- {TITLES[e]} {about['version']}: "
          + ", ".join(f"{k} {v}" for k, v in about["settings"].items())
          for e, about in bench.about.items()),
        *(f"- left out: {TITLES[e]}: {why}" for e, why in bench.failures.items()), "",
        report.history_table(rows, TITLES)])
    return readme, entry


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--oriel", type=pathlib.Path, default=ROOT / "build/dev/src/cli/oriel",
        help="the program to measure, a release build (default: build/dev's)")
    add("--work", type=pathlib.Path, default=ROOT / "build/bench",
        help="for the environment and logs (default: build/bench)")
    add("--images", type=pathlib.Path, help="a folder with JPEGs (default: build/test-data/photos)")
    add("--peers", default=",".join(n.removesuffix("_pipeline") for n in TITLES if n != "oriel"),
        help="default: %(default)s")
    add("--rounds", type=int, default=7, help="default: %(default)s")
    add("--files", type=int, default=384, help="of a pass: photos over again (default: %(default)s)")
    add("--threads", type=int, default=len(os.sched_getaffinity(0)),
        help="CPUs to use (default: all, %(default)s)")
    add("--write", action="store_true", help="write README.md's table and bench/history.md")
    add("--quick", action="store_true", help="one short round: is everything in order?")
    args = parser.parse_args()
    args.peers = [f"{name}_pipeline" for name in args.peers.split(",") if name]
    unknown = set(args.peers) - set(TITLES)
    if unknown:
        parser.error(f"unknown peers: {', '.join(sorted(unknown))}")
    if args.quick:
        args.rounds, args.files = 1, 12
        if args.write:
            parser.error("--quick's numbers are not for writing down")
    if args.rounds < 1 or args.files < 1 or args.threads < 1:
        parser.error("rounds, files and threads are positive")
    return args


def main():
    args = parse_arguments()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    cpus = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cpus[:args.threads])  # of all children too
    folder = args.images or ROOT / "build/test-data/photos"
    photos = sorted(str(p) for p in folder.rglob("*")
                    if p.suffix.lower() in (".jpg", ".jpeg"))
    if not photos:
        sys.exit(f"preprocess.py: no JPEGs in {folder} (tools/fetch_test_data.sh gets some)")
    files = [photos[i % len(photos)] for i in range(args.files)]
    args.what = f"{len(photos)} JPEGs" + ("" if args.images else " of build/test-data/photos")
    python = None
    if "tfdata_pipeline" in args.peers:
        python = environment.make_venv(args.work / "venv", tell)
    bench = Bench(args, python, files)
    when = datetime.datetime.now(datetime.UTC)
    readme, entry = describe(bench, bench.run(), when)
    print(entry)
    print()
    print(readme)
    if args.write:
        report.write(ROOT / "README.md", BENCH / "history.md", "preprocess", readme, entry)
        tell("written: README.md, bench/history.md")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
