"""Oriel, as its command line gives it."""

import json
import os
import pathlib
import re
import subprocess
import time

from harness import npy
from harness.ratios import Slice


class OrielError(Exception):
    """`oriel` failed; the text says how."""


def complaint(stderr):
    """What a failing program said last, but for the hint at its help."""
    lines = [line for line in stderr.splitlines() if line and not line.startswith("Run with --help")]
    return lines[-1] if lines else "no message"


class Oriel:
    def __init__(self, program, model, env, threads):
        """`model`: models.Model."""
        self.program = program
        self.model = model
        self.env = env
        self.threads = threads  # of the machine, to share between streams

    def run(self, *args):
        """stdout."""
        command = [str(a) for a in (self.program, *args)]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              env=self.env, text=True, check=False)
        if done.returncode != 0:
            raise OrielError(f"oriel {args[0]}: {complaint(done.stderr)}")
        return done.stdout

    def version(self):
        return ", ".join(self.run("version").split("\n")).strip(", ")

    def bench_flags(self, precision, batch, streams, seconds):
        return ["bench", self.model.directory, "--json", "--output", self.model.files["output"],
                "--precision", precision, "--batch", batch, "--streams", streams,
                "--threads", max(self.threads // streams, 1), "--duration", seconds]

    def measure(self, precision, batch, streams, seconds):
        """(Slice, the machine's peak in GFLOP/s beside it)."""
        row = json.loads(self.run(*self.bench_flags(precision, batch, streams, seconds)))
        return Slice(row["latency_ms"]["p50"], row["images_per_second"]), \
            row["peak_gflops_per_second"]

    def why_not(self, precision):
        """None where Oriel runs the model in this precision, else its reason."""
        try:
            self.measure(precision, 1, 1, 0.01)
        except OrielError as e:
            return str(e)
        return None

    def logits(self, precision, out):
        """Of the model's inputs, image by image."""
        self.run("run", self.model.directory, "--precision", precision,
                 "--threads", self.threads,
                 "--input", f"{self.model.files['input']}={self.model.inputs}",
                 "--output", f"{self.model.files['output']}={out}")
        return npy.rows(out)

    def start_command(self, precision, image, out):
        """A whole process from nothing to the answer for one image."""
        return [self.program, "run", self.model.directory, "--precision", precision,
                "--threads", self.threads, "--input", f"{self.model.files['input']}={image}",
                "--output", f"{self.model.files['output']}={out}"]

    def memory_command(self, precision):
        return [self.program, *self.bench_flags(precision, 1, 1, 1)]


def peak_memory(command, env):
    """Peak resident MiB of a process. As its /proc tells while it runs: what wait4 tells begins
    with the memory of the process that started it."""
    process = subprocess.Popen([str(c) for c in command], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, env=env)
    status = pathlib.Path(f"/proc/{process.pid}/status")
    program = str(command[0])
    peak = 0
    while process.poll() is None:
        try:
            started = os.readlink(f"/proc/{process.pid}/exe") == os.path.realpath(program)
            found = re.search(r"^VmHWM:\s*(\d+) kB", status.read_text(), re.MULTILINE)
        except OSError:
            break  # it has ended
        if started and found:
            peak = max(peak, int(found[1]) / 1024)
        time.sleep(0.002)
    if process.wait() != 0:
        raise OrielError(f"{program} ended with {process.returncode}")
    return peak


def whole_process(command, env):
    """Seconds from start to end of a process."""
    begin = time.perf_counter()
    process = subprocess.Popen([str(c) for c in command], stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE, env=env)
    errors = process.stderr.read()
    process.wait()
    seconds = time.perf_counter() - begin
    process.stderr.close()
    if process.returncode != 0:
        raise OrielError(f"{command[0]} ended with {process.returncode}: "
                         f"{complaint(errors.decode(errors='replace'))}")
    return seconds
