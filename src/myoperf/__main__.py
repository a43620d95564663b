"""``python -m myoperf``: the same as the command ``myoperf``."""

from myoperf.cli.main import run

run()
