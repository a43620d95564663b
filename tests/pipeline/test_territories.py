"""Territories by name or file, through the main job into results and pictures."""

import json

import numpy as np
import pytest

from myoperf.cli.analyze import analyze as command
from myoperf.errors import InputError
from myoperf.io import write_nifti
from myoperf.pipeline import read_territories
from myoperf.pipeline.territories import NAMED, territories_name
from myoperf.report.bullseye import BullEye, draw_disc, draw_key
from myoperf.report.canvas import Canvas, Shape
from myoperf.report.colours import PERFUSION
from myoperf.segments import TERRITORIES, assign_segments
from myoperf.types import Volume
from support.command import run_command


def test_names_give_the_published_variants():
    assert read_territories("default") == TERRITORIES
    assert 16 in read_territories("segment-16-lad")["LAD"]
    assert {4, 10} <= set(read_territories("left-dominant")["LCX"])
    for name, territories in NAMED.items():
        assert sorted(s for own in territories.values() for s in own) == list(range(1, 18))
        assert territories_name(territories) == name


WHOLE = {"LAD": [1, 2, 3, 7, 8, 13, 14, 16, 17], "LCX": [5, 6, 11, 12], "RCA": [4, 9, 10, 15]}


@pytest.mark.parametrize("text", ['{"16": "LAD", "3": "LAD"}', json.dumps(WHOLE)], ids=["changes", "whole"])
def test_a_file_holds_all_segments_or_what_differs(tmp_path, text):
    file = tmp_path / "own.json"
    file.write_text(text)
    found = read_territories(str(file))
    assert {v: set(s) for v, s in found.items()} == {
        v: set(s) for v, s in assign_segments({16: "LAD", 3: "LAD"}).items()
    }
    assert territories_name(found) == "own"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "cannot be read as JSON"),
        ("[]", "expected"),
        ("{}", "expected"),
        ('{"LAD": [1], "LCX": [2], "RCA": [3]}', "expected"),
        ('{"LAD": "x", "LCX": [2], "RCA": [3]}', "expected"),
        ('{"18": "LAD"}', "1 to 17"),
        ('{"16": "LM"}', "LAD, LCX, RCA"),
        ('{"apex": "LAD"}', "expected"),
    ],
)
def test_an_impossible_file_is_refused(tmp_path, text, words):
    file = tmp_path / "own.json"
    file.write_text(text)
    with pytest.raises(InputError, match=words):
        read_territories(str(file))


def test_an_unknown_name_is_refused_on_the_command_line(tmp_path):
    done = run_command("analyze", tmp_path, "-o", tmp_path / "out", "--quiet", "--territories", "segment-15")
    assert done.returncode == 2
    assert "segment-16-lad" in done.stderr
    assert not (tmp_path / "out").exists()


def test_the_command_hands_them_to_the_main_job(tmp_path, monkeypatch):
    class StoppedError(Exception):
        pass

    def stop(study, models, options, **_):
        raise StoppedError(options.territories)

    volume = Volume(np.random.default_rng(0).random((8, 9, 10)).astype(np.float32), np.diag([6.0, 6.0, 6.0, 1.0]))
    write_nifti(tmp_path / "stress.nii.gz", volume)
    monkeypatch.setattr("myoperf.pipeline.analyze", stop)
    with pytest.raises(StoppedError) as seen:
        command(
            [tmp_path / "stress.nii.gz"], tmp_path / "out", territories="segment-16-lad", lv="classical", quiet=True
        )
    assert 16 in seen.value.args[0]["LAD"]


def bold_length(territories) -> float:
    """Length of the borders that are drawn boldly."""
    canvas = Canvas(40.0, 40.0)
    disc = BullEye(picture=np.zeros((32, 32)), title="", palette=PERFUSION, limits=(0, 1))
    draw_disc(canvas, disc, (0.0, 0.0), 40.0, territories=territories)
    bold = max((mark for mark in canvas.marks if isinstance(mark, Shape)), key=lambda mark: mark.width_mm)
    return sum(float(np.linalg.norm(np.diff(line, axis=0), axis=1).sum()) for line in bold.lines)


def test_the_bulls_eye_draws_the_territories_in_use():
    # One ring less of LCX: the border moves from one side of segment 16 to the other.
    assert bold_length(NAMED["left-dominant"]) != pytest.approx(bold_length(TERRITORIES), rel=0.01)
    assert bold_length(NAMED["segment-16-lad"]) != pytest.approx(bold_length(TERRITORIES), rel=0.01)
    fills = []
    for territories in (TERRITORIES, NAMED["segment-16-lad"]):
        canvas = Canvas(40.0, 40.0)
        draw_key(canvas, (0.0, 0.0), 40.0, territories=territories)
        fills.append([mark for mark in canvas.marks if isinstance(mark, Shape) and mark.fill])
    changed = [a.lines[0] for a, b in zip(*fills, strict=True) if a.fill != b.fill]
    assert len(changed) == 1
    assert changed[0][:, 0].mean() > 20.0, "segment 16 lies on the right"
    assert abs(changed[0][:, 1].mean() - 20.0) < 1.0
