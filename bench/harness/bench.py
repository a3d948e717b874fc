"""One run: which engines, what is measured of each, the rows that come of it."""

import dataclasses
import json
import pathlib
import random

from harness import environment, npy, report
from harness.children import Child, ChildError, Children
from harness.oriel import Oriel, OrielError, peak_memory, whole_process
from harness.ratios import (LATENCY, MEMORY, SECONDS, THROUGHPUT, Case, Slice, agreement, agrees,
                            candidates)
from harness.rounds import run_rounds

PROBE = pathlib.Path(__file__).resolve().parent.parent / "probe.pbtxt"
OURS = report.OURS

# Largest difference and rms of float32 logits, in their standard deviations.
AGREEMENT_LIMITS = {"f32": (5e-3, 5e-4), "f32-exact": (1e-3, 1e-4)}
FEWEST_ROUNDS = 3

# (row's name, Oriel's precision, the peers')
PRECISIONS = (("f32", "f32", "f32"), ("f32-exact", "f32-exact", "f32"), ("bf16", "bf16", "bf16"),
              ("int8", "int8", "int8"))


class BenchError(Exception):
    """The measurement is worth nothing; the text says why."""


@dataclasses.dataclass
class Settings:
    threads: int
    batches: list
    rounds: int
    seconds: float  # of a slice
    repetitions: int  # of whole processes
    limit_s: float  # of the rounds
    patience_s: float  # for an answer of a child
    precisions: tuple = tuple(name for name, _, _ in PRECISIONS)  # rows to measure


