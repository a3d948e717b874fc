#!/usr/bin/env python3
"""How `oriel serve` is set up, watched and steered: settings, metrics, log, administration.

usage: operations_test.py ORIEL TEST_DATA
       (TEST_DATA: what tools/fetch_test_data.sh left)

Standard library only; tests/clients/test_prometheus.py has Prometheus's own parser.
"""

import json
import math
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
import unittest
import urllib.error
import urllib.parse
import urllib.request

ORIEL, DATA = (pathlib.Path(path).resolve() for path in sys.argv[1:3])
MODEL = "efficientnet_lite0"

# A value that each flag takes is among them.
CANDIDATES = ["true", "17", "2.5", "specific:1", "stable=1", "https://shop.example",
              "10.0.0.0/8"]


def clean_environment(**more):
    return {k: v for k, v in os.environ.items() if not k.startswith("ORIEL_")} | more


def dry_run(*arguments, file=None, **environment):
    """(exit code, settings, where each came from, standard error)"""
    if file is not None:
        arguments += ("--config", file)
    done = subprocess.run([ORIEL, "serve", "--dry-run", *arguments], capture_output=True,
                          text=True, env=clean_environment(**environment), timeout=60)
    sources = {}
    for line in done.stdout.splitlines():
        if match := re.fullmatch(r"([\w-]+) = .*?  # ([^\"]*)", line):
            sources[match[1]] = match[2]
    return done.returncode, tomllib.loads(done.stdout), sources, done.stderr


def variable(key):
    return "ORIEL_SERVE_" + key.upper().replace("-", "_")


class SettingsTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="oriel-settings-")
        self.addCleanup(folder.cleanup)
        self.path = pathlib.Path(folder.name)

    def write(self, text):
        file = self.path / "oriel.toml"
        file.write_text(text)
        return file

    def flags(self):
        """Their names, and the values that the help names."""
        text = subprocess.run([ORIEL, "serve", "--help"], capture_output=True, text=True,
                              check=True).stdout
        flags = set(re.findall(r"^ +(?:-\w,)?--([a-z0-9-]+)", text, re.M))
        self.assertGreater(len(flags), 30)
        values = {value for found in re.findall(r"\{([\w,-]+)\}", text)
                  for value in found.split(",")}
        return sorted(flags - {"help", "config", "dry-run"}), sorted(values)

    def test_every_flag_by_each_of_three_ways(self):
        _, defaults, sources, _ = dry_run()
        self.assertEqual(set(sources.values()), {"default"})
        flags, values = self.flags()
        for flag in flags:
            for value in CANDIDATES + values:
                code, settings, sources, error = dry_run(f"--{flag}={value}")
                if code != 2 and settings.get(flag) not in (defaults.get(flag), None):
                    break
            else:
                self.fail(f"no value for --{flag}; {error}")
            wanted = settings[flag]
            self.assertEqual(sources[flag], "flag")
            _, settings, sources, error = dry_run(**{variable(flag): value})
            self.assertEqual(settings.get(flag), wanted, error)
            self.assertEqual(sources[flag], f"environment, {variable(flag)}")
            for written in [json.dumps(wanted)] + ([json.dumps(wanted[0])]
                                                   if isinstance(wanted, list) else []):
                file = self.write(f"# a comment\n{flag} = {written}\n")
                _, settings, sources, error = dry_run(file=file)
                self.assertEqual(settings.get(flag), wanted, error)
                self.assertEqual(sources[flag], f"{file}, line 2")
                others = {key: s for key, s in sources.items() if key != flag}
                self.assertEqual(set(others.values()), {"default"})

    def test_models_by_each_way(self):
        for settings in (dry_run("a", "b")[1], dry_run(ORIEL_SERVE_MODEL="a,b")[1],
                         dry_run(file=self.write('model = ["a", "b"]'))[1]):
            self.assertEqual(settings["model"], ["a", "b"])

    def test_flags_before_environment_before_file(self):
        file = self.write('queue = 1\nport = 2\nhost = "file"\nversion-label = ["a=1"]\n')
        _, settings, sources, _ = dry_run(
            "--port", "4", "--version-label", "c=3", file=file, ORIEL_SERVE_PORT="3",
            ORIEL_SERVE_HOST="environment", ORIEL_SERVE_VERSION_LABEL="b=2,d=4",
            ORIEL_SERVE_TOP_K="")
        self.assertEqual([settings[k] for k in ("queue", "port", "host", "version-label")],
                         [1, 4, "environment", ["c=3"]])
        self.assertEqual([sources[k] for k in ("queue", "port", "host", "top-k")],
                         [f"{file}, line 1", "flag", "environment, ORIEL_SERVE_HOST",
                          "default"])

    def test_the_file_may_come_from_the_environment(self):
        self.assertEqual(dry_run(ORIEL_SERVE_CONFIG=str(self.write("port = 77")))[1]["port"], 77)

    def test_what_a_dry_run_prints_is_a_file(self):
        first = dry_run("a b", 'c"\\', "--port", "9", "--notice", 'say "hi" \\ 1.50\t# x',
                        "--load-on-demand", "--version-label", "x=1", "--version-label", "y=2",
                        "--grace", "0.25", ORIEL_SERVE_HOST="007")
        text = subprocess.run(
            [ORIEL, "serve", "--dry-run", "a b", 'c"\\', "--port", "9", "--notice",
             'say "hi" \\ 1.50\t# x', "--load-on-demand", "--version-label", "x=1",
             "--version-label", "y=2", "--grace", "0.25", "--host", "007"],
            capture_output=True, text=True, env=clean_environment()).stdout
        second = dry_run(file=self.write(text))
        self.assertEqual(first[1], second[1])
        self.assertEqual(second[1]["notice"], 'say "hi" \\ 1.50\t# x')
        self.assertEqual(second[1]["host"], "007")
        self.assertEqual(second[1]["version-label"], ["x=1", "y=2"])
        self.assertIs(second[1]["load-on-demand"], True)

    def test_errors_name_the_file_and_the_line(self):
        for text, line, reasons in [
            ("port = 1\n\nprot = 2\n", 3, ["prot"]),
            ("port = 1\n[server]\nqueue = 2\n", 2, ["section", "server"]),
            ("port = 1\nport = 2\n", 2, ["port"]),
            ("\nport = 70000\n", 2, ["port", "70000"]),
            ("port = \"x\"\n", 1, ["port"]),
            ("port = [1, 2]\n", 1, ["port"]),
            ("port = 2026-11-22\n", 1, ["port"]),
            ("load-on-demand = 1\n", 1, ["load-on-demand", "true"]),
            ("queue = nan\n", 1, ["queue"]),
            ("idle-timeout = inf\n", 1, ["idle-timeout"]),
            ("log-level = \"loud\"\n", 1, ["log-level"]),
            ("version-policy = \"newest\"\n", 1, ["version-policy", "newest"]),
            ("version-label = [[1]]\n", 1, ["version-label"]),
            ("port = \n", 1, []),
            ("host = \"unfinished\n", 1, []),
            ("config = \"other\"\n", 1, ["config"]),
            ("a\x01b = 1\n", 1, []),
        ]:
            file = self.write(text)
            code, settings, _, error = dry_run(file=file)
            self.assertEqual(code, 1, text)
            self.assertEqual(settings, {}, text)
            self.assertIn(f"{file}, line {line}: ", error)
            for reason in reasons:
                self.assertIn(reason, error)
        self.assertIn("none.toml", dry_run(file="none.toml")[3])

    def test_errors_name_the_variable(self):
        code, _, _, error = dry_run(ORIEL_SERVE_PORT="tcp://10.0.0.1:80")
        self.assertEqual(code, 1)
        self.assertIn("environment, ORIEL_SERVE_PORT: ", error)
        self.assertIn("ORIEL_SERVE_PROT", dry_run(ORIEL_SERVE_PROT="1")[3])

    def test_a_dry_run_looks_at_the_models(self):
        code, _, _, error = dry_run("--model-dir", str(self.path / "nowhere"))
        self.assertEqual(code, 1)
        self.assertIn("nowhere", error)


