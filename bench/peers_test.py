#!/usr/bin/env python3
"""bench/peers.py without peers: its arithmetic, tables and protocol, and a whole run of
Oriel beside made-up engines on a graph of three nodes. Standard library only.

usage: peers_test.py ORIEL
"""

import dataclasses
import datetime
import os
import pathlib
import signal
import struct
import sys
import tempfile
import threading
import time
import unittest

BENCH = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(BENCH))
os.environ["PYTHONPATH"] = str(BENCH / "testing")  # where workers find made-up engines

import peers
from harness import environment, models, npy, ratios, report, rounds
from harness.bench import Bench, BenchError, Settings
from harness.children import Child, ChildError
from harness.oriel import Oriel, OrielError, peak_memory, whole_process
from harness.peers import PEERS, Peer
from harness.ratios import LATENCY, SECONDS, THROUGHPUT, Case, Ratio, Round, Slice

ORIEL = pathlib.Path(sys.argv[1]).resolve()


def message(*fields):
    """A protobuf message of (number, int or bytes or str)."""
    def varint(value):
        value &= (1 << 64) - 1
        out = bytearray()
        while value > 127:
            out.append(value & 127 | 128)
            value >>= 7
        return bytes(out + bytes([value]))

    out = b""
    for number, value in fields:
        if isinstance(value, int):
            out += varint(number << 3) + varint(value)
        else:
            value = value.encode() if isinstance(value, str) else value
            out += varint(number << 3 | 2) + varint(len(value)) + value
    return out


def node(name, op, *inputs, **attributes):
    return message((1, name), (2, op), *((3, i) for i in inputs),
                   *((5, message((1, k), (2, v))) for k, v in attributes.items()))


def small_graph():
    """x [-1,4,4,3] -> logits [-1,3]: the mean of each channel's positive values."""
    float32, int32 = message((6, 1)), message((6, 3))
    shape = message((7, message(*((2, message((1, d))) for d in (-1, 4, 4, 3)))))
    axes = message((8, message((1, 3), (2, message((2, message((1, 2))))),
                               (4, struct.pack("<2i", 1, 2)))))
    return message(*((1, n) for n in (
        node("x", "Placeholder", dtype=float32, shape=shape),
        node("positive", "Relu", "x", T=float32),
        node("axes", "Const", dtype=int32, value=axes),
        node("logits", "Mean", "positive", "axes", T=float32, Tidx=int32))))


def make_model(directory):
    directory = pathlib.Path(directory)
    graph = directory / "graph.pb"
    graph.write_bytes(small_graph())
    npy.write(directory / "inputs.npy", (2, 4, 4, 3), [(i * 37 % 19) / 10 - 1 for i in range(96)])
    return models.Model("small", "Small", graph, {"input": "x", "output": "logits"},
                        directory / "inputs.npy", 4, "numbers")


def case(engine="oriel", batch=1, streams=1):
    return Case(engine, "f32", batch, streams)


def one_round(peak, **ms):
    """A round in which each engine's latency was that."""
    return Round((peak,), {case(e): Slice(value, 1000 / value) for e, value in ms.items()})


