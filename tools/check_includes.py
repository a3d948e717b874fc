#!/usr/bin/env python3
"""Checks that src/ includes only downwards, and that libraries stay behind their folder.

A folder may include itself and lower floors. Run from anywhere; exits 1 and names
each line that breaks a rule.
"""

import argparse
import pathlib
import re
import sys

# Floor by folder: higher may include lower, never the other way, never sideways
# except where listed in SIDEWAYS.
FLOORS = {
    "base": 1,
    "tensor": 1,
    "checkpoint": 2,
    "labels": 2,
    "image": 2,
    "records": 2,
    "graph": 3,
    "preprocessing": 3,
    "engine": 4,
    "nets": 4,
    "model": 5,
    "serving": 6,
    "cli": 7,
}
SIDEWAYS = {("tensor", "base")}

# Headers of a library, and the folders that may see them (their tests too).
FENCED = {
    r"(oneapi/dnnl/|dnnl)": ["engine/onednn"],
    r"boost/(beast|asio)": ["serving/http"],
    r"(grpc(pp)?/|.*\.grpc\.pb\.h)": ["serving/grpc"],
    r"prometheus/": ["serving"],
    r"(jpeglib|spng|webp/|gif_lib)": ["image"],
    r"(archive|curl/)": ["model"],
    r"CLI/": ["cli"],
    r"toml\+\+/": ["cli"],
    r"(leveldb/)": ["checkpoint"],
    r"(snappy)": ["checkpoint"],
}

INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]')


def main() -> int:
    argparse.ArgumentParser(description=__doc__,
                            formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    src = pathlib.Path(__file__).resolve().parent.parent / "src"
    errors = []
    checked = 0
    for path in sorted(src.rglob("*")):
        if path.suffix not in (".h", ".cc"):
            continue
        relative = path.relative_to(src)
        folder = relative.parts[0]
        if folder not in FLOORS:
            errors.append(f"src/{relative}: folder '{folder}' has no floor in tools/check_includes.py")
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            checked += 1
            where, header = f"src/{relative}:{number}", match.group(2)
            target = header.split("/")[0]
            if match.group(1) == '"' and target in FLOORS and target != folder:
                down = FLOORS[target] < FLOORS[folder]
                if not down and (folder, target) not in SIDEWAYS:
                    errors.append(f"{where}: {folder} (floor {FLOORS[folder]}) includes "
                                  f"{header} (floor {FLOORS[target]})")
            for pattern, allowed in FENCED.items():
                if re.match(pattern, header) and not any(
                        str(relative.parent).startswith(a) for a in allowed):
                    errors.append(f"{where}: <{header}> belongs in {' or '.join(allowed)} only")
    for error in errors:
        print(error)
    if checked == 0:
        print("no includes found: the check looks in the wrong place")
        return 1
    print(f"{checked} includes checked, {len(errors)} wrong")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
