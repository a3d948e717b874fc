"""The loads: wrk and ghz as they come, and what they cannot do."""

import asyncio
import base64
import dataclasses
import json
import os
import pathlib
import shutil
import socket
import statistics
import subprocess
import tempfile
import threading
import time
import urllib.request

PATH = os.pathsep.join([os.environ["PATH"], str(pathlib.Path.home() / "go/bin")])
LUA = pathlib.Path(__file__).resolve().parent / "photo.lua"


@dataclasses.dataclass
class Load:
    rate: float  # answers a second
    p50: float   # seconds
    p99: float
    answered: int
    refused: int  # 429 and its like
    lost: int     # sent, and neither answered nor refused nor under way at the end


def wrk(address, photo, connections, seconds):
    """As many requests as the connections carry, one after the other on each."""
    # Answers take long where many wait; wrk calls what takes longer a lost one.
    out = subprocess.run(
        ["wrk", "-t", str(min(connections, 2)), "-c", str(connections), "-d", f"{max(1, round(seconds))}s",
         "--timeout", "300s", "-s", str(LUA), f"http://{address}", "--", str(photo)],
        check=True, capture_output=True, text=True, env=os.environ | {"PATH": PATH}).stdout
    result = next(json.loads(line[7:]) for line in out.splitlines() if line.startswith("RESULT "))
    lost = sum(result[k] for k in ("other", "connect", "read", "write", "timeout"))
    return Load(result["ok"] / result["seconds"], result["p50"], result["p99"], result["ok"],
                result["refused"], lost)


def ghz(address, photo, model, callers, seconds):
    """Open Inference over gRPC, the photo as BYTES."""
    data = pathlib.Path(photo).read_bytes()
    request = {
        "model_name": model,
        "inputs": [{"name": "image_bytes", "datatype": "BYTES", "shape": [1]}],
        "outputs": [{"name": "probabilities", "parameters": {"classification": {"int64_param": 1}}}],
        "raw_input_contents": [
            base64.b64encode(len(data).to_bytes(4, "little") + data).decode()]}
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(request, file)
        file.flush()
        done = subprocess.run(
            ["ghz", "--insecure", "--call", "inference.GRPCInferenceService/ModelInfer",
             "--data-file", file.name, "--concurrency", str(callers), "--connections",
             str(min(callers, 64)), "--duration", f"{max(1, round(seconds))}s", "--duration-stop", "wait",
             "--timeout", "600s", "--format", "json", address],
            check=True, capture_output=True, text=True, env=os.environ | {"PATH": PATH})
    result = json.loads(done.stdout)
    at = {p["percentage"]: p["latency"] / 1e9 for p in result["latencyDistribution"]}
    ok = result["statusCodeDistribution"].get("OK", 0)
    refused = result["statusCodeDistribution"].get("Unavailable", 0)  # as Triton has it
    seconds = result["total"] / 1e9
    return Load(ok / seconds, at[50], at[99], ok, refused, result["count"] - ok - refused)


@dataclasses.dataclass
class Overload:
    accepted: int
    accepted_p50: float
    accepted_p99: float
    refused: int
    refused_p50: float
    refused_p99: float
    lost: int


def quantile(values, q):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))] if ordered else 0.0


async def ask(address, head, body):
    """(status, seconds) of one request on a connection of its own."""
    host, port = address.split(":")
    begin = time.perf_counter()
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(head + body)
        await writer.drain()
        line = await reader.readline()
        await reader.read()  # to the end: the answer is whole
        return int(line.split()[1]), time.perf_counter() - begin
    finally:
        writer.close()


def paced(address, photo, rate, seconds):
    """Requests at a steady pace, whatever becomes of those before."""
    body = pathlib.Path(photo).read_bytes()
    head = (f"POST /api/classify?top_k=1 HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n"
            f"Content-Length: {len(body)}\r\n\r\n").encode()

    async def run():
        begin = time.perf_counter()
        tasks = []
        for i in range(int(rate * seconds)):
            await asyncio.sleep(max(0, begin + i / rate - time.perf_counter()))
            tasks.append(asyncio.create_task(ask(address, head, body)))
        return await asyncio.gather(*tasks, return_exceptions=True)

    results = asyncio.run(run())
    answers = [r for r in results if not isinstance(r, BaseException)]
    accepted = [s for status, s in answers if status == 200]
    refused = [s for status, s in answers if status == 429]
    return Overload(len(accepted), quantile(accepted, 0.5), quantile(accepted, 0.99),
                    len(refused), quantile(refused, 0.5), quantile(refused, 0.99),
                    len(results) - len(accepted) - len(refused))


class IdleConnections:
    """Connections that were used once and wait for more."""

    def __init__(self, address, count):
        host, port = address.split(":")
        self.sockets = []
        for _ in range(count):
            s = socket.create_connection((host, int(port)))
            s.sendall(f"GET /healthz HTTP/1.1\r\nHost: {address}\r\n\r\n".encode())
            self.sockets.append(s)
        for s in self.sockets:
            if b" 200 " not in s.recv(4096):
                raise RuntimeError("an idle connection got no answer")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for s in self.sockets:
            s.close()


@dataclasses.dataclass
class Swaps:
    answered: int
    lost: int
    before: int  # resident bytes, under load, after the first swaps
    after: int


def swap_versions(server, root, photo, count):
    """`count` times a new version beside the one that serves, which goes when the new one
    answers; four clients ask all the time."""
    body = pathlib.Path(photo).read_bytes()
    model = next(p for p in root.iterdir() if p.is_dir())
    url = f"http://{server.http}"
    stop = threading.Event()
    answered, lost = [0] * 4, [0] * 4

    def client(i):
        while not stop.is_set():
            try:
                with urllib.request.urlopen(f"{url}/api/classify?top_k=1", body, timeout=60) as a:
                    json.load(a)
                answered[i] += 1
            except OSError:
                lost[i] += 1

    def serving():
        with urllib.request.urlopen(f"{url}/readyz", timeout=60) as answer:
            return int(json.load(answer)["model"]["version"])

    clients = [threading.Thread(target=client, args=(i,)) for i in range(4)]
    for thread in clients:
        thread.start()
    samples = []
    for version in range(2, count + 2):
        made = model / f".{version}"
        shutil.copytree(model / str(version - 1), made)
        made.rename(model / str(version))
        while serving() != version:
            time.sleep(0.02)
        shutil.rmtree(model / str(version - 1))
        time.sleep(0.3)  # what was before ends, and gives its memory back
        samples.append(server.resident())
    stop.set()
    for thread in clients:
        thread.join()
    first, last = samples[:max(1, count // 10)], samples[-max(1, count // 10):]
    return Swaps(sum(answered), sum(lost), int(statistics.median(first)),
                 int(statistics.median(last)))
