"""The command line as a shell runs it, but in this process: starting Python takes longer than most commands."""

import io
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout

from myoperf.cli.main import run


def run_command(*words: object) -> subprocess.CompletedProcess[str]:
    """Run ``myoperf WORDS`` and return its exit code and what it wrote."""
    given, out, err, code = sys.argv, io.StringIO(), io.StringIO(), 0
    sys.argv = ["myoperf", *map(str, words)]
    try:
        with redirect_stdout(out), redirect_stderr(err):
            run()
    except SystemExit as stop:
        code = int(stop.code or 0)
    finally:
        sys.argv = given
    return subprocess.CompletedProcess(sys.argv, code, out.getvalue(), err.getvalue())
