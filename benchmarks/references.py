"""Reference values of what the `myoperf` command writes, to show that a restructured package measures the same.

    python benchmarks/references.py capture --inputs runs/reference-inputs
    python benchmarks/references.py compare --inputs runs/reference-inputs [--only NAME ...] [--page]

`capture` analyses real and simulated studies and writes the values of every stage to ``docs/references/``. `compare`
does the same again and reports each difference; its exit code is 1 if one is above tolerance, and `--page` writes
``docs/references.md``. Both use the command line and the files it writes, no module of the package, and so run
unchanged against any version: ``--myoperf`` is the command, ``PYTHONPATH`` the package it loads. ``--inputs`` keeps
the simulated studies and reuses those it finds: a version whose simulator is meant to differ is compared on the
inputs of the captured version (and without the checks ``inputs-...``).

Runs are pinned to single precision, one thread and AVX2 in torch, so that processors agree to round-off.

Not covered here, because tests hold them: the Medical Transformer's pinned output (``test_mit.py`` with
``mit_original.npz``), and resumed runs and checkpoints (``test_lv_recipe.py``, ``test_unimiss.py``,
``test_slice_cases.py``, ``test_polar_recipe.py``, ``test_two_stage.py``, ``test_label_strategies.py``,
``test_multi_branch_study.py``, ``test_ms_st_unet_study.py``).
"""

from __future__ import annotations

import argparse
import difflib
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from reference_stages import Stages, describe_inputs, describe_results, put, put_value, unpack_mask

ROOT = Path(__file__).resolve().parents[1]
FOLDER, PAGE = ROOT / "docs" / "references", ROOT / "docs" / "references.md"
REAL = ROOT / ".." / "shared" / "real"
TOLERANCE = 2e-5
"""Largest difference allowed, relative to the largest magnitude of the list that a number stands in."""
SMALLEST_SCALE = 1e-3
"""Lists of smaller magnitude are compared relative to this."""
ANALYZE = ("--engine", "float32", "--overwrite", "--quiet", "--formats")
ALL_FORMATS, WITHOUT_DICOM = "json,nifti,polar,dicom", "json,nifti,polar"
PINNED = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "PYTHONHASHSEED": "0",
    "COLUMNS": "100",
    "NO_COLOR": "1",
    "TERM": "dumb",
    "LC_ALL": "C.UTF-8",
}


@dataclass(frozen=True)
class Study:
    """One analysis; files are relative to the simulated inputs where `simulated`, else to the real studies."""

    files: tuple[str, ...]
    simulated: bool = False
    formats: str = ALL_FORMATS
    options: tuple[str, ...] = ()


_RAW, _MPS, _SPECT = "ge_projections/stress_tomo.dcm", "physionet_mps/dicom", "spect/patient-0001/dicom"
STUDIES = {
    "real-raw": Study((_RAW,)),
    "real-raw-classical": Study((_RAW,), formats=WITHOUT_DICOM, options=("--lv", "classical")),
    "real-rest": Study((f"{_MPS}/P01_ReconRest.dcm",)),
    "real-hot-gut": Study((f"{_MPS}/P44_ReconRest.dcm",), formats=WITHOUT_DICOM),
    "real-stress-gate": Study((f"{_MPS}/P17_ReconStress_gate.dcm",), formats=WITHOUT_DICOM),
    "real-stress-prone": Study((f"{_MPS}/P20_ReconStress_pron.dcm",), formats=WITHOUT_DICOM),
    "real-rest-prone": Study((f"{_MPS}/P46_ReconRest_prone.dcm",), formats=WITHOUT_DICOM),
    "real-pair": Study((f"{_MPS}/P32_ReconRest.dcm", f"{_MPS}/P32_ReconStress_gate.dcm")),
    "spect-raw": Study((f"{_SPECT}/stress_tomo.dcm", f"{_SPECT}/rest_tomo.dcm"), simulated=True),
    "spect-reconstructed": Study((f"{_SPECT}/stress_recon.dcm", f"{_SPECT}/rest_recon.dcm"), simulated=True),
    "czt": Study(("czt/patient-0001/dicom",), simulated=True),
    "pet-static": Study(("pet/patient-0001/dicom",), simulated=True),
    "pet-dynamic": Study(("pet-dynamic",), simulated=True, formats=WITHOUT_DICOM),
}
SIMULATIONS = {
    "spect": ("1", "--seed", "11", "--reconstructed"),
    "czt": ("1", "--seed", "11", "--modality", "czt"),
    "pet": ("1", "--seed", "11", "--modality", "pet", "--gates", "1"),
    "arrays": ("2", "--seed", "11", "--fast", "--as", "arrays"),
    "pet-dynamic": (),
}
"""Arguments of ``myoperf simulate``; the dynamic study is written by what the tests share."""
_DYNAMIC = (
    "import sys, pathlib; from support import dynamic_pet as d; out = pathlib.Path(sys.argv[1]);"
    "[d.write(out / s, d.activity(a), s, number=n) for n, s, a in ((1, 'stress', d.STRESS), (2, 'rest', d.REST))]"
)
CHECKS = (*STUDIES, *(f"inputs-{name}" for name in SIMULATIONS), "package")