class Arithmetic(unittest.TestCase):
    def test_a_round_at_reduced_rate_does_not_count(self):
        ok = [Round((100., 98.), {}), Round((101., 99.), {}), Round((100., 86.), {})]
        slow = [Round((100., 70.), {}), Round((60., 60.), {})]
        self.assertEqual(ratios.keep_rounds(ok + slow), ok)
        self.assertEqual(ratios.keep_rounds([]), [])

    def test_ratios_are_taken_within_rounds(self):
        # Twice as slow a machine in the second round changes no ratio.
        self.assertEqual(ratios.compare(LATENCY, [10, 20, 10], [15, 30, 12]), Ratio(1.5, 1.2, 1.5))
        self.assertEqual(ratios.compare(THROUGHPUT, [10, 20], [5, 10]), Ratio(2, 2, 2))
        with self.assertRaises(ValueError):
            ratios.compare(LATENCY, [1], [1, 2])

    def test_best_case_and_candidates(self):
        a, b, c = case(batch=1), case(batch=8), case(batch=8, streams=2)
        scouted = {a: Slice(1, 50), b: Slice(1, 100), c: Slice(1, 96)}
        self.assertEqual(ratios.candidates([a, b, c], scouted), [b, c])
        self.assertEqual(ratios.candidates([a, b, c], scouted, within=0.01), [b])
        measured = [Round((1.,), {b: Slice(1, v), c: Slice(1, w)})
                    for v, w in ((100, 90), (80, 90), (70, 90))]
        self.assertEqual(ratios.best_case(THROUGHPUT, [b, c], measured), c)

    def test_agreement_is_in_standard_deviations(self):
        reference = [[0., 2., 0., 2.], [2., 0., 0., 2.]]  # deviation 1
        same = ratios.agreement([[0., 2., 0., 2.], [2., 0., 0., 2.5]], reference)
        self.assertAlmostEqual(same.worst, 0.5)
        self.assertAlmostEqual(same.rms, 0.5 / 8**0.5)
        self.assertEqual((same.same_first, same.images), (1, 2))
        self.assertTrue(ratios.agrees(same, worst=0.6, rms=0.2))
        self.assertFalse(ratios.agrees(same, worst=0.4, rms=0.2))
        nan = ratios.agreement([[float("nan")] * 4] * 2, reference)
        self.assertFalse(ratios.agrees(nan, 1e9, 1e9))
        with self.assertRaises(ValueError):
            ratios.agreement([[1.]], reference)

    def test_npy(self):
        with tempfile.TemporaryDirectory() as directory:
            path = pathlib.Path(directory) / "x.npy"
            npy.write(path, (2, 3), range(6))
            self.assertEqual((path.stat().st_size - 6 * 4) % 64, 0)
            self.assertEqual(npy.rows(path), [[0, 1, 2], [3, 4, 5]])
            npy.first(path, path)
            self.assertEqual(npy.rows(path), [[0, 1, 2]])
            path.write_bytes(path.read_bytes()[:-1])
            with self.assertRaises(ValueError):
                npy.read(path)


class Rounds(unittest.TestCase):
    def run_with_peaks(self, peaks, wanted, limit_s=float("inf")):
        peaks = iter(peaks)
        return rounds.run_rounds([case("a"), case("b")], lambda c: Slice(1, 1),
                                 lambda: next(peaks), wanted, tell=lambda text: None,
                                 limit_s=limit_s)

    def test_dropped_rounds_are_made_up_for(self):
        kept, dropped = self.run_with_peaks([100, 100, 50, 100, 100, 100, 100, 100], 3)
        self.assertEqual((len(kept), dropped), (3, 1))
        self.assertEqual(set(kept[0].slices), {case("a"), case("b")})

    def test_a_restless_machine_ends_it(self):
        kept, dropped = self.run_with_peaks([100, 40] * 100, 3)
        self.assertEqual((len(kept), dropped), (0, 8))

    def test_the_limit_ends_it(self):
        kept, _ = self.run_with_peaks([100] * 100, 50, limit_s=0)
        self.assertEqual(len(kept), 1)