class Server:
    """`oriel serve` and its log."""

    def __init__(self, test, models, *flags, **environment):
        self.process = subprocess.Popen(
            [ORIEL, "serve", MODEL, "--model-dir", models, "--port", "0", *flags],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=clean_environment(**environment))
        self.lines = []
        line = self.process.stdout.readline()
        match = re.search(r"http://127\.0\.0\.1:(\d+)", line)
        if not match:
            self.process.kill()
            test.fail(line + self.process.stderr.read())
        self.port = int(match[1])
        self.reader = threading.Thread(
            target=lambda: self.lines.extend(line.rstrip("\n") for line in self.process.stderr))
        self.reader.start()
        test.addCleanup(self.stop)

    def stop(self):
        """Its log."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
            code = self.process.wait(timeout=30)
            self.reader.join()
            self.process.stdout.close()
            self.process.stderr.close()
            assert code == 0, self.lines
        return self.lines

    def ask(self, path, body=None, headers={}, port=None):
        """(status, text)"""
        request = urllib.request.Request(f"http://127.0.0.1:{port or self.port}{path}",
                                         data=body, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()


SAMPLE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|$)')


def parse_metrics(text):
    """{family: (type, {(sample, labels): value})}, by the rules of the text format and those of
    promtool's linter; AssertionError where one is broken."""
    families, name = {}, None
    assert text.endswith("\n")
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            name, help_text = line[7:].split(" ", 1)
            assert name not in families, f"{name} comes twice"
            assert help_text, name
            families[name] = ["untyped", {}]
            continue
        if line.startswith("# TYPE "):
            typed, kind = line[7:].split(" ")
            assert typed == name and not families[name][1], line
            families[name][0] = kind
            continue
        match = SAMPLE.fullmatch(line)
        assert match, line
        sample, labels, value = match.groups()
        pairs = LABEL.findall(labels or "")
        assert labels is None or sum(len(m[0]) for m in LABEL.finditer(labels)) == len(labels), line
        assert len(dict(pairs)) == len(pairs), line
        suffixes = ("_bucket", "_sum", "_count") if families[name][0] == "histogram" else ("",)
        assert sample in [name + s for s in suffixes], line
        key = (sample, tuple(pairs))
        assert key not in families[name][1], line
        families[name][1][key] = float(value)
    for name, (kind, samples) in families.items():
        assert samples, name
        if not name.startswith("nv_"):
            assert (kind == "counter") == name.endswith("_total"), name
            assert not re.search(r"_(ms|us|milliseconds|kb|percent)(_|$)", name), name
            assert kind != "untyped", name
        if kind == "counter":
            assert all(value >= 0 for value in samples.values()), name
        if kind == "histogram":
            check_histogram(name, samples)
    return families


def check_histogram(name, samples):
    buckets = {}
    for (sample, labels), value in samples.items():
        if sample.endswith("_bucket"):
            rest = tuple(pair for pair in labels if pair[0] != "le")
            buckets.setdefault(rest, []).append((float(dict(labels)["le"]), value))
    for labels, found in buckets.items():
        assert found == sorted(found), name
        assert [n for _, n in found] == sorted(n for _, n in found), name
        assert found[-1][0] == math.inf, name
        assert found[-1][1] == samples[name + "_count", labels], name
        assert (name + "_sum", labels) in samples, name


