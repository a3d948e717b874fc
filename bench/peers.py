#!/usr/bin/env python3
"""Measures Oriel beside other engines: same weights, same inputs, interleaved rounds.

    bench/peers.py inception_resnet_v2                 # prints the table
    bench/peers.py inception_resnet_v2 --write         # ... into README.md and history.md
    bench/peers.py efficientnet_lite2 --quick          # do all engines work and agree?

Makes what it needs under build/bench (virtual environment, exported and converted models)
the first time. bench/README.md says what is measured and how. Ends with 1 when an engine's
float32 logits are not the reference's, or too few rounds count. Needs Python 3.11 alone.
"""

import argparse
import datetime
import os
import pathlib
import platform
import signal
import sys
import time

from harness import environment, models, report
from harness.bench import Bench, BenchError, OpenVinoOnce, Settings
from harness.oriel import OrielError
from harness.peers import PEERS

BENCH = pathlib.Path(__file__).resolve().parent
ROOT = BENCH.parent
MODELS = ("inception_resnet_v2", "efficientnet_lite2")


def describe(bench, rows, kept, dropped, when):
    """(README's part, history's entry)."""
    cpu, flags = environment.cpu_info()
    settings = bench.settings
    commit = environment.commit()
    machine = f"{settings.threads} cores of {cpu}; {', '.join(flags) or 'no vector flags'}"
    table = report.readme_table(rows, bench.titles)
    readme = (f"{bench.model.title} on {machine}; {when:%Y-%m-%d}, commit {commit}. Medians over "
              f"{kept} interleaved rounds; in brackets how many times better Oriel is.\n\n{table}")
    versions = {}
    lines = []
    for (engine, precision, streams), about in bench.about.items():
        versions[bench.titles[engine]] = about["version"]
        detail = ", ".join(f"{k} {v}" for k, v in about["settings"].items())
        lines.append(f"- {bench.titles[engine]} {precision}, streams {streams}: {detail}")
    entry = "\n".join([
        f"## {when:%Y-%m-%d %H:%M} UTC: {bench.model.title}, commit {commit}", "",
        f"- machine: {machine}; {platform.system()} {platform.release()}",
        f"- rounds: {kept} count, {dropped} dropped; slices of {settings.seconds:g} s; batches "
        f"{', '.join(map(str, settings.batches))}; streams "
        f"{', '.join(map(str, bench.stream_counts()))}; inputs: {bench.model.inputs_are}",
        f"- versions: {bench.oriel.version()}, "
        + ", ".join(f"{k} {v}" for k, v in versions.items()),
        *(f"- left out: {failure}" for failure in bench.failures), "",
        report.history_table(rows, bench.titles), "",
        "Agreement of logits, in standard deviations of the reference's:", "",
        report.agreement_table(bench.agreements, bench.titles), "",
        "Settings:", "", *lines])
    return readme, entry


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("model", choices=MODELS)
    add("--oriel", type=pathlib.Path, default=ROOT / "build/dev/src/cli/oriel",
        help="the program to measure, a release build (default: build/dev's)")
    add("--checkpoint-writer", type=pathlib.Path,
        default=ROOT / "build/dev/tests/write_golden_checkpoint",
        help="makes Inception-ResNet-v2's weights (default: build/dev's)")
    add("--work", type=pathlib.Path, default=ROOT / "build/bench",
        help="for the environment and the models (default: build/bench)")
    add("--peers", default=",".join(p.name for p in PEERS), help="default: %(default)s")
    add("--precisions", default=",".join(Settings.precisions),
        help="rows to measure (default: %(default)s)")
    add("--rounds", type=int, default=7, help="that count (default: %(default)s)")
    add("--seconds", type=float, default=3, help="of a timed slice (default: %(default)s)")
    add("--batches", default="1,8,32", help="for throughput (default: %(default)s)")
    add("--threads", type=int, default=len(os.sched_getaffinity(0)),
        help="CPUs to use (default: all, %(default)s)")
    add("--images", type=pathlib.Path,
        help="a folder of photos, to calibrate int8 and to compare answers "
             "(default: build/test-data/photos)")
    add("--limit", type=float, default=60, metavar="MINUTES",
        help="after which no round begins (default: %(default)s)")
    add("--write", action="store_true", help="write README.md's table and bench/history.md")
    add("--quick", action="store_true", help="two short rounds: is everything in order?")
    add("--prepare-only", action="store_true", help="make environment and models, then end")
    args = parser.parse_args()
    args.peers = args.peers.split(",")
    unknown = set(args.peers) - {p.name for p in PEERS}
    if unknown:
        parser.error(f"unknown peers: {', '.join(sorted(unknown))}")
    args.precisions = tuple(args.precisions.split(","))
    unknown = set(args.precisions) - set(Settings.precisions)
    if unknown or "f32" not in args.precisions:
        parser.error("--precisions: want f32 and any of " + ", ".join(Settings.precisions[1:]))
    if args.quick:
        args.rounds, args.seconds, args.batches = 2, 0.3, "1,8"
        if args.write:
            parser.error("--quick's numbers are not for writing down")
    try:
        args.batches = [int(b) for b in args.batches.split(",")]
    except ValueError:
        parser.error(f"--batches {args.batches}: want numbers, e.g. 1,8,32")
    if args.rounds < 1 or args.threads < 1 or min(args.batches) < 1 or args.seconds <= 0:
        parser.error("rounds, threads, batches and seconds are positive")
    return args


def stop(*_):
    raise KeyboardInterrupt


def tell(text):
    print(f"{datetime.datetime.now():%H:%M:%S} {text}", file=sys.stderr, flush=True)


def main():
    args = parse_arguments()
    signal.signal(signal.SIGTERM, stop)
    begin = time.monotonic()
    cpus = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cpus[:args.threads])  # of all children too
    peers = [p for p in PEERS if p.name in args.peers]
    python = environment.make_venv(args.work / "venv", tell)
    targets = list(dict.fromkeys(t for p in peers for precision, made in p.targets.items()
                                 if precision in args.precisions for t in made))
    model, failed = models.prepare(
        args.model, oriel=args.oriel.resolve(), writer=args.checkpoint_writer.resolve(),
        python=python, work=args.work / args.model, targets=targets,
        photos=models.find_photos(args.images), int8="int8" in args.precisions,
        tell=tell)
    once = None
    if "openvino" in args.peers:
        once = OpenVinoOnce(environment.build_openvino_once(python, args.work), args.threads)
    if args.prepare_only:
        return
    settings = Settings(threads=args.threads, batches=args.batches, rounds=args.rounds,
                        seconds=args.seconds, repetitions=2 if args.quick else 7,
                        limit_s=args.limit * 60, patience_s=900,
                        precisions=args.precisions)
    bench = Bench(model, args.oriel.resolve(), peers, python, args.work / args.model, settings,
                  tell)
    for peer in peers:
        for precision, needs in peer.targets.items():
            for need in needs:
                if need in failed:
                    bench.fail(peer.name, precision, failed[need])
    when = datetime.datetime.now(datetime.UTC)
    rows, dropped, kept = bench.run(once)
    readme, entry = describe(bench, rows, kept, dropped, when)
    print(entry)
    print()
    print(readme)
    if args.write:
        report.write(ROOT / "README.md", BENCH / "history.md", args.model, readme, entry)
        tell("written: README.md, bench/history.md")
    tell(f"took {(time.monotonic() - begin) / 60:.0f} min")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
    except (BenchError, OrielError, models.ModelError) as e:
        sys.exit(f"peers.py: {e}")
