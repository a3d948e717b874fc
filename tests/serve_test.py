#!/usr/bin/env python3
"""`oriel export`, `classify` and `serve` as a user runs them, on real weights and photos.

usage: serve_test.py ORIEL CLASSIFY_IMAGE TEST_DATA
       (CLASSIFY_IMAGE: built from examples/; TEST_DATA: what tools/fetch_test_data.sh left)

The top-5 wanted are PyTorch's for these photos. Standard library only.
"""

import array
import base64
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.request
import uuid

ORIEL, CLASSIFY_IMAGE, DATA = (pathlib.Path(path).resolve() for path in sys.argv[1:4])
MODEL = "efficientnet_lite2"
# Index of the most probable class by PyTorch; of the PNG photos, whose decoding is exact.
TOP1 = {"chelsea.png": 285, "coffee.png": 967, "astronaut.png": 422}


def form(*files):
    """(body, content type) of a multipart form with the files under the field `file`."""
    boundary = uuid.uuid4().hex
    body = b""
    for path in files:
        body += (f'--{boundary}\r\nContent-Disposition: form-data; name="file"; '
                 f'filename="{path.name}"\r\nContent-Type: image/png\r\n\r\n').encode()
        body += path.read_bytes() + b"\r\n"
    return body + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


class Server:
    def __init__(self, models, *flags, model=MODEL):
        self.process = subprocess.Popen(
            [ORIEL, "serve", *([model] if model else []), "--model-dir", models, "--port", "0",
             *flags],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        line = self.process.stdout.readline()
        match = re.search(r"http://127\.0\.0\.1:\d+", line)
        if not match:
            self.process.kill()
            raise AssertionError(f"no address in {line!r}")
        self.url = match.group()

    def resident(self):
        """MiB"""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status).group(1)) / 1024

    def request(self, path, body=None, content_type=None):
        """(status, text)"""
        headers = {"Content-Type": content_type} if content_type else {}
        request = urllib.request.Request(self.url + path, data=body, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        try:
            return self.process.wait(timeout=30)
        finally:
            self.process.kill()
            self.process.stdout.close()


class Serve(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="oriel-serve-")
        cls.models = pathlib.Path(cls.folder.name) / "models"
        weights = next((DATA / "weights").glob("efficientnet-lite2-*.pth"))
        subprocess.run([ORIEL, "export", MODEL, "--checkpoint", weights,
                        "--output-dir", cls.models], check=True, capture_output=True)
        cls.server = Server(cls.models)

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()
        cls.folder.cleanup()

    def photo(self, name):
        return DATA / "photos" / name

    def classify(self, *arguments):
        """(exit code, a row of JSON for each image, standard error)"""
        done = subprocess.run(
            [ORIEL, "classify", "--json", "--model", MODEL, "--model-dir", self.models,
             "--top-k", "1", *arguments], capture_output=True, text=True)
        return done.returncode, [json.loads(row) for row in done.stdout.splitlines()], done.stderr

    def test_classify_names_what_pytorch_names(self):
        code, rows, error = self.classify(*(self.photo(n) for n in TOP1))
        self.assertEqual(code, 0, error)
        got = {pathlib.Path(r["file"]).name: r["top"][0]["index"] for r in rows}
        self.assertEqual(got, TOP1)

    def test_the_example_of_the_readme_answers(self):
        done = subprocess.run([CLASSIFY_IMAGE, self.models / MODEL / "1",
                               self.photo("chelsea.png")], check=True, capture_output=True,
                              text=True)
        self.assertIn("Egyptian cat", done.stdout.splitlines()[0])

    def test_one_bad_image_does_not_stop_the_rest(self):
        bad = pathlib.Path(self.folder.name) / "bad.jpg"
        bad.write_bytes(b"not an image")
        code, rows, _ = self.classify(bad, self.photo("chelsea.png"))
        self.assertEqual(code, 1)
        self.assertEqual(len(rows), 2)
        self.assertIn("error", rows[0])
        self.assertEqual(rows[1]["top"][0]["index"], TOP1["chelsea.png"])

    def test_folders_tell_of_all_that_is_called_an_image(self):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            (folder / "empty").mkdir()
            (folder / "b").mkdir()
            chelsea = self.photo("chelsea.png").read_bytes()
            for path, contents in [("b/photo.PNG", chelsea), ("b/no extension", chelsea),
                                   ("b/broken.jpg", b"?"), ("b/zero.gif", b""),
                                   ("b/notes.txt", b"text"), ("b/line\nbreak.png", chelsea)]:
                (folder / path).write_bytes(contents)
            code, rows, _ = self.classify(folder / "empty", folder / "b",
                                          self.photo("coffee.png"))
            self.assertEqual(code, 1)
            self.assertEqual(
                [(pathlib.Path(row["file"]).name, "error" in row) for row in rows],
                [("empty", True), ("broken.jpg", True), ("line\nbreak.png", False),
                 ("no extension", False), ("photo.PNG", False), ("zero.gif", True),
                 ("coffee.png", False)])
            code, rows, _ = self.classify(self.photo("coffee.png"))
            self.assertEqual((code, len(rows)), (0, 1))

    def test_ctrl_c_ends_a_wait_for_a_pipe(self):
        fifo = pathlib.Path(self.folder.name) / "fifo"
        os.mkfifo(fifo)
        for argument, stdin in [("-", subprocess.PIPE), (fifo, subprocess.DEVNULL)]:
            process = subprocess.Popen(
                [ORIEL, "classify", "--model", MODEL, "--model-dir", self.models,
                 self.photo("coffee.png"), argument],
                stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            try:
                time.sleep(1)
                process.send_signal(signal.SIGINT)
                _, error = process.communicate(timeout=20)
            finally:
                process.kill()
            self.assertEqual(process.returncode, 130, error)
            self.assertIn("interrupted", error)

    def test_a_pipe_may_take_its_time(self):
        fifo = pathlib.Path(self.folder.name) / "slow"
        os.mkfifo(fifo)

        def write():
            contents = self.photo("chelsea.png").read_bytes()
            with open(fifo, "wb") as pipe:
                pipe.write(contents[:1000])
                pipe.flush()
                time.sleep(0.5)
                pipe.write(contents[1000:])

        writer = threading.Thread(target=write)
        writer.start()
        code, rows, error = self.classify(fifo)
        writer.join()
        self.assertEqual(code, 0, error)
        self.assertEqual(rows[0]["top"][0]["index"], TOP1["chelsea.png"])

    def test_api_takes_raw_bytes_and_forms(self):
        for name, index in TOP1.items():
            status, text = self.server.request(
                "/api/classify?top_k=3", self.photo(name).read_bytes(), "image/png")
            self.assertEqual(status, 200, text)
            predictions = json.loads(text)["images"][0]["predictions"]
            self.assertEqual(len(predictions), 3)
            self.assertEqual(predictions[0]["index"], index)
        status, text = self.server.request(
            "/api/classify", *form(*(self.photo(n) for n in TOP1)))
        self.assertEqual(status, 200, text)
        images = json.loads(text)["images"]
        self.assertEqual([i["filename"] for i in images], list(TOP1))
        self.assertEqual([i["predictions"][0]["index"] for i in images], list(TOP1.values()))

    def test_page_answers_without_javascript(self):
        status, text = self.server.request("/")
        self.assertEqual(status, 200)
        self.assertIn('enctype="multipart/form-data"', text)
        status, text = self.server.request("/", *form(self.photo("chelsea.png")))
        self.assertEqual(status, 200)
        self.assertIn("Egyptian cat", text)
        self.assertIn("data:image/png;base64,", text)

    def test_errors_have_their_status(self):
        for path, body, kind, want in [
            ("/nowhere", None, None, 404),
            ("/healthz", b"x", "text/plain", 405),
            ("/api/classify", b"", "image/jpeg", 400),
            ("/api/classify", b"not an image at all", "image/jpeg", 415),
            ("/api/classify", b"--x--", "multipart/form-data", 400),
        ]:
            status, text = self.server.request(path, body, kind)
            self.assertEqual(status, want, f"{path}: {text}")

    def test_many_clients_at_once_get_their_own_answers(self):
        wrong = []

        def ask(name):
            for _ in range(5):
                status, text = self.server.request(
                    "/api/classify?top_k=1", self.photo(name).read_bytes(), "image/png")
                if status != 200 or \
                        json.loads(text)["images"][0]["predictions"][0]["index"] != TOP1[name]:
                    wrong.append((name, status, text))

        clients = [threading.Thread(target=ask, args=(name,)) for name in TOP1 for _ in range(3)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        self.assertEqual(wrong, [])

    def test_signals_end_an_idle_server_with_0(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            self.assertEqual(Server(self.models).stop(number), 0)

    def test_sigterm_finishes_what_was_accepted(self):
        server = Server(self.models)
        answers = []
        body, kind = form(*[self.photo("chelsea.png")] * 16)
        client = threading.Thread(
            target=lambda: answers.append(server.request("/api/classify", body, kind)))
        client.start()
        # The request is under way once the server counts it; stop it in the middle.
        client.join(timeout=0.15)
        code = server.stop()
        client.join()
        self.assertEqual(code, 0)
        self.assertEqual(answers[0][0], 200, answers[0][1])


class Repository(unittest.TestCase):
    """A folder of models that changes while it is served."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="oriel-repository-")
        self.addCleanup(folder.cleanup)
        self.models = pathlib.Path(folder.name) / "models"
        for model in (MODEL, "efficientnet_lite0"):
            weights = next((DATA / "weights").glob(model.replace("_", "-") + "-*.pth"))
            subprocess.run([ORIEL, "export", model, "--checkpoint", weights,
                            "--output-dir", self.models], check=True, capture_output=True)

    def serve(self, *flags):
        server = Server(self.models, "--poll-interval", "0.1", *flags, model=None)
        self.addCleanup(lambda: server.process.returncode is None and server.stop())
        return server

    def add_version(self, version, model=MODEL, spoil=False):
        """A copy of version 1, renamed into its place as people do by hand."""
        made = self.models / f".{version}"
        shutil.copytree(self.models / model / "1", made)
        if spoil:
            data = bytearray((made / "model.pb").read_bytes())
            data[len(data) // 2] ^= 1
            (made / "model.pb").write_bytes(data)
        made.rename(self.models / model / str(version))

    def states(self, server, name=MODEL):
        """{version: (state, error)}"""
        status, text = server.request("/api/models")
        self.assertEqual(status, 200, text)
        model = next(m for m in json.loads(text)["models"] if m["name"] == name)
        return {int(v["version"]): (v["state"], v.get("error")) for v in model["versions"]}

    def await_state(self, server, version, state):
        until = time.monotonic() + 60
        while self.states(server).get(version, (None,))[0] != state:
            self.assertLess(time.monotonic(), until, self.states(server))
            time.sleep(0.05)

    def pixels(self, photo):
        """What the network takes, as nested lists."""
        file = self.models / "pixels.npy"
        subprocess.run([ORIEL, "preprocess", DATA / "photos" / photo, "--model", MODEL,
                        "--model-dir", self.models, "--output", file],
                       check=True, capture_output=True)
        data = file.read_bytes()
        file.unlink()
        begin = 10 + int.from_bytes(data[8:10], "little")
        self.assertIn(b"(1, 260, 260, 3)", data[:begin])
        values = array.array("f", data[begin:])
        return [[list(values[i:i + 3]) for i in range(row, row + 780, 3)]
                for row in range(0, len(values), 780)]

    def classify(self, server, query=""):
        photo = (DATA / "photos" / "coffee.png").read_bytes()
        status, text = server.request(f"/api/classify?top_k=1{query}", photo, "image/png")
        return status, json.loads(text)

    def test_several_models_and_labels(self):
        self.add_version(2)
        server = self.serve("--version-policy", "all", "--version-label", "stable=1",
                            "--version-label", f"{MODEL}:canary=2")
        answers = {query: self.classify(server, query) for query in (
            "", "&model=efficientnet_lite0", f"&model={MODEL}&version=1", "&label=stable",
            "&label=canary", "&model=nothing", "&version=3", "&version=x", "&label=beta")}
        got = {query: (answer["model"]["name"], answer["model"]["version"])
               if status == 200 else status for query, (status, answer) in answers.items()}
        self.assertEqual(got, {
            "": (MODEL, "2"), "&model=efficientnet_lite0": ("efficientnet_lite0", "1"),
            f"&model={MODEL}&version=1": (MODEL, "1"), "&label=stable": (MODEL, "1"),
            "&label=canary": (MODEL, "2"), "&model=nothing": 404, "&version=3": 404,
            "&version=x": 400, "&label=beta": 404})
        for status, answer in answers.values():
            if status == 200:
                self.assertEqual(answer["images"][0]["predictions"][0]["index"],
                                 TOP1["coffee.png"])

    def test_tensorflow_serving_gives_the_same_answers(self):
        server = self.serve()
        photo = (DATA / "photos" / "coffee.png").read_bytes()
        row = {"b64": base64.b64encode(photo).decode()}
        status, answer = self.classify(server)
        top = answer["images"][0]["predictions"][0]

        def post(path, body):
            status, text = server.request(path, json.dumps(body).encode(), "application/json")
            self.assertEqual(status, 200, text)
            return json.loads(text)

        model = f"/v1/models/{MODEL}"
        predicted = post(f"{model}:predict", {"instances": [row, row]})["predictions"]
        self.assertEqual(len(predicted), 2)
        for probabilities in predicted:
            self.assertEqual(len(probabilities), 1000)
            self.assertAlmostEqual(sum(probabilities), 1, places=4)
            self.assertEqual(max(range(1000), key=probabilities.__getitem__), top["index"])
            self.assertAlmostEqual(probabilities[top["index"]], top["probability"], places=5)
        columns = post(f"{model}/versions/1:predict?top_k=1",
                       {"signature_name": "top_k", "inputs": {"image_bytes": [row]}})
        self.assertEqual(columns["outputs"]["classes"], [[top["label"]]])
        results = post(f"{model}:classify?top_k=1", {"examples": [{"image_bytes": row}]})
        self.assertEqual(results["results"][0][0][0], top["label"])
        pixels = post(f"{model}:predict", {"instances": [self.pixels("coffee.png")]})
        self.assertAlmostEqual(pixels["predictions"][0][top["index"]], top["probability"],
                               places=5)
        status, text = server.request(f"{model}/metadata")
        self.assertEqual(json.loads(text)["model_spec"]["version"], "1")
        status, text = server.request(model)
        self.assertEqual(json.loads(text)["model_version_status"][0]["state"], "AVAILABLE")

    def test_open_inference_gives_the_same_answers(self):
        server = self.serve()
        photo = (DATA / "photos" / "coffee.png").read_bytes()
        _, answer = self.classify(server)
        top = answer["images"][0]["predictions"][0]

        def infer(head, data, path="infer"):
            """Their JSON and what follows it, of a request of JSON and bytes."""
            head = json.dumps(head).encode() if head else b""
            reply = urllib.request.urlopen(urllib.request.Request(
                f"{server.url}/v2/models/{MODEL}/{path}", head + data,
                {"Inference-Header-Content-Length": str(len(head))}), timeout=60)
            text = reply.read()
            size = int(reply.headers.get("Inference-Header-Content-Length", len(text)))
            return json.loads(text[:size]), text[size:]

        def check(probabilities):
            self.assertEqual(len(probabilities), 1000)
            self.assertEqual(max(range(1000), key=probabilities.__getitem__), top["index"])
            self.assertAlmostEqual(probabilities[top["index"]], top["probability"], places=5)

        _, data = infer(None, photo)  # nothing but the file
        check(array.array("f", data))
        encoded = {"name": "image_bytes", "shape": [1], "datatype": "BYTES"}
        answer, data = infer(
            {"inputs": [encoded], "outputs": [{"name": "probabilities"}]},
            len(photo).to_bytes(4, "little") + photo, "versions/1/infer")
        self.assertEqual(data, b"")
        check(answer["outputs"][0]["data"])
        answer, _ = infer(
            {"inputs": [{**encoded, "data": [base64.b64encode(photo).decode()]}],
             "outputs": [{"name": "probabilities", "parameters": {"classification": 1}}]}, b"")
        score, index, label = answer["outputs"][0]["data"][0].split(":")
        self.assertEqual((int(index), label), (top["index"], top["label"]))
        self.assertAlmostEqual(float(score), top["probability"], places=5)
        pixels = self.pixels("coffee.png")
        answer, _ = infer({"inputs": [{"name": "image_bytes", "shape": [1, 260, 260, 3],
                                       "datatype": "FP32", "data": [pixels]}]}, b"")
        check(answer["outputs"][0]["data"])

    def test_a_broken_version_replaces_nothing(self):
        server = self.serve()
        self.add_version(2, spoil=True)
        self.await_state(server, 2, "END")
        states = self.states(server)
        self.assertEqual(states[1], ("AVAILABLE", None))
        self.assertIn("SHA-256", states[2][1])
        self.assertEqual(self.classify(server)[1]["model"]["version"], "1")
        shutil.rmtree(self.models / MODEL / "2")
        self.add_version(3)
        self.await_state(server, 3, "AVAILABLE")
        self.assertEqual(self.classify(server)[1]["model"]["version"], "3")

    def test_exchanges_under_load_lose_nothing(self):
        server = self.serve()
        stop, wrong, counts = threading.Event(), [], []

        def ask():
            count = 0
            while not stop.is_set():
                status, answer = self.classify(server)
                count += 1
                if status != 200:
                    wrong.append((status, answer))
                elif answer["images"][0]["predictions"][0]["index"] != TOP1["coffee.png"]:
                    wrong.append(answer)
            counts.append(count)

        clients = [threading.Thread(target=ask) for _ in range(3)]
        self.addCleanup(stop.set)
        for client in clients:
            client.start()
        resident = []
        for version in range(2, 8):
            self.add_version(version)
            self.await_state(server, version, "AVAILABLE")
            self.await_state(server, version - 1, "END")
            resident.append(server.resident())
        stop.set()
        for client in clients:
            client.join()
        self.assertEqual(wrong, [])
        self.assertGreater(min(counts), 0)
        # Each version takes some 100 MiB: none of the five that ended is left.
        self.assertLess(resident[-1], resident[0] + 60, resident)
        print(f"  {sum(counts)} answers over 6 exchanges, resident MiB:",
              *(round(r) for r in resident), flush=True)
        self.assertEqual(server.stop(), 0)

    def test_without_anything_that_can_be_loaded(self):
        for model in self.models.iterdir():
            (model / "1" / "model.pb").write_bytes(b"broken")
        done = subprocess.run([ORIEL, "serve", "--model-dir", self.models, "--port", "0"],
                              capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r"oriel serve: .*model\.pb.*SHA-256")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
