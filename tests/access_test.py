#!/usr/bin/env python3
"""TLS, API keys, rates and compression as Python's own clients and OpenSSL see them.

usage: access_test.py ORIEL MODEL_DATA_DIR
"""

import base64
import gzip
import http.client
import json
import pathlib
import re
import signal
import ssl
import subprocess
import sys
import tempfile
import time
import unittest
import zlib

ORIEL, DATA = sys.argv[1], pathlib.Path(sys.argv[2])
MODEL = "efficientnet_lite0"


class Access(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="oriel-access-")
        cls.path = pathlib.Path(cls.folder.name)
        weights = next((DATA / "weights").glob("efficientnet-lite0-*.pth"))
        subprocess.run([ORIEL, "export", MODEL, "--checkpoint", weights,
                        "--output-dir", cls.path / "models"], check=True, capture_output=True)
        cls.photo = (DATA / "photos" / "coffee.png").read_bytes()

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def serve(self, *flags):
        process = subprocess.Popen(
            [ORIEL, "serve", MODEL, "--model-dir", self.path / "models", "--port", "0", *flags],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        line = process.stdout.readline()
        match = re.search(r"(https?)://127\.0\.0\.1:(\d+)", line)
        if not match:
            process.kill()
            self.fail(line + process.stderr.read())

        def stop():
            process.send_signal(signal.SIGTERM)
            self.assertEqual(process.wait(timeout=30), 0)
            process.stdout.close()
            process.stderr.close()
        self.addCleanup(stop)
        return match.group(1), int(match.group(2))

    def certificate(self, name):
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-days", "2", "-subj", f"/CN={name}", "-addext",
             "subjectAltName=IP:127.0.0.1", "-keyout", self.path / "key.new",
             "-out", self.path / "cert.new"], check=True, capture_output=True)
        (self.path / "key.new").rename(self.path / "key.pem")
        (self.path / "cert.new").rename(self.path / "cert.pem")

    def key(self, name, *flags):
        return subprocess.run([ORIEL, "api-key", name, "--file", self.path / "keys", *flags],
                              check=True, capture_output=True, text=True).stdout.strip()

    def test_tls_and_renewed_certificates(self):
        self.certificate("first")
        scheme, port = self.serve("--tls-cert", self.path / "cert.pem",
                                  "--tls-key", self.path / "key.pem")
        self.assertEqual(scheme, "https")
        context = ssl.create_default_context(cafile=self.path / "cert.pem")
        connection = http.client.HTTPSConnection("127.0.0.1", port, context=context)
        for _ in range(2):  # kept alive
            connection.request("POST", "/api/classify", self.photo)
            answer = connection.getresponse()
            self.assertEqual(answer.status, 200)
            self.assertTrue(json.load(answer)["images"][0]["predictions"])
        before = ssl.get_server_certificate(("127.0.0.1", port))
        self.certificate("second")
        wanted = (self.path / "cert.pem").read_text()
        self.assertNotEqual(before, wanted)
        until = time.monotonic() + 30
        while ssl.get_server_certificate(("127.0.0.1", port)) != wanted:
            self.assertLess(time.monotonic(), until)
            time.sleep(0.2)
        connection.request("GET", "/healthz")
        self.assertEqual(json.load(connection.getresponse()), {"status": "alive"})
        connection.close()
        scan = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{port}",
                               "-tls1_1", "-cipher", "ALL:@SECLEVEL=0"],
                              input="", capture_output=True, text=True)
        self.assertNotEqual(scan.returncode, 0, scan.stdout)

    def test_keys(self):
        use, admin = self.key("shop"), self.key("me", "--scope", "admin")
        text = (self.path / "keys").read_text()
        self.assertNotIn(use, text)
        self.assertEqual((self.path / "keys").stat().st_mode & 0o777, 0o600)
        again = subprocess.run([ORIEL, "api-key", "shop", "--file", self.path / "keys"],
                               capture_output=True, text=True)
        self.assertEqual(again.returncode, 1)
        self.assertIn("'shop' comes twice", again.stderr)
        _, port = self.serve("--api-keys", self.path / "keys")

        def ask(method, path, key=None, body=None):
            connection = http.client.HTTPConnection("127.0.0.1", port)
            connection.request(method, path, body, {"X-API-Key": key} if key else {})
            status = connection.getresponse().status
            connection.close()
            return status

        self.assertEqual(ask("POST", "/api/classify", None, self.photo), 401)
        self.assertEqual(ask("POST", "/api/classify", use + "x", self.photo), 401)
        self.assertEqual(ask("POST", "/api/classify", use, self.photo), 200)
        self.assertEqual(ask("GET", "/readyz"), 200)
        load = f"/v2/repository/models/{MODEL}/load"
        self.assertEqual(ask("POST", load, use), 403)
        self.assertEqual(ask("POST", load, admin), 200)
        # Revoked while the server runs.
        (self.path / "keys").write_text(
            "\n".join(line for line in text.splitlines() if " me " in line))
        until = time.monotonic() + 30
        while ask("GET", "/api/models", use) != 401:
            self.assertLess(time.monotonic(), until)
            time.sleep(0.2)
        self.assertEqual(ask("GET", "/api/models", admin), 200)

    def test_compression(self):
        _, port = self.serve()
        connection = http.client.HTTPConnection("127.0.0.1", port)
        row = {"b64": base64.b64encode(self.photo).decode()}
        answers = []
        for coding, pack, unpack in (("identity", bytes, bytes),
                                     ("gzip", gzip.compress, gzip.decompress),
                                     ("deflate", zlib.compress, zlib.decompress)):
            connection.request(
                "POST", f"/v1/models/{MODEL}:predict",
                pack(json.dumps({"instances": [row]}).encode()),
                {"Content-Encoding": coding, "Accept-Encoding": coding})
            answer = connection.getresponse()
            self.assertEqual(answer.status, 200)
            self.assertEqual(answer.headers.get("Content-Encoding", "identity"), coding)
            answers.append(json.loads(unpack(answer.read())))
        self.assertEqual(answers[1], answers[0])
        self.assertEqual(answers[2], answers[0])
        self.assertEqual(len(answers[0]["predictions"][0]), 1000)
        connection.request("GET", f"/v2/models/{MODEL}", headers={"Accept-Encoding": "gzip"})
        self.assertEqual(json.load(connection.getresponse())["name"], MODEL)
        connection.close()

    def test_rates(self):
        _, port = self.serve("--rate-limit", "0.01", "--rate-burst", "3")
        connection = http.client.HTTPConnection("127.0.0.1", port)
        statuses = []
        for _ in range(5):
            connection.request("GET", "/api/models")
            answer = connection.getresponse()
            answer.read()
            statuses.append(answer.status)
        self.assertEqual(statuses, [200, 200, 200, 429, 429])
        self.assertGreater(int(answer.headers["Retry-After"]), 50)
        connection.close()

    def test_flags_that_do_not_go_together(self):
        for flags, reason in (
                (["--tls-cert", "x.pem"], "--tls-key"),
                (["--tls-key", "x.pem"], "--tls-cert"),
                (["--tls-cert", "none.pem", "--tls-key", "none.pem"], "none.pem"),
                (["--api-keys", "none"], "none"),
                (["--rate-burst", "3"], "--rate-limit"),
                (["--cors-origin", "shop.example"], "https://shop.example"),
                (["--trusted-proxy", "10.0.0.0/40"], "10.0.0.0/8")):
            run = subprocess.run(
                [ORIEL, "serve", MODEL, "--model-dir", self.path / "models", "--port", "0",
                 *flags], capture_output=True, text=True, timeout=60)
            self.assertNotEqual(run.returncode, 0, flags)
            self.assertIn(reason, run.stderr, flags)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
