"""``myoperf normals`` and ``analyze --limits``: what cannot be used is said before any work is done."""

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from myoperf.cli.main import app
from myoperf.errors import InputError
from myoperf.perfusion import (
    LimitsLabel,
    build_limits,
    preferred_limits,
    read_limits_folder,
    shipped_limits,
    write_limits,
)
from myoperf.types import PolarMap, State

ABOUT = ("--provenance", "a clinic", "--licence", "CC0", "--quiet")


def call(*words: str | Path):
    """Give the error that the shell prints in one line with exit code 2, or the result."""
    return CliRunner().invoke(app, [str(word) for word in words])


def own_limits(folder: Path, state: State = "stress") -> None:
    rng = np.random.default_rng(0)
    shape = (24, 72)
    maps = [PolarMap(1 + 0.05 * rng.normal(size=shape), np.zeros((*shape, 3)), np.full(shape, 10.0)) for _ in range(10)]
    folder.mkdir(exist_ok=True)
    limits = build_limits(
        maps, LimitsLabel(name=f"own-{state}", version="7", state=state, provenance="a clinic", licence="CC0")
    )
    write_limits(folder / f"own-{state}.npz", limits)


@pytest.mark.parametrize(
    ("patients", "name", "out", "said"),
    [
        (12, "../elsewhere", "out", "letters, digits"),
        (12, "a b", "out", "letters, digits"),
        (12, "mine", "file", "is a file"),
        (9, "mine", "out", "10 patients or more; normal studies has 9"),
        (0, "mine", "out", "has no sub-folders"),
    ],
)
def test_what_cannot_be_built_is_refused_at_once(tmp_path, monkeypatch, patients, name, out, said):
    monkeypatch.setattr("myoperf.pipeline.normals.measure_normals", lambda *_, **__: pytest.fail("began to work"))
    folder = tmp_path / "normal studies"
    folder.mkdir()
    (tmp_path / "file").write_text("mine")
    for i in range(patients):
        (folder / f"p{i}").mkdir()
    done = call("normals", "build", folder, "-o", tmp_path / out, "--name", name, *ABOUT)
    assert isinstance(done.exception, InputError)
    assert said in str(done.exception)
    assert "\n" not in str(done.exception)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_folder_that_is_not_there_is_called_so(tmp_path):
    done = call("normals", "build", tmp_path / "nowhere", "-o", tmp_path / "out", "--name", "mine", *ABOUT)
    assert "nowhere is no folder" in str(done.exception)


def test_limits_in_a_folder_are_shown(tmp_path):
    own_limits(tmp_path / "own limits")
    done = call("normals", "show", tmp_path / "own limits")
    assert done.exit_code == 0
    assert "own-stress  version 7  n = 10  a clinic" in done.output
    assert "simulated" not in done.output


def test_a_folder_without_limits_is_refused_before_the_study_is_read(tmp_path):
    for folder in (tmp_path, tmp_path / "nowhere"):
        done = call("analyze", tmp_path, "-o", tmp_path / "out", "--limits", folder, "--quiet")
        assert isinstance(done.exception, InputError)
        assert "holds no normal limits" in str(done.exception)
    assert not (tmp_path / "out").exists()


def test_own_limits_reach_the_main_job_and_replace_the_package_s_of_their_state(tmp_path, monkeypatch):
    own_limits(tmp_path / "own")
    seen = []

    class Read:
        studies = ("a study",)
        skipped = ()

    monkeypatch.setattr("myoperf.io.read_studies", lambda *_, **__: Read)
    monkeypatch.setattr("myoperf.pipeline.analyze", lambda study, models, *_, **__: seen.append(models.limits))
    monkeypatch.setattr("myoperf.pipeline.write_report", lambda *_, **__: None)
    done = call(
        "analyze", tmp_path, "-o", tmp_path / "out", "--limits", tmp_path / "own", "--lv", "classical", "--quiet"
    )
    assert done.exit_code == 0, done.output
    of_stress = [one.name for one in seen[0] if one.state == "stress"]
    assert of_stress == ["own-stress"]
    assert {one.name for one in seen[0] if one.state == "rest"} == {
        one.name for one in shipped_limits() if one.state == "rest"
    }


def test_without_own_limits_nothing_changes(tmp_path):
    assert preferred_limits((), shipped_limits()) == shipped_limits()
    own_limits(tmp_path)
    own_limits(tmp_path, "rest")
    own = read_limits_folder(tmp_path)
    assert preferred_limits(own, shipped_limits()) == own
