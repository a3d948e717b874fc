#!/usr/bin/env python3
"""Runs one engine in a process of its own, told what to do by lines of JSON.

First line in: {"engine", "precision", "threads", "streams", "files", "inputs"}; then
    {"do": "logits"}                            -> {"logits": [[...], ...]}
    {"do": "prepare", "batch"}                  -> {"seconds"}
    {"do": "run", "batch", "seconds"}           -> {"runs", "seconds", "latency_ms"}
    {"do": "quit"}                              -> {"memory_mib", "base_mib"}
Answers are lines of JSON, {"error": text} for what failed; the first one, when the
engine is loaded, is {"version", "settings", "seconds"}.

An engine is a module beside this one with a class Engine(config), which has `version`,
`settings`, runners(batch) - for each stream a function without arguments that runs the
network once on a batch and returns its logits - and logits(), of config["inputs"].
"""

import contextlib
import ctypes
import importlib
import json
import os
import pathlib
import signal
import sys
import threading
import time


def memory_mib(key):
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) / 1024
    raise KeyError(key)


def run_stream(runner, warmup, seconds, barrier, spans, failures):
    """Appends (begin, end) of each run to `spans`: at least one, for about `seconds`."""
    try:
        until = time.perf_counter() + warmup
        while True:
            runner()
            if time.perf_counter() >= until:
                break
        barrier.wait()
        until = time.perf_counter() + seconds
        while True:
            begin = time.perf_counter()
            runner()
            end = time.perf_counter()
            spans.append((begin, end))
            if end >= until:
                break
    except Exception as e:  # reported by the main thread
        failures.append(e)
        barrier.abort()


def measure(runners, seconds):
    """All streams at once, each without a pause, as `oriel bench` measures."""
    spans = [[] for _ in runners]
    failures = []
    barrier = threading.Barrier(len(runners))
    threads = [threading.Thread(target=run_stream,
                                args=(r, seconds / 5, seconds, barrier, s, failures))
               for r, s in zip(runners[1:], spans[1:])]
    for thread in threads:
        thread.start()
    run_stream(runners[0], seconds / 5, seconds, barrier, spans[0], failures)
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    every = [span for stream in spans for span in stream]
    latencies = sorted(end - begin for begin, end in every)
    return {"runs": len(every),
            "seconds": max(end for _, end in every) - min(begin for begin, _ in every),
            "latency_ms": {f"p{p}": 1e3 * latencies[-(-p * len(latencies) // 100) - 1]
                           for p in (50, 90, 99)}}


def serve(lines, say):
    begin = time.perf_counter()
    config = json.loads(next(lines))
    with contextlib.suppress(ImportError):
        import numpy  # noqa: F401 - what every client has is not the engine's
    base = memory_mib("VmRSS")
    engine = importlib.import_module(config["engine"]).Engine(config)
    prepared = {}

    def runners(batch):
        if batch not in prepared:
            prepared[batch] = engine.runners(batch)
            for runner in prepared[batch]:
                runner()
        return prepared[batch]

    say({"version": engine.version, "settings": engine.settings,
         "seconds": time.perf_counter() - begin})
    for line in lines:
        request = json.loads(line)
        try:
            begin = time.perf_counter()
            match request["do"]:
                case "logits":
                    answer = {"logits": engine.logits()}
                case "prepare":
                    runners(request["batch"])
                    answer = {"seconds": time.perf_counter() - begin}
                case "run":
                    answer = measure(runners(request["batch"]), request["seconds"])
                case "quit":
                    say({"memory_mib": memory_mib("VmHWM"), "base_mib": base})
                    return
                case other:
                    answer = {"error": f"do {other}?"}
        except Exception as e:  # a failing engine must not end the others' rounds
            answer = {"error": f"{type(e).__name__}: {e}"}
        say(answer)


def main():
    # Also when the parent is killed, and this process stopped at that time.
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
    # Libraries that print to stdout would spoil the protocol: theirs goes to stderr.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def say(answer):
        answers.write(json.dumps(answer) + "\n")
        answers.flush()

    try:
        serve(iter(sys.stdin.readline, ""), say)
    except Exception as e:
        say({"error": f"{type(e).__name__}: {e}"})
        raise


if __name__ == "__main__":
    main()
    # Some engines crash in their destructors, or wait for threads.
    os._exit(0)
