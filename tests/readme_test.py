#!/usr/bin/env python3
"""README.md says what is true: its C++ is compiled code, its commands exist.

usage: readme_test.py ORIEL SOURCE_DIR
"""

import pathlib
import re
import subprocess
import sys
import unittest

ORIEL, ROOT = (pathlib.Path(path).resolve() for path in sys.argv[1:3])
README = (ROOT / "README.md").read_text()


class Readme(unittest.TestCase):
    def test_cpp_stands_in_an_example_that_is_built(self):
        examples = [path.read_text() for path in (ROOT / "examples").glob("*.cc")]
        blocks = re.findall(r"```cpp\n(.*?)```", README, re.DOTALL)
        self.assertTrue(blocks)
        for block in blocks:
            self.assertTrue(any(block in example for example in examples), block)

    def test_the_table_of_subcommands_is_complete(self):
        text = subprocess.run([ORIEL, "--help"], check=True, capture_output=True,
                              text=True).stdout
        known = re.findall(r"^  ([a-z][a-z-]+) ", text[text.index("Subcommands:"):],
                           re.MULTILINE)
        shown = re.findall(r"^\| `oriel ([a-z-]+)", README, re.MULTILINE)
        self.assertEqual(sorted(shown), sorted(known))

    def test_links_lead_somewhere(self):
        for document in [ROOT / "README.md", ROOT / "ARCHITECTURE.md",
                         *(ROOT / "docs").rglob("*.md")]:
            for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text()):
                self.assertTrue((document.parent / target).exists(), f"{document}: {target}")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
