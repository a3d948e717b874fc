"""Processes that run an engine each (engines/worker.py), and all of them together."""

import contextlib
import json
import os
import pathlib
import selectors
import signal
import subprocess
import time

WORKER = pathlib.Path(__file__).resolve().parent.parent / "engines/worker.py"


class ChildError(Exception):
    """An engine failed; the text says how."""


class Child:
    """One engine in one setting, in a process that stays. Between its turns it is
    stopped, so that its idle threads cannot disturb the others."""

    def __init__(self, python, config, log, env, patience=900, worker=WORKER):
        self.name = f"{config['engine']} {config['precision']} x{config['streams']}"
        self.log = pathlib.Path(log)
        self.patience = patience
        with open(self.log, "w") as errors:
            self.process = subprocess.Popen(
                [str(python), str(worker)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=errors, env=env, start_new_session=True)
        self.received = b""
        try:
            self.ready = self.ask(config)
        except BaseException:
            self.kill()
            raise

    def ask(self, request):
        """The answer; ChildError when it is an error, or none comes."""
        try:
            self.signal(signal.SIGCONT)
            self.process.stdin.write(json.dumps(request).encode() + b"\n")
            self.process.stdin.flush()
            answer = json.loads(self.receive())
        except (BrokenPipeError, json.JSONDecodeError) as e:
            raise ChildError(f"{self.name}: {e} (log: {self.log})") from e
        if "error" in answer:
            raise ChildError(f"{self.name}: {answer['error']} (log: {self.log})")
        if request.get("do") != "quit":
            self.signal(signal.SIGSTOP)
        return answer

    def receive(self):
        deadline = time.monotonic() + self.patience
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while b"\n" not in self.received:
                if not selector.select(deadline - time.monotonic()):
                    raise ChildError(f"{self.name}: no answer in {self.patience} s")
                data = os.read(self.process.stdout.fileno(), 1 << 20)
                if not data:
                    code = self.process.wait()
                    raise ChildError(f"{self.name}: ended with {code} (log: {self.log})")
                self.received += data
        line, self.received = self.received.split(b"\n", 1)
        return line

    def quit(self):
        """Ends it in good order. Returns {"memory_mib", "base_mib"}."""
        answer = self.ask({"do": "quit"})
        self.process.wait(timeout=60)
        self.kill()
        return answer

    def signal(self, number):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def kill(self):
        if self.process.poll() is None:
            self.signal(signal.SIGKILL)  # a stopped process dies of this too
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


class Children:
    """Owns every child: none is left behind, however this ends."""

    def __init__(self, make):
        self.make = make  # (engine, precision, streams) -> Child
        self.alive = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for child in self.alive.values():
            child.kill()
        self.alive.clear()

    def get(self, engine, precision, streams):
        key = (engine, precision, streams)
        if key not in self.alive:
            self.alive[key] = self.make(*key)
        return self.alive[key]

    def drop(self, engine, precision, streams):
        child = self.alive.pop((engine, precision, streams), None)
        if child:
            child.kill()
