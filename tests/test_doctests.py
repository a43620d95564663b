"""The examples in docstrings run as written: all of the package but the command line."""

import doctest
import importlib
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "myoperf"
FILES = [
    file
    for file in sorted(PACKAGE.rglob("*.py"))
    if file.relative_to(PACKAGE).parts[0] != "cli" and ">>> " in file.read_text(encoding="utf-8")
]
NAMES = [".".join(("myoperf", *file.relative_to(PACKAGE).with_suffix("").parts)) for file in FILES]
"""Modules with examples; those that need a patient's files are marked to be skipped, one by one."""


@pytest.mark.parametrize(("name", "file"), [*zip(NAMES, FILES, strict=True)], ids=NAMES)
def test_examples_in_docstrings_hold(name, file):
    module = importlib.import_module(name.removesuffix(".__init__"))
    result = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
    text = file.read_text(encoding="utf-8")
    examples, skipped = text.count(">>> "), text.count("# doctest: +SKIP")
    assert result.failed == 0
    assert result.attempted == examples - skipped, "an example is not in a docstring, so that nothing runs it"


def test_packages_have_examples():
    with_examples = {name.split(".")[1] for name in NAMES}
    assert {"flow", "geometry", "io", "perfusion", "segments", "stats", "types"} <= with_examples