class Operations(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="oriel-operations-")
        cls.models = pathlib.Path(cls.folder.name) / "models"
        weights = next((DATA / "weights").glob("efficientnet-lite0-*.pth"))
        subprocess.run([ORIEL, "export", MODEL, "--checkpoint", weights,
                        "--output-dir", cls.models], check=True, capture_output=True)
        cls.photo = (DATA / "photos" / "coffee.png").read_bytes()

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def test_a_dry_run_with_models(self):
        code, settings, _, error = dry_run("--model-dir", str(self.models))
        self.assertEqual(code, 0, error)
        self.assertEqual(settings["port"], 8000)
        self.assertIn(f"{MODEL} version 1", error)
        self.assertEqual(dry_run("--model-dir", str(self.models), "dog")[0], 1)

    def test_metrics(self):
        server = Server(self, self.models)
        for _ in range(3):
            self.assertEqual(server.ask("/api/classify", self.photo)[0], 200)
        self.assertEqual(server.ask("/nowhere")[0], 404)
        status, text = server.ask("/metrics")
        self.assertEqual(status, 200)
        families = parse_metrics(text)
        model = (("model", MODEL), ("version", "1"))
        self.assertEqual(families["nv_inference_count"][1]["nv_inference_count", model], 3)
        seconds = families["oriel_model_compute_seconds"][1]
        self.assertEqual(seconds["oriel_model_compute_seconds_count", model], 3)
        self.assertGreater(seconds["oriel_model_compute_seconds_sum", model], 0.001)
        self.assertGreater(families["process_resident_memory_bytes"][1][
            "process_resident_memory_bytes", ()], 1e6)
        started = families["process_start_time_seconds"][1]["process_start_time_seconds", ()]
        self.assertLess(abs(started - time.time()), 300)

    def test_statistics(self):
        server = Server(self, self.models)
        for _ in range(2):
            self.assertEqual(server.ask("/api/classify", self.photo)[0], 200)
        stats = json.loads(server.ask(f"/v2/models/{MODEL}/stats")[1])["model_stats"][0]
        self.assertEqual(stats["inference_count"], 2)
        times = stats["inference_stats"]
        for stage in ("compute_input", "compute_infer"):
            self.assertEqual(times[stage]["count"], 2)
            self.assertGreater(times[stage]["ns"], 100_000)
        self.assertGreaterEqual(
            times["success"]["ns"],
            sum(times[s]["ns"] for s in ("queue", "compute_input", "compute_infer")))

    def test_json_log(self):
        server = Server(self, self.models, ORIEL_SERVE_LOG_FORMAT="json")
        trace = "4bf92f3577b34da6a3ce929d0e0e4736"
        self.assertEqual(server.ask("/api/classify", self.photo, {
            "X-Request-Id": "mine", "traceparent": f"00-{trace}-00f067aa0ba902b7-01"})[0], 200)
        self.assertEqual(server.ask("/healthz")[0], 200)
        # A client that would like to write lines of its own.
        forged = urllib.parse.quote('/a"\n{"level":"error","message":"forged"}\r\x1b[31m\u2028')
        self.assertEqual(server.ask(forged)[0], 404)
        lines = [json.loads(line) for line in server.stop()]
        for line in lines:
            self.assertTrue({"time", "level", "message"} <= set(line))
            self.assertNotEqual(line["level"], "error")
        requests = [line for line in lines if line["message"] == "request"]
        self.assertEqual(len(requests), 2)
        first = requests[0]
        self.assertEqual(
            [first[k] for k in ("request_id", "client", "protocol", "method", "path", "status",
                                "bytes_in", "model", "version", "images", "trace_id")],
            ["mine", "127.0.0.1", "api", "POST", "/api/classify", 200, len(self.photo), MODEL,
             "1", 1, trace])
        parts = [first[k] for k in ("upload_ms", "queue_ms", "preprocess_ms", "compute_ms")]
        self.assertGreater(min(parts[2:]), 0)
        self.assertGreater(first["duration_ms"], sum(parts[1:]))
        self.assertIn("forged", requests[1]["path"])

    def test_text_log_without_requests(self):
        server = Server(self, self.models, "--access-log", "off")
        self.assertEqual(server.ask("/api/classify", self.photo)[0], 200)
        lines = server.stop()
        self.assertFalse([line for line in lines if "/api/classify" in line])
        self.assertRegex(lines[-1], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d info stopped$")

    def test_administration_at_its_own_address(self):
        server = Server(self, self.models, "--admin-port", "0", ORIEL_SERVE_PROT="1")
        until = time.monotonic() + 20
        while not (found := re.search(r"administration is at http://127\.0\.0\.1:(\d+)",
                                      "\n".join(server.lines))):
            self.assertLess(time.monotonic(), until)
            time.sleep(0.01)
        admin = int(found[1])
        for path in ("/metrics", "/v2/logging"):
            self.assertEqual(server.ask(path)[0], 404)
            self.assertEqual(server.ask(path, port=admin)[0], 200)
        self.assertEqual(server.ask("/api/models", port=admin)[0], 404)
        self.assertEqual(server.ask("/healthz", port=admin)[0], 200)
        self.assertEqual(server.ask("/api/classify", self.photo)[0], 200)
        parse_metrics(server.ask("/metrics", port=admin)[1])
        status, text = server.ask("/v2/logging", b'{"log_verbose_level": 1, "log_format": "json"}',
                                  port=admin)
        self.assertEqual(status, 200, text)
        server.ask("/healthz")
        unload = f"/v2/repository/models/{MODEL}/unload"
        self.assertEqual(server.ask(unload, b"")[0], 404)
        self.assertEqual(server.ask(unload, b"", port=admin)[0], 200)
        self.assertEqual(server.ask("/api/classify", self.photo)[0], 503)
        lines = server.stop()
        self.assertTrue([line for line in lines if "ORIEL_SERVE_PROT" in line])
        probes = [json.loads(line) for line in lines if '"path":"/healthz"' in line]
        self.assertEqual(probes[-1]["level"], "debug")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
