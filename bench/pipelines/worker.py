#!/usr/bin/env python3
"""Runs one preprocessing pipeline in a process of its own, told what to do by lines of JSON.

First line in: {"engine", "precision" (eval, train or train_slow), "streams" (threads), "files"}; then
    {"do": "pass"} -> {"seconds"}      every file once, decoded and preprocessed to floats
    {"do": "quit"} -> {}
The first answer, when the pipeline is made and warm, is {"version", "settings"}; {"error": text}
is what failed. A pipeline is a module beside this one with a class Pipeline(mode, threads, files)
that has `version`, `settings` and run(), a pass, which returns how many images came.
"""

import ctypes
import importlib
import json
import os
import signal
import sys
import time


def serve(lines, say):
    config = json.loads(next(lines))
    files = config["files"]
    pipeline = importlib.import_module(config["engine"]).Pipeline(
        config["precision"], config["streams"], files)
    pipeline.run()
    say({"version": pipeline.version, "settings": pipeline.settings})
    for line in lines:
        request = json.loads(line)
        if request["do"] == "quit":
            say({})
            return
        begin = time.perf_counter()
        images = pipeline.run()
        seconds = time.perf_counter() - begin
        if images != len(files):
            raise RuntimeError(f"{images} images of {len(files)} files")
        say({"seconds": seconds})


def main():
    pr_set_pdeathsig = 1  # also when the parent is killed, and this process stopped then
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print would spoil the protocol

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
    os._exit(0)
