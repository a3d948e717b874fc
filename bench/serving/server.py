"""`oriel serve` as a process of its own, on free ports of loopback."""

import pathlib
import re
import signal
import subprocess


class Server:
    """Its addresses are there when the constructor returns: the model is loaded and warm."""

    def __init__(self, program, model, *flags):
        command = [program, "serve", *([model] if model else []), "--port", "0", *flags]
        self.process = subprocess.Popen([str(c) for c in command], stdout=subprocess.PIPE,
                                        text=True)
        line = self.process.stdout.readline()
        found = re.search(r"http://(127\.0\.0\.1:\d+)", line)
        if not found:
            self.process.kill()
            raise RuntimeError(f"oriel serve said {line!r}")
        self.http = found[1]
        self.grpc = re.search(r"(127\.0\.0\.1:\d+)", self.process.stdout.readline())[1]
        self.model = pathlib.Path(model).parent.name if model else None

    def resident(self):
        """Bytes."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) << 10

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        finally:
            self.process.stdout.close()
        if code != 0:
            raise RuntimeError(f"oriel serve ended with {code}")
