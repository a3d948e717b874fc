#!/usr/bin/env python3
"""Compares `oriel classify` with known answers on a folder of photos.

    tools/evaluate_photos.py --photos DIR --labels DIR/labels.tsv \\
        --golden efficientnet_lite2_eval.json --model efficientnet_lite2

--labels: lines of file, tab, class index (ascending WordNet ids from 0; the model's
class offset is added). --golden: rows {"file", "label", KEY: [top-5 indices]} of an
independent program on the same photos (it may have more of them). Prints accuracy of
both and how often the first answers agree; exits 1 when they agree on fewer than
--min-agreement, or the accuracies differ by more than one photo.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent


def read_labels(path: pathlib.Path) -> dict[str, int]:
    rows = (line.split("\t") for line in path.read_text().splitlines() if line)
    return {name: int(index) for name, index in rows}


def read_golden(path: pathlib.Path, key: str | None) -> dict[str, list[int]]:
    rows = json.loads(path.read_text())["rows"]
    key = key or next(k for k in rows[0] if k not in ("file", "label"))
    return {row["file"]: row[key] for row in rows}


def classify(args: argparse.Namespace, files: list[pathlib.Path]) -> dict[str, list[int]]:
    command = [args.oriel, "classify", "--json", "--no-exif", "--model", args.model,
               "--model-dir", args.model_dir, "--batch", str(args.batch),
               "--precision", args.precision, *files]
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    answers = {}
    for line in result.stdout.splitlines():
        row = json.loads(line)
        name = pathlib.Path(row["file"]).name
        if "error" in row:
            print(f"{name}: {row['error']}")
        else:
            answers[name] = [entry["index"] for entry in row["top"]]
    if result.returncode != 0:
        print(f"oriel classify exited with {result.returncode}")
    return answers


def class_offset(args: argparse.Namespace) -> int:
    versions = pathlib.Path(args.model_dir, args.model).glob("[0-9]*/oriel.json")
    newest = max(versions, key=lambda path: int(path.parent.name))
    return json.loads(newest.read_text())["classes"]["offset"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=pathlib.Path, required=True)
    parser.add_argument("--labels", type=pathlib.Path, required=True)
    parser.add_argument("--golden", type=pathlib.Path)
    parser.add_argument("--golden-key", help="default: the first one")
    parser.add_argument("--model", default="efficientnet_lite2")
    parser.add_argument("--model-dir", default="models")
    parser.add_argument("--oriel", default=str(ROOT / "build/release/src/cli/oriel"))
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--precision", default="f32")
    parser.add_argument("--min-agreement", type=float, default=0.98)
    args = parser.parse_args()

    labels = read_labels(args.labels)
    files = [args.photos / name for name in labels if (args.photos / name).exists()]
    if not files:
        print(f"{args.photos}: none of the files of {args.labels}")
        return 1
    offset = class_offset(args)
    begin = time.monotonic()
    answers = {name: [index - offset for index in top]
               for name, top in classify(args, files).items()}
    seconds = time.monotonic() - begin

    names = [path.name for path in files]
    missing = [name for name in names if name not in answers]
    count = len(names)
    top1 = sum(answers.get(name, [-1])[0] == labels[name] for name in names)
    top5 = sum(labels[name] in answers.get(name, [])[:5] for name in names)
    print(f"{args.model}: {count} photos in {seconds:.1f} s")
    print(f"  oriel:     top-1 {top1} ({top1 / count:.1%}), top-5 {top5} ({top5 / count:.1%})")
    if args.golden is None:
        return 1 if missing else 0

    golden = read_golden(args.golden, args.golden_key)
    shared = [name for name in names if name in golden]
    golden_top1 = sum(golden[name][0] == labels[name] for name in shared)
    golden_top5 = sum(labels[name] in golden[name] for name in shared)
    ours_top1 = sum(answers.get(name, [-1])[0] == labels[name] for name in shared)
    agree = sum(answers.get(name, [-1])[0] == golden[name][0] for name in shared)
    same_five = sum(answers.get(name, [])[:5] == golden[name] for name in shared)
    print(f"  reference: top-1 {golden_top1} ({golden_top1 / len(shared):.1%}), "
          f"top-5 {golden_top5} ({golden_top5 / len(shared):.1%}) of {len(shared)}")
    print(f"  same first answer: {agree} of {len(shared)} ({agree / len(shared):.1%}); "
          f"same five in order: {same_five}")
    for name in shared:
        if answers.get(name, [-1])[0] != golden[name][0]:
            print(f"  {name}: {answers.get(name)} against {golden[name]}, is {labels[name]}")
    good = agree >= args.min_agreement * len(shared) and abs(ours_top1 - golden_top1) <= 1
    return 0 if good and not missing else 1


if __name__ == "__main__":
    sys.exit(main())
