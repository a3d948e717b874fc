"""The rows of the result, README's table and the history. Pure, but for write()."""

import dataclasses
import pathlib
import statistics

from harness.ratios import best_case, compare

OURS = "oriel"


@dataclasses.dataclass
class Row:
    """One comparison. Values are by engine, one a round (or repetition), in step."""
    title: str
    metric: object
    values: dict = dataclasses.field(default_factory=dict)
    settings: dict = dataclasses.field(default_factory=dict)  # engine -> "batch 8, 2 streams"
    skipped: str = ""  # why there are no values

    def median(self, engine):
        return statistics.median(self.values[engine])

    def ratio(self, peer):
        return compare(self.metric, self.values[OURS], self.values[peer])

    def peers(self):
        return [engine for engine in self.values if engine != OURS]

    def best_peer(self):
        best = max if self.metric.higher_is_better else min
        return best(self.peers(), key=self.median, default=None)


def row_of_rounds(title, metric, cases, rounds):
    """`cases`: by engine those that it may choose from; it gets its best."""
    row = Row(title, metric)
    for engine, choice in cases.items():
        case = best_case(metric, choice, rounds)
        row.values[engine] = [metric.of(r.slices[case]) for r in rounds]
        streams = f"{case.streams} stream{'s' if case.streams > 1 else ''}"
        row.settings[engine] = f"{case.precision}, batch {case.batch}, {streams}"
    return row


def number(value):
    """Three significant digits, or all before the point."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def times(value):
    return f"{value:.2f}x"


def markdown(header, rows):
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def readme_table(rows, titles):
    """`titles`: by engine, Oriel's first. A cell of a peer: its median, and how many times
    better Oriel is."""
    present = [e for e in titles if any(e in row.values for row in rows)]
    body = []
    for row in rows:
        if row.skipped:
            continue
        cells = [f"{row.title}, {row.metric.unit}"]
        for engine in present:
            if engine not in row.values:
                cells.append("")
            elif engine == OURS:
                cells.append(f"**{number(row.median(engine))}**")
            else:
                cells.append(f"{number(row.median(engine))} ({times(row.ratio(engine).median)})")
        best = row.best_peer()
        cells.append(f"**{times(row.ratio(best).median)}**" if best else "")
        body.append(cells)
    table = markdown(["", *(titles[e] for e in present), "Oriel against the best"], body)
    skipped = [f"- {row.title}: not measured: {row.skipped}" for row in rows if row.skipped]
    return "\n\n".join([table] + (["\n".join(skipped)] if skipped else []))


def history_table(rows, titles):
    body = []
    for row in rows:
        if row.skipped:
            body.append([row.title, "", "", "", "", f"not measured: {row.skipped}"])
            continue
        for engine, values in row.values.items():
            ratio = "" if engine == OURS else row.ratio(engine)
            body.append([
                row.title, titles[engine], row.settings.get(engine, ""),
                f"{number(row.median(engine))} {row.metric.unit}",
                f"{number(min(values))}..{number(max(values))}",
                ratio and f"{times(ratio.median)} ({times(ratio.least)}..{times(ratio.most)})"])
    return markdown(["what", "engine", "setting", "median", "range",
                     "Oriel is better by (range over rounds)"], body)


def agreement_table(agreements, titles):
    """`agreements`: {(engine, precision): Agreement or None for the reference}."""
    body = []
    for (engine, precision), measured in agreements.items():
        if measured is None:
            body.append([titles[engine], precision, "the reference", "", ""])
        else:
            body.append([titles[engine], precision, f"{measured.worst:.2e}", f"{measured.rms:.2e}",
                         f"{measured.same_first} of {measured.images}"])
    return markdown(["engine", "precision", "largest difference", "rms", "same first class"], body)


def replace_between(text, name, content):
    """`text` with what stands between the markers of `name` replaced."""
    begin, end = (f"<!-- bench:{name}:{edge} -->" for edge in ("begin", "end"))
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
        raise ValueError(f"want one {begin} before one {end}")
    before, rest = text.split(begin)
    return f"{before}{begin}\n{content}\n{end}{rest.split(end)[1]}"


def write(readme, history, name, table, entry):
    """Both files, or neither when README has no such markers. The newest run comes first
    in the history, after the introduction (up to the first line that is "---")."""
    readme, history = pathlib.Path(readme), pathlib.Path(history)
    new_readme = replace_between(readme.read_text(), name, table)
    head, rule, runs = history.read_text().partition("\n---\n")
    if not rule:
        raise ValueError(f"{history} has no line ---")
    history.write_text(f"{head}{rule}\n{entry.strip()}\n{runs}")
    readme.write_text(new_readme)
