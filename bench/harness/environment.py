"""The peers' virtual environment, and what this machine is."""

import os
import pathlib
import platform
import re
import shutil
import subprocess

BENCH = pathlib.Path(__file__).resolve().parent.parent

# What the speed of kernels hangs on, in /proc/cpuinfo's words.
FLAGS = ("avx2", "fma", "f16c", "avx_vnni", "avx512f", "avx512bw", "avx512_vnni",
         "avx512_bf16", "avx512_fp16", "amx_tile", "amx_bf16", "amx_int8")


def make_venv(directory, tell):
    """Makes the environment of requirements.txt unless it is there. Returns its python."""
    directory = pathlib.Path(directory)
    python = directory / "bin/python"
    requirements = BENCH / "requirements.txt"
    stamp = directory / ".complete"
    if stamp.exists() and stamp.read_text() == requirements.read_text():
        return python
    tell(f"making the peers' virtual environment in {directory} (about 2 GB)")
    shutil.rmtree(directory, ignore_errors=True)
    subprocess.run(["python3", "-m", "venv", directory], check=True)
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "-r", requirements], check=True)
    alone = re.findall(r"^# --no-deps (\S+)$", requirements.read_text(), re.MULTILINE)
    subprocess.run([*pip, "--no-deps", *alone], check=True)
    stamp.write_text(requirements.read_text())
    return python


def build_openvino_once(python, directory):
    """Builds openvino_once.c against the environment's OpenVINO. Returns the program."""
    program = pathlib.Path(directory) / "openvino_once"
    source = BENCH / "openvino_once.c"
    home = next(pathlib.Path(python).parent.parent.glob("lib/python*/site-packages/openvino"))
    library = next((home / "libs").glob("libopenvino_c.so*"))
    runs_here = program.exists() and str(home / "libs").encode() in program.read_bytes()
    if not runs_here or program.stat().st_mtime < max(
            source.stat().st_mtime, library.stat().st_mtime):
        subprocess.run(["cc", "-O2", "-o", program, source, "-I", home / "include", library,
                        f"-Wl,-rpath,{home / 'libs'}"], check=True)
    return program


def cpu_info():
    """(model name, the flags of FLAGS that it has)."""
    text = pathlib.Path("/proc/cpuinfo").read_text()
    def field(key):
        found = re.search(rf"^{key}\s*: (.*)$", text, re.MULTILINE)
        return found[1].strip() if found else ""
    present = set(field("flags").split())
    family = " ".join(f"{key} {field(key)}" for key in ("cpu family", "model"))
    return f"{field('model name') or platform.machine()} ({family})", \
        [f for f in FLAGS if f in present]


def why_no_bf16(flags):
    """None where the CPU computes bf16, else the reason."""
    if "avx512_bf16" in flags or "amx_bf16" in flags:
        return None
    return "the CPU has neither AVX512-BF16 nor AMX"


def commit():
    """The commit of the source tree; "-dirty" when it is changed."""
    def git(*args):
        return subprocess.run(["git", "-C", BENCH, *args], capture_output=True, text=True,
                              check=False).stdout.strip()
    return git("describe", "--always", "--dirty", "--exclude=*") or "unknown"


def child_environment(threads):
    """The same for every engine: as many OpenMP threads as it may use."""
    env = {k: v for k, v in os.environ.items()
           if not k.startswith(("OMP_", "KMP_", "GOMP_", "DNNL_", "ONEDNN_", "TF_"))}
    return env | {"OMP_NUM_THREADS": str(threads), "PYTHONDONTWRITEBYTECODE": "1"}