class Tables(unittest.TestCase):
    TITLES = {"oriel": "Oriel", "a": "A", "b": "B", "absent": "Absent"}

    def rows(self):
        measured = [one_round(1., oriel=100, a=120, b=150), one_round(1., oriel=110, a=121, b=150),
                    one_round(1., oriel=100, a=130, b=151)]
        return [report.row_of_rounds("latency", LATENCY,
                                     {e: [case(e)] for e in ("oriel", "a", "b")}, measured),
                report.Row("start", SECONDS, {"oriel": [0.1234], "a": [0.5]}),
                report.Row("bf16 latency", LATENCY, skipped="the CPU has none")]

    def test_readme_table(self):
        self.assertEqual(report.readme_table(self.rows(), self.TITLES), """\
|  | Oriel | A | B | Oriel against the best |
| --- | --- | --- | --- | --- |
| latency, ms | **100** | 121 (1.20x) | 150 (1.50x) | **1.20x** |
| start, s | **0.123** | 0.5 (4.05x) |  | **4.05x** |

- bf16 latency: not measured: the CPU has none""")

    def test_history_table_has_ranges(self):
        table = report.history_table(self.rows(), self.TITLES)
        self.assertIn("| latency | A | f32, batch 1, 1 stream | 121 ms | 120..130 | "
                      "1.20x (1.10x..1.30x) |", table)
        self.assertIn("not measured: the CPU has none", table)

    def test_readme_has_markers_for_each_model(self):
        text = (BENCH.parent / "README.md").read_text()
        for name in peers.MODELS:
            self.assertIn("\nTABLE\n", report.replace_between(text, name, "TABLE"))
        for bad in ("", "<!-- bench:m:end --><!-- bench:m:begin -->"):
            with self.assertRaises(ValueError):
                report.replace_between(bad, "m", "TABLE")

    def test_write(self):
        with tempfile.TemporaryDirectory() as directory:
            readme, history = (pathlib.Path(directory) / f for f in ("README.md", "history.md"))
            before = "a\n<!-- bench:m:begin -->\nold\n<!-- bench:m:end -->\nb\n"
            readme.write_text(before)
            history.write_text((BENCH / "history.md").read_text())
            report.write(readme, history, "m", "NEW", "## first")
            report.write(readme, history, "m", "NEWER", "## second")
            self.assertEqual(readme.read_text(), before.replace("old", "NEWER"))
            text = history.read_text()
            self.assertLess(text.index("\n---\n"), text.index("## second"))
            self.assertLess(text.index("## second"), text.index("## first"))
            with self.assertRaises(ValueError):
                report.write(readme, history, "other", "NEW", "## third")
            self.assertNotIn("third", history.read_text())

    def test_every_peer_is_complete(self):
        for peer in PEERS:
            self.assertTrue((BENCH / f"engines/{peer.module}.py").exists(), peer.name)
            for targets in peer.targets.values():
                self.assertLessEqual(set(targets), set(models.TARGETS))
        source = (BENCH / "convert.py").read_text()
        for target in models.TARGETS:
            self.assertIn(f"def make_{target}(", source)


class WithModel(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="oriel-peers-")
        cls.work = pathlib.Path(cls.folder.name)
        cls.model = make_model(cls.work)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def child(self, engine, **config):
        return Child(sys.executable, {
            "engine": engine, "precision": "f32", "threads": 1, "streams": 2,
            "files": self.model.files, "inputs": str(self.model.inputs)} | config,
            self.work / "child.log", environment.child_environment(1), patience=60)


class Protocol(WithModel):
    def test_answers(self):
        child = self.child("fake_engine")
        self.addCleanup(child.kill)
        self.assertEqual(child.ready["version"], "1.2.3")
        self.assertIn("chatter", child.log.read_text())
        self.assertEqual(len(child.ask({"do": "logits"})["logits"]), 2)
        child.ask({"do": "prepare", "batch": 2})
        answer = child.ask({"do": "run", "batch": 2, "seconds": 0.2})
        # Two streams of 2 ms runs; a busy machine may be slower.
        self.assertGreaterEqual(answer["runs"], 2)
        self.assertGreaterEqual(answer["latency_ms"]["p50"], 2)
        self.assertLessEqual(answer["latency_ms"]["p50"], answer["latency_ms"]["p99"])
        self.assertLessEqual(answer["runs"] / answer["seconds"], 2 / 0.002)
        with self.assertRaisesRegex(ChildError, "do dance"):
            child.ask({"do": "dance"})
        used = child.quit()
        self.assertGreaterEqual(used["memory_mib"], used["base_mib"])
        self.assertEqual(child.process.returncode, 0)

    def test_it_is_stopped_between_turns_and_killed_at_the_end(self):
        child = self.child("fake_engine")
        self.addCleanup(child.kill)
        status = pathlib.Path(f"/proc/{child.process.pid}/status")
        for _ in range(1000):
            if "State:\tT" in status.read_text():
                break
            time.sleep(0.01)
        else:
            self.fail("the child was not stopped")
        child.kill()
        self.assertEqual(child.process.returncode, -signal.SIGKILL)

    def test_a_child_that_dies_or_cannot_start(self):
        child = self.child("failing_engine")
        self.addCleanup(child.kill)
        with self.assertRaisesRegex(ChildError, "ended with 7"):
            child.ask({"do": "prepare", "batch": 1})
        with self.assertRaisesRegex(ChildError, "No module named 'no_engine'"):
            self.child("no_engine")

    def test_oriel_says_why(self):
        oriel = Oriel(ORIEL, self.model, None, 1)
        self.assertIsNone(oriel.why_not("f32"))
        self.assertIn("f16", oriel.why_not("f16"))
        with self.assertRaises(OrielError):
            whole_process([ORIEL, "run", self.work / "absent.pb"], None)
        self.assertGreater(whole_process([ORIEL, "version"], None), 0)

    def test_memory_is_of_the_process_alone(self):
        ours = bytearray(300 << 20)  # not what a small program started from here has
        program = "import time; data = bytearray(60 << 20); time.sleep(0.2)"
        mib = peak_memory([sys.executable, "-c", program], None)
        self.assertGreater(mib, 60)
        self.assertLess(mib, len(ours) >> 20)
        with self.assertRaises(OrielError):
            peak_memory([sys.executable, "-c", "raise SystemExit(3)"], None)


