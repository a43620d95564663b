"""Every code block of the manual's new pages, and of the README, runs as a reader would run it, page by page.

Analyses do without intervals and write JSON alone, and `demo` simulates volumes instead of raw views: what that leaves
out is tested elsewhere, and takes minutes. What cannot run in a test (installing, containers, a server that never ends)
is checked word by word.
"""

import configparser
import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from myoperf import CohortOptions, Options, Protocol
from myoperf.phantom import cohort as simulation
from myoperf.phantom.records import PopulationOptions
from support.command import run_command
from test_docs_names import OPTION, options_of

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    *sorted(path for folder in ("start", "concepts", "howto") for path in (ROOT / "docs" / folder).glob("*.md")),
    *(
        ROOT / "docs" / f"{name}.md"
        for name in ("index", "files", "limits", "cite", "evidence", "comparison", "papers")
    ),
]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXTRAS = re.findall(r"^(\w+) = \[$", (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
FAST = CohortOptions(fast=True, protocol=Protocol(gates=8))


def blocks(page: Path) -> list[tuple[str, str]]:
    """Return the language and the text of each code block."""
    return BLOCK.findall(page.read_text(encoding="utf-8"))


def polar_maps(folder: Path) -> None:
    """Write a table of maps to train on, and one of others."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    rows = []
    for index in range(26):
        values = 1 + 0.05 * rng.standard_normal((24, 72))
        values[:, 10:30] *= 1 - 0.6 * (index % 2)
        np.save(folder / f"{index}.npy", values.astype(np.float32))
        rows.append({"patient": f"P{index}", "map": f"{index}.npy", "label": index % 2})
    pd.DataFrame(rows[:20]).to_csv(folder / "table.csv", index=False)
    pd.DataFrame(rows[20:]).to_csv(folder / "others.csv", index=False)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """Folders that the pages name: a patient's raw files, a first study, some studies, normal patients, maps."""
    folder = tmp_path_factory.mktemp("manual")
    with pytest.MonkeyPatch.context() as patch:
        made = simulation.simulate_cohort
        patch.setattr(simulation, "simulate_cohort", lambda n, out, seed: made(n, out, seed=seed, options=FAST))
        few_draws(patch, 3)
        assert run_command("demo", "-o", folder / "first-study", "-q").returncode == 0
    raw = CohortOptions(protocol=Protocol(gates=1, views=30))
    simulation.simulate_cohort(1, folder / "raw", seed=3, options=raw)
    (folder / "raw" / "patient-0001" / "dicom").rename(folder / "patient")
    simulation.simulate_cohort(2, folder / "two", seed=4, options=CohortOptions(fast=True, protocol=Protocol(gates=1)))
    for patient in ("patient-0001", "patient-0002"):
        shutil.copytree(folder / "two" / patient / "dicom", folder / "cohort" / patient)
    normal = CohortOptions(fast=True, protocol=Protocol(gates=1), population=PopulationOptions(male=1.0, normal=True))
    simulation.simulate_cohort(4, folder / "four", seed=5, options=normal)
    for index in range(12):  # ten are the least that limits are made of
        source = folder / "four" / f"patient-000{1 + index % 4}" / "dicom"
        shutil.copytree(source, folder / "normals" / str(index), ignore=shutil.ignore_patterns("rest*"))
    polar_maps(folder / "maps")
    return folder


def few_draws(patch: pytest.MonkeyPatch, draws: int) -> None:
    """Let analyses repeat themselves less often for intervals."""
    made = Options.__init__
    patch.setattr(Options, "__init__", lambda self, **given: made(self, **{"interval_draws": draws, **given}))


def run_line(line: str) -> None:
    """Run a line of a shell, or check what cannot run."""
    words = shlex.split(line, comments=True)
    while "=" in words[0]:
        words = words[1:]
    match words:
        case ["myoperf", "serve", *_]:
            known = {option for p in options_of(["serve"]).params for option in p.opts}
            assert set(re.findall(OPTION, line)) <= known, line
        case ["myoperf", *arguments]:
            if arguments[0] == "analyze" and "--formats" not in arguments:
                arguments += ["--formats", "json", "-q"]
            if arguments[0] == "demo":
                return  # the fixture has made it
            done = run_command(*arguments)
            assert done.returncode == 0, f"{line}\n{done.stderr}"
        case ["pip", "install", *packages]:
            assert set(re.findall(r"\[(\w+)\]", " ".join(packages))) <= set(EXTRAS), line
        case ["pipx", "run", "--spec", _, "myoperf", *arguments]:
            assert options_of(arguments[:1]) is not None, line
        case ["docker", "build", *_]:
            assert (ROOT / "Dockerfile").is_file()
        case ["docker", "compose", "up"]:
            assert (ROOT / "compose.yaml").is_file()
        case ["docker", "run", *arguments]:
            after = arguments[arguments.index("myoperf") + 1 :]
            assert options_of(after[:1]) is not None, line
        case ["python3", "-m", "venv", _] | [".", _]:
            pass
        case ["git", "clone", *_] | ["cd", _]:
            pass
        case ["make", target]:
            assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE), line
        case _:
            pytest.fail(f"nothing here runs or checks: {line}")


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)], ids=lambda page: page.stem)
def test_every_block_of_a_page_runs(page, inputs, tmp_path, monkeypatch, capsys):
    text = page.read_text(encoding="utf-8")
    for entry in ("first-study", "patient", "cohort", "normals", "maps"):
        if entry in text:
            shutil.copytree(inputs / entry, tmp_path / entry)
    monkeypatch.chdir(tmp_path)
    few_draws(monkeypatch, 0)
    names: dict[str, object] = {}
    for language, block in blocks(page):
        match language:
            case "sh":
                for line in block.replace("\\\n", " ").splitlines():
                    run_line(line)
            case "python":
                exec(compile(block, str(page), "exec"), names)
                assert capsys.readouterr().err == ""
            case "ini":
                configparser.ConfigParser(strict=False).read_string(block)
            case "bibtex":
                assert block.count("{") == block.count("}")
            case _:
                pytest.fail(f"a block of {page.name} says no language that is checked: {language!r}")


def test_a_line_that_nothing_checks_fails():
    for line in (
        "rm -rf /",
        "myoperf analyse x",
        "pip install 'myoperf[sparkles]'",
        "make sense",
        "myoperf serve --colour",
    ):
        with pytest.raises((AssertionError, pytest.fail.Exception)):
            run_line(line)


def test_each_new_page_leads_on():
    for page in PAGES[1:]:
        assert len(re.findall(r"\]\((?!http)[^)]+\.md[^)]*\)", page.read_text(encoding="utf-8"))) > 0, page.name