class Bench:
    """One run of it on one model."""

    def __init__(self, model, oriel_program, peers, python, work, settings, tell):
        self.model = model
        self.peers = {p.name: p for p in peers}
        self.python = python
        self.work = pathlib.Path(work)
        self.settings = settings
        self.tell = tell
        self.env = environment.child_environment(settings.threads)
        self.oriel = Oriel(oriel_program, model, self.env, settings.threads)
        self.titles = {OURS: "Oriel"} | {p.name: p.title for p in peers}
        self.children = Children(self.make_child)
        self.about = {}  # (engine, precision, streams) -> {"version", "settings"}
        self.failures = []  # in words
        self.absent = {}  # (engine, precision) -> why
        self.agreements = {}
        self.peaks_beside = []  # Oriel's slices since the last probe

    # What is there -----------------------------------------------------------------

    def make_child(self, engine, precision, streams):
        peer = self.peers[engine]
        threads = max(self.settings.threads // streams, 1)
        child = Child(peer.python or self.python,
                      {"engine": peer.module, "precision": precision, "threads": threads,
                       "streams": streams, "files": self.model.files,
                       "inputs": str(self.model.inputs)},
                      self.work / f"{engine}-{precision}-{streams}.log",
                      environment.child_environment(threads), self.settings.patience_s)
        self.about[engine, precision, streams] = child.ready
        return child

    def fail(self, engine, precision, error):
        """Leaves an engine out of the rows of a precision, and says so."""
        self.absent[engine, precision] = str(error)
        self.failures.append(f"{self.titles[engine]} {precision}: {error}")
        self.tell(f"left out: {self.failures[-1]}")

    def engines(self, precision):
        return [p.name for p in self.peers.values()
                if precision in p.targets and (p.name, precision) not in self.absent]

    def stream_counts(self):
        return sorted({1, self.settings.threads})

    # Agreement ---------------------------------------------------------------------

    def check_agreement(self, ours):
        """Logits of every engine in every precision against the reference: TensorFlow's
        where it is there, else the first peer's in f32. `ours`: Oriel's precisions."""
        logits = {}
        for engine, precision in sorted(
                ((p.name, q) for p in self.peers.values() for q in p.targets),
                key=lambda ep: (ep[1] != "f32", ep[0] != "tensorflow")):
            if (engine, precision) in self.absent:
                continue
            self.tell(f"logits: {self.titles[engine]} {precision}")
            try:
                logits[engine, precision] = self.children.get(engine, precision, 1).ask(
                    {"do": "logits"})["logits"]
            except ChildError as e:
                self.fail(engine, precision, e)
            self.children.drop(engine, precision, 1)
        for precision in ours:
            logits[OURS, precision] = self.oriel.logits(precision, self.work / "logits.npy")
        reference = next((key for key in logits if key[1] == "f32"), None)
        wrong = []
        for key, rows in logits.items():
            measured = None if key == reference else agreement(rows, logits[reference])
            self.agreements[key] = measured
            limits = AGREEMENT_LIMITS.get(key[1])
            if measured and limits and not agrees(measured, *limits):
                wrong.append(f"{self.titles[key[0]]} {key[1]}: largest difference "
                             f"{measured.worst:.2e}, rms {measured.rms:.2e}, in standard "
                             f"deviations of the logits (at most {limits[0]}, {limits[1]})")
        if wrong:
            raise BenchError("engines disagree:\n  " + "\n  ".join(wrong))

    # Timed slices --------------------------------------------------------------------

    def measure(self, case, seconds=None):
        seconds = seconds or self.settings.seconds
        if case.engine == OURS:
            result, peak = self.oriel.measure(case.precision, case.batch, case.streams, seconds)
            self.peaks_beside.append(peak)
            return result
        child = self.children.get(case.engine, case.precision, case.streams)
        child.ask({"do": "prepare", "batch": case.batch})
        answer = child.ask({"do": "run", "batch": case.batch, "seconds": seconds})
        return Slice(answer["latency_ms"]["p50"],
                     answer["runs"] * case.batch / answer["seconds"])

    def probe(self):
        """The machine's peak, and what Oriel's slices since the last probe saw of it."""
        row = json.loads(self.oriel.run("bench", PROBE, "--text", "--json",
                                        "--threads", self.settings.threads, "--duration", 0.01))
        peak = min([row["peak_gflops_per_second"], *self.peaks_beside])
        self.peaks_beside = []
        return peak

    def scout(self, engine, precision):
        """The cases of an engine that may be its best at throughput: by the better of two
        short slices of each, for one may have been disturbed."""
        scouted = {}
        batches = self.settings.batches
        if engine != OURS and not self.peers[engine].batches:
            batches = batches[:1]
        for streams in self.stream_counts():
            for batch in batches:
                case = Case(engine, precision, batch, streams)
                scouted[case] = max((self.measure(case, self.settings.seconds / 2)
                                     for _ in range(2)), key=THROUGHPUT.of)
                self.tell(f"scout: {case}: {scouted[case].latency_ms:.1f} ms, "
                          f"{scouted[case].images_per_second:.2f} images/s")
            # A fresh process for the rounds: this one keeps every batch size's memory.
            self.children.drop(engine, precision, streams)
        return candidates(list(scouted), scouted)

    def find_cases(self, precisions):
        """By row and engine the cases to measure: {(metric, row): {engine: [Case]}}."""
        best = {}

        def candidates_of(engine, precision):
            if (engine, precision) not in best:
                try:
                    best[engine, precision] = self.scout(engine, precision)
                except (ChildError, OrielError) as e:
                    if engine == OURS:
                        raise
                    self.fail(engine, precision, e)
                    best[engine, precision] = []
            return best[engine, precision]

        rows = {}
        for name, ours, theirs in precisions:
            wide = {OURS: candidates_of(OURS, ours)}
            wide |= {e: candidates_of(e, theirs) for e in self.engines(theirs)}
            wide = {e: cases for e, cases in wide.items() if cases}
            rows[LATENCY, name] = {e: [Case(e, ours if e == OURS else theirs, 1, 1)]
                                   for e in wide}
            rows[THROUGHPUT, name] = wide
        return rows

    # Whole processes -------------------------------------------------------------------

    def whole_row(self, measure, what, metric, once, precision):
        """A row of whole processes; one that fails costs no other row."""
        try:
            return measure(once, precision)
        except OrielError as e:
            self.tell(f"{what}, {precision}: {e}")
            return report.Row(f"{what}, {precision}", metric, skipped=str(e))

    def start_row(self, once, precision):
        """From nothing to the answer for one image, both with what they keep on disk: Oriel's
        plan cache, OpenVINO's model cache."""
        row = report.Row(f"start, {precision}", SECONDS)
        if once is None:
            row.skipped = "OpenVINO is not among the peers"
            return row
        cache = self.work / "openvino_cache"
        image = self.work / "image.npy"
        npy.first(self.model.inputs, image)
        commands = {
            OURS: self.oriel.start_command(precision, image, self.work / "start.npy"),
            "openvino": once.command(self.model, cache, precision, runs=1)}
        for command in commands.values():  # fills the caches
            whole_process(command, self.env)
        for repetition in range(self.settings.repetitions):
            self.tell(f"start: {repetition + 1} of {self.settings.repetitions}")
            for engine in random.sample(sorted(commands), len(commands)):
                seconds = whole_process(commands[engine], self.env)
                row.values.setdefault(engine, []).append(seconds)
        row.settings = {OURS: "whole process, plan cache warm",
                        "openvino": "whole process in C, CACHE_DIR warm"}
        return row

    def memory_row(self, once, precision):
        """Peak resident memory at batch 1, a process of its own for each."""
        row = report.Row(f"memory, {precision}", MEMORY)
        repetitions = min(self.settings.repetitions, 3)
        self.tell(f"memory: {precision}")
        whole_process(self.oriel.memory_command(precision), self.env)  # fills the plan cache
        for _ in range(repetitions):
            values = {OURS: peak_memory(self.oriel.memory_command(precision), self.env)}
            row.settings[OURS] = "oriel bench, plan cache warm"
            for engine in self.engines(precision):
                if engine == "openvino" and once:
                    values[engine], row.settings[engine] = self.openvino_memory(once, precision)
                    continue
                try:
                    with self.children:
                        child = self.children.get(engine, precision, 1)
                        child.ask({"do": "run", "batch": 1, "seconds": 0.2})
                        used = child.quit()
                except ChildError as e:
                    self.fail(engine, precision, e)
                    continue
                values[engine] = used["memory_mib"] - used["base_mib"]
                row.settings[engine] = "without Python's and NumPy's"
            for engine, value in values.items():
                row.values.setdefault(engine, []).append(value)
        row.values = {e: v for e, v in row.values.items() if len(v) == repetitions}
        return row

    def openvino_memory(self, once, precision):
        """The lower of compiling anew and of the warm cache."""
        anew, cached = (
            peak_memory(once.command(self.model, cache, precision, runs=5), self.env)
            for cache in (None, self.work / "openvino_cache"))
        if cached < anew:
            return cached, "in C, CACHE_DIR warm"
        return anew, "in C, no cache"

    # All of it -----------------------------------------------------------------------------

    def run(self, once):
        """(rows of the table, how many rounds were dropped, how many count)."""
        _, flags = environment.cpu_info()
        reasons = {}
        for name, ours, _ in PRECISIONS:
            if name not in self.settings.precisions:
                reasons[name] = "not asked for (--precisions)"
            elif name == "bf16" and environment.why_no_bf16(flags):
                reasons[name] = environment.why_no_bf16(flags)
            else:
                reasons[name] = self.oriel.why_not(ours)
            if reasons[name]:
                self.tell(f"{name}: skipped: {reasons[name]}")
        measured = [p for p in PRECISIONS if not reasons[p[0]]]
        for precision in {p for peer in self.peers.values() for p in peer.targets}:
            if precision not in {theirs for _, _, theirs in measured}:
                self.absent |= {(e, precision): "no row asks for it" for e in self.peers}
        with self.children:
            self.check_agreement([ours for _, ours, _ in measured])
            cases = self.find_cases(measured)
            auto = self.auto_case()
            everything = {c for row in cases.values() for choice in row.values() for c in choice}
            everything |= set(auto)
            self.warm_up(everything)
            kept, dropped = run_rounds(
                sorted(everything), self.measure, self.probe, self.settings.rounds,
                tell=self.tell, limit_s=self.settings.limit_s)
        if len(kept) < min(FEWEST_ROUNDS, self.settings.rounds):
            raise BenchError(f"only {len(kept)} rounds count, {dropped} were dropped: "
                             "the machine's peak kept changing; is it at work on something else?")
        rows = []
        for name, _, _ in PRECISIONS:
            for metric, what in ((LATENCY, "latency"), (THROUGHPUT, "throughput")):
                title = f"{name} {what}"
                if reasons[name]:
                    rows.append(report.Row(title, metric, skipped=reasons[name]))
                else:
                    rows.append(report.row_of_rounds(title, metric, cases[metric, name], kept))
        rows.append(self.auto_row(auto, cases, kept))
        for name, ours, theirs in measured:
            if ours == theirs:
                rows.append(self.whole_row(self.start_row, "start", SECONDS, once, ours))
                rows.append(self.whole_row(self.memory_row, "memory", MEMORY, once, ours))
        return rows, dropped, len(kept)

    def auto_case(self):
        """Oriel's cases at the precision it would choose itself."""
        self.auto_reason = ("not asked for (--precisions)" if "int8" not in
                            self.settings.precisions else self.oriel.why_not("auto"))
        return [] if self.auto_reason else self.scout(OURS, "auto")

    def auto_row(self, auto, cases, kept):
        title = "throughput, Oriel's own choice of precision against TensorFlow f32"
        reason = self.auto_reason
        if not reason and "tensorflow" not in cases[THROUGHPUT, "f32"]:
            reason = "TensorFlow is not among the peers"
        if reason:
            return report.Row(title, THROUGHPUT, skipped=reason)
        return report.row_of_rounds(
            title, THROUGHPUT,
            {OURS: auto, "tensorflow": cases[THROUGHPUT, "f32"]["tensorflow"]}, kept)

    def warm_up(self, cases):
        """Compiles everything before the first round."""
        for case in sorted(cases):
            if case.engine != OURS:
                self.tell(f"prepare: {case}")
                self.children.get(case.engine, case.precision, case.streams).ask(
                    {"do": "prepare", "batch": case.batch})


class OpenVinoOnce:
    """openvino_once.c, built."""

    def __init__(self, program, threads):
        self.program = program
        self.threads = threads

    def command(self, model, cache, precision, runs):
        file = model.files["openvino_int8_b1" if precision == "int8" else "openvino_b1"]
        hint = "f32" if precision in ("int8", "f32-exact") else precision
        return [self.program, file, cache or "-", hint, self.threads, runs,
                f"1x{model.size}x{model.size}x3"]