@dataclass(frozen=True)
class Setup:
    """The command under test, its interpreter, and where simulated inputs and results go."""

    myoperf: Path
    python: Path
    inputs: Path
    results: Path


def execute(program: str | Path, *arguments: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a program in the pinned environment and capture what it prints."""
    environment = {**os.environ, **PINNED, **variables}
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=False, env=environment)


def printed(program: str | Path, *arguments: str | Path, **variables: str) -> str:
    """Return what a program printed; stop if it failed."""
    done = execute(program, *arguments, **variables)
    if done.returncode:
        words = " ".join(str(word) for word in (program, *arguments))
        raise SystemExit(f"{words}: exit code {done.returncode}\n{done.stderr[-2000:]}")
    return done.stdout


def package_folder(python: Path, **variables: str) -> Path:
    """Return the folder of the package that an interpreter loads."""
    find = "import importlib.util as u; print(u.find_spec('myoperf').submodule_search_locations[0])"
    return Path(printed(python, "-c", find, **variables).strip())


def make_inputs(setup: Setup, name: str) -> Path:
    """Return the folder of a simulated cohort, and simulate it if it is not there."""
    folder = setup.inputs / name
    if folder.exists():
        return folder
    with tempfile.TemporaryDirectory(dir=setup.inputs) as scratch:
        partial = Path(scratch) / name
        if name == "pet-dynamic":
            path = os.pathsep.join(filter(None, (str(ROOT / "tests"), os.environ.get("PYTHONPATH"))))
            printed(setup.python, "-c", _DYNAMIC, partial, PYTHONPATH=path)
        else:
            printed(setup.myoperf, "simulate", *SIMULATIONS[name], "-o", partial, "--quiet")
        partial.rename(folder)
    return folder


def analyze_study(setup: Setup, name: str) -> Stages:
    """Analyse one study and return the stages of what was written."""
    study, out = STUDIES[name], setup.results / name
    if study.simulated:
        make_inputs(setup, Path(study.files[0]).parts[0])
    paths = [(setup.inputs if study.simulated else REAL) / file for file in study.files]
    done = execute(setup.myoperf, "analyze", *paths, "-o", out, *ANALYZE, study.formats, *study.options)
    stages: Stages = {} if done.returncode else describe_results(out)
    put(stages, "run", "exact", "exit code", done.returncode)
    put(stages, "run", "exact" if done.returncode else "messages", "errors", done.stderr.splitlines())
    return stages


def help_texts(setup: Setup, *words: str) -> dict[str, list[str]]:
    """Return the help of a command and of all its sub-commands, by command."""
    lines = [line.rstrip() for line in printed(setup.myoperf, *words, "--help").splitlines()]
    texts = {" ".join(("myoperf", *words)): lines}
    for name in re.findall(r"^(?:│| ) ([a-z][a-z-]*)", "\n".join(lines).partition("Commands")[2], re.MULTILINE):
        texts |= help_texts(setup, *words, name)
    return texts


def shipped_files(package: Path) -> list[str]:
    """Return SHA-256 and name of the weights and normal limits, wherever in the package they lie."""
    files = [file for ending in ("safetensors", "npz") for file in package.rglob(f"*.{ending}")]
    return sorted(f"{hashlib.sha256(file.read_bytes()).hexdigest()} {file.name}" for file in files)


def describe_package(setup: Setup) -> Stages:
    """Return help texts, shipped files and normal limits (also of an installed wheel), and the list of backbones."""
    stages: Stages = {}
    for name, lines in help_texts(setup).items():
        put(stages, f"help of {name}", "exact", "text", lines)
    package = package_folder(setup.python)
    put(stages, "shipped files", "exact", "hashes", shipped_files(package))
    put(stages, "normal limits", "exact", "text", printed(setup.myoperf, "normals", "show").splitlines())
    with tempfile.TemporaryDirectory() as scratch:
        wheels, target = Path(scratch) / "wheels", Path(scratch) / "target"
        source = next((folder for folder in package.parents if (folder / "pyproject.toml").exists()), ROOT)
        pip = ("-m", "pip", "--quiet", "--disable-pip-version-check", "--no-cache-dir")
        printed(setup.python, *pip, "wheel", "--no-deps", "--wheel-dir", wheels, source)
        printed(setup.python, *pip, "install", "--no-deps", "--target", target, *wheels.glob("*.whl"))
        installed = package_folder(setup.python, PYTHONPATH=str(target))
        if not installed.is_relative_to(target):
            raise SystemExit("The interpreter does not load the installed wheel but another package.")
        put(stages, "shipped files of the wheel", "exact", "hashes", shipped_files(installed))
        shown = printed(target / "bin" / "myoperf", "normals", "show", PYTHONPATH=str(target))
        put(stages, "normal limits of the wheel", "exact", "text", shown.splitlines())
    for row in json.loads(printed(setup.myoperf, "study", "two-stage", "--list", "--json")):
        put_value(stages, "backbones", row.pop("name"), row)
    return stages


def run_check(setup: Setup, name: str) -> Stages:
    """Return the stages of one of `CHECKS`, its numbers with nine significant digits."""
    if name == "package":
        stages = describe_package(setup)
    elif name.startswith("inputs-"):
        stages = describe_inputs(make_inputs(setup, name.removeprefix("inputs-")))
    else:
        stages = analyze_study(setup, name)
    return rounded(stages)


def rounded(value: Any) -> Any:
    """Return a JSON value with nine significant digits of every number."""
    if isinstance(value, dict):
        return {key: rounded(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [rounded(entry) for entry in value]
    return float(f"{value:.9g}") if isinstance(value, float) else value


def write_stages(stages: Stages, file: Path) -> None:
    """Write stages as JSON, one line a key."""

    def text(value: Any, level: int) -> str:
        if level == 3 or not isinstance(value, dict):
            return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        lines = [f"{' ' * (level + 1)}{json.dumps(key)}: {text(entry, level + 1)}" for key, entry in value.items()]
        return "{\n" + ",\n".join(lines) + "\n" + " " * level + "}"

    file.write_text(text(stages, 0) + "\n", encoding="utf-8")


@dataclass
class Row:
    """Differences of one stage: the largest of its numbers, voxels of its labels, and every reason to fail."""

    check: str
    stage: str
    absolute: float = 0.0
    relative: float = 0.0
    voxels: int = 0
    problems: list[str] = field(default_factory=list)


def compare_check(name: str, now: Stages, options: argparse.Namespace) -> list[Row]:
    """Compare every stage of one check with its reference."""
    was: Stages = json.loads((options.references / f"{name}.json").read_text(encoding="utf-8"))
    rows = [Row(name, stage) for stage in was] + [Row(name, s) for s in now if s not in was and not options.allow_new]
    for row in rows:
        if row.stage not in now or row.stage not in was:
            row.problems.append("the whole stage is missing" if row.stage in was else "a new stage")
        else:
            compare_stage(row, was[row.stage], now[row.stage], options)
    return rows


def compare_stage(row: Row, was: dict[str, Any], now: dict[str, Any], options: argparse.Namespace) -> None:
    """Compare one stage, section by section."""
    for section in ("numbers", "exact", "masks", *(["messages"] if options.messages else [])):
        old, new = was.get(section, {}), now.get(section, {})
        row.problems += [f"missing: {key}" for key in old if key not in new]
        row.problems += [f"new: {key}" for key in new if key not in old and not options.allow_new]
        for key in (key for key in old if key in new):
            if section == "numbers":
                compare_numbers(row, key, old[key], new[key], options.tolerance)
            elif section == "masks":
                compare_masks(row, key, old[key], new[key])
            elif old[key] != new[key]:
                row.problems += [f"{key}: {line}" for line in changed_lines(old[key], new[key], options.allow_new)]


def compare_numbers(row: Row, key: str, old: Any, new: Any, tolerance: float) -> None:
    """Compare a number or a list of numbers, relative to the largest magnitude of the reference."""
    was, now = (np.atleast_1d(np.array(value, dtype=np.float64)) for value in (old, new))
    if was.shape != now.shape or (np.isnan(was) != np.isnan(now)).any():
        row.problems.append(f"{key}: other positions are null, or {was.size} numbers have become {now.size}")
        return
    apart = float(np.nanmax(np.abs(was - now), initial=0.0))
    relative = apart / max(float(np.nanmax(np.abs(was), initial=0.0)), SMALLEST_SCALE)
    row.absolute, row.relative = max(row.absolute, apart), max(row.relative, relative)
    if relative > tolerance:
        row.problems.append(f"{key}: off by {apart:.3g}, {relative:.1e} of its scale")


def compare_masks(row: Row, key: str, old: dict[str, Any], new: dict[str, Any]) -> None:
    """Count the voxels whose label differs; all of them where the shapes do."""
    was, now = unpack_mask(old), unpack_mask(new)
    differing = int((was != now).sum()) if was.shape == now.shape else was.size
    row.voxels += differing
    if differing:
        row.problems.append(f"{key}: {differing} differ; counts were {old['counts']}, are {new['counts']}")


def changed_lines(old: Any, new: Any, allow_new: bool) -> list[str]:
    """Return the lines that a list lost (-) and gained (+), or the two values."""
    if not (isinstance(old, list) and isinstance(new, list)):
        return [f"was {old!r}, is {new!r}"]
    diff = list(difflib.unified_diff([str(line) for line in old], [str(line) for line in new], lineterm="", n=0))
    return [line for line in diff[2:] if line.startswith("-" if allow_new else ("-", "+"))]


def print_rows(rows: Sequence[Row]) -> None:
    """Print a line for each stage, and below it up to twelve reasons to fail."""
    for row in rows:
        verdict = "FAIL" if row.problems else "pass"
        print(f"{verdict}  {row.check:20s}{row.stage:44s}{row.absolute:10.3g}{row.relative:10.1e}{row.voxels:8d}")
        for problem in row.problems[:12]:
            print(f"        {problem}")
        if len(row.problems) > 12:
            print(f"        and {len(row.problems) - 12} more")


def describe_version(setup: Setup) -> dict[str, str]:
    """Return version and commit of the package under test, and versions of the libraries that do its arithmetic."""
    package = package_folder(setup.python)
    commit = execute("git", "-C", package, "log", "-1", "--format=%h, %cs", "--", ".").stdout.strip()
    changed = execute("git", "-C", package, "status", "--porcelain", "--", ".").stdout.strip()
    version = (
        printed(setup.myoperf, "--version").strip() + f" ({commit or 'installed'}{', changed' if changed else ''})"
    )
    return {"version": version, **{name: metadata.version(name) for name in ("numpy", "scipy", "numba", "torch")}}


def write_page(rows: Sequence[Row], captured: dict[str, str], now: dict[str, str], tolerance: float) -> None:
    """Write the result page: a line for each check."""
    text = f"""# The package measures what it measured

    python benchmarks/references.py compare --page

wrote this page. References ([references/](references/)): {captured["version"]}. Compared with them: {now["version"]}.
Both through the command line: the files that `analyze` writes of real and simulated studies, the simulated inputs,
help texts, weights and normal limits (also of an installed wheel) and the list of backbones. A number passes within
{tolerance:g} of the largest magnitude of its list; labels, codes, keys and texts must be equal. A help text that was
rewritten on purpose fails all the same: only its words changed. From version 0.3.0 on, what is measured of a heart
changes on purpose too, and each change has a table of its own in the [changelog](../CHANGELOG.md) or on its page.

| check | stages | largest relative difference | voxels that differ | stages that fail |
|---|---|---|---|---|
"""
    for check in dict.fromkeys(row.check for row in rows):
        own = [row for row in rows if row.check == check]
        failed = ", ".join(f"`{row.stage}`" for row in own if row.problems) or "none"
        worst, voxels = max(row.relative for row in own), sum(row.voxels for row in own)
        text += f"| {check} | {len(own)} | {worst:.1e} | {voxels} | {failed} |\n"
    PAGE.write_text(text, encoding="utf-8")


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Capture reference values of the myoperf command, or compare.")
    parser.add_argument("action", choices=("capture", "compare"))
    parser.add_argument("--only", action="append", choices=CHECKS, help="one check; may be repeated")
    beside = Path(sys.executable).parent / "myoperf"
    parser.add_argument("--myoperf", type=Path, default=beside, help="the command; default: beside this interpreter")
    parser.add_argument("--inputs", type=Path, help="folder that keeps the simulated inputs; those there are reused")
    parser.add_argument("--results", type=Path, help="folder that keeps what analyze writes")
    parser.add_argument("--references", type=Path, default=FOLDER)
    parser.add_argument("--tolerance", type=float, default=TOLERANCE)
    parser.add_argument("--messages", action="store_true", help="compare sentences too")
    parser.add_argument("--allow-new", action="store_true", help="new stages, keys, codes and lines do not fail")
    parser.add_argument("--page", action="store_true", help="write docs/references.md")
    return parser.parse_args()


def main() -> None:
    """Run the checks one after another; write or compare their values."""
    options = parse_arguments()
    os.nice(5)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as scratch:
        folders = (options.inputs or Path(scratch) / "inputs", options.results or Path(scratch) / "results")
        for folder in (*folders, options.references):
            folder.mkdir(parents=True, exist_ok=True)
        beside = options.myoperf.absolute().parent / "python"
        python = beside if beside.exists() else Path(sys.executable)
        setup = Setup(options.myoperf.absolute(), python, *(folder.absolute() for folder in folders))
        now = describe_version(setup)
        print(now["version"])
        for name in options.only or CHECKS:
            start, worked = time.monotonic(), os.times().children_user
            stages = run_check(setup, name)
            wall, worked = time.monotonic() - start, os.times().children_user - worked
            print(f"{name}: {len(stages)} stages, {wall:.0f} s ({worked:.0f} s of processor time)", flush=True)
            if options.action == "compare":
                found = compare_check(name, stages, options)
                print_rows(found)
                rows += found
            elif stages.get("run", {}).get("exact", {}).get("errors"):
                raise SystemExit("\n".join(stages["run"]["exact"]["errors"]))
            else:
                write_stages(stages, options.references / f"{name}.json")
    captured = options.references / "captured.json"
    if options.action == "capture":
        captured.write_text(json.dumps(now, indent=1) + "\n", encoding="utf-8")
        return
    if options.page:
        write_page(rows, json.loads(captured.read_text(encoding="utf-8")), now, options.tolerance)
    failed = sum(bool(row.problems) for row in rows)
    print(f"{len(rows) - failed} stages pass, {failed} fail; tolerance {options.tolerance:g}")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