class WholeRun(WithModel):
    SETTINGS = Settings(threads=1, batches=[1, 2], rounds=2, seconds=0.02, repetitions=2,
                        limit_s=60, patience_s=60)

    def bench(self, *modules):
        table = [Peer(m.removesuffix("_engine"), m, m, {"f32": ()}) for m in modules]
        return Bench(self.model, ORIEL, table, sys.executable, self.work, self.SETTINGS,
                     lambda text: None)

    def test_a_run_from_logits_to_tables(self):
        bench = self.bench("fake_engine", "failing_engine")
        # Of this machine, which may be busy, nothing is asked.
        bench.probe = lambda: 1.0
        rows, dropped, kept = bench.run(once=None)
        self.assertEqual((dropped, kept), (0, 2))
        self.assertEqual(bench.children.alive, {})
        by_title = {row.title: row for row in rows}
        latency = by_title["f32 latency"]
        self.assertEqual(set(latency.values), {"oriel", "fake"})
        self.assertGreaterEqual(latency.median("fake"), 1)
        self.assertGreater(by_title["f32 throughput"].ratio("fake").median, 0)
        self.assertTrue(by_title["start, f32"].skipped)
        self.assertGreater(by_title["memory, f32"].median("oriel"), 1)
        readme, entry = peers.describe(bench, rows, kept, dropped,
                                       datetime.datetime(2000, 1, 2, 3, 4))
        self.assertIn("| f32 latency, ms | **", readme)
        self.assertIn("## 2000-01-02 03:04 UTC: Small", entry)
        self.assertRegex(entry, r"left out: failing_engine f32: .*ended with 7")
        self.assertIn("fake_engine 1.2.3", entry)
        self.assertIn("| Oriel | f32 |", entry)

    def test_an_engine_that_disagrees_is_an_error(self):
        with self.assertRaisesRegex(BenchError, "wrong_engine f32: largest difference"):
            self.bench("fake_engine", "wrong_engine").run(once=None)

    def test_an_interrupt_leaves_no_child(self):
        bench = self.bench("fake_engine")
        bench.settings = dataclasses.replace(self.SETTINGS, rounds=1000, limit_s=1e9)
        bench.probe = lambda: 1.0
        seen = []
        old = signal.signal(signal.SIGTERM, peers.stop)
        self.addCleanup(signal.signal, signal.SIGTERM, old)

        def interrupt():
            while not bench.children.alive:
                time.sleep(0.01)
            seen.extend(c.process for c in bench.children.alive.values())
            os.kill(os.getpid(), signal.SIGTERM)

        killer = threading.Thread(target=interrupt)
        killer.start()
        with self.assertRaises(KeyboardInterrupt):
            bench.run(once=None)
        killer.join()
        self.assertTrue(all(p.poll() is not None for p in seen))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
