"""The OpenAPI document against the server: schemathesis makes requests of it, valid and not,
and looks whether the answers are what the document says."""

import os
import pathlib
import subprocess
import sys

import harness
from harness import FLAGS, MODEL


class OpenApi(harness.ServerTestCase):
    FLAGS_OF_SERVER = ("--version-label", "stable=1")

    def test_schemathesis_finds_nothing(self):
        photo = (FLAGS.test_data / "photos/chelsea.png").resolve()
        here = pathlib.Path(__file__).resolve().parent
        done = subprocess.run(
            [pathlib.Path(sys.prefix) / "bin/schemathesis",
             "--config-file", here / "schemathesis.toml", "run",
             f"http://{self.http}/api/openapi.json", "--seed", "1", "--max-examples", "10",
             # Refused whatever is sent, as the document says.
             "--exclude-path-regex", ":regress$", "--no-color"],
            capture_output=True, text=True, cwd=self.folder.name,
            env=os.environ | {"SCHEMATHESIS_HOOKS": "openapi_hooks", "PYTHONPATH": str(here),
                              "ORIEL_TEST_MODEL": MODEL,
                              "ORIEL_TEST_PHOTO": str(photo)})
        lines = "\n".join(line[:300] for line in done.stdout.splitlines()[-400:])
        self.assertEqual(done.returncode, 0, lines + done.stderr)
        self.assertRegex(done.stdout, r"\b([1-9]\d{2,}) generated, \1 passed", lines)


if __name__ == "__main__":
    harness.main()
