"""The house rule that no function is too long or takes too many arguments, and that no import runs in a circle."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def house(what):
    words = [sys.executable, ROOT / "benchmarks/house.py", what]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)


def test_no_function_is_too_long_or_takes_too_many_arguments():
    done = house("functions")
    assert (done.returncode, done.stdout.strip()) == (0, "none"), done.stdout + done.stderr


def test_no_import_runs_in_a_circle():
    assert house("graph").stdout.splitlines()[-1] == "circle: none"
