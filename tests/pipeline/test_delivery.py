"""Writing a report's folder: never half, never over something that is not ours."""

import json
import pickle
import signal
import subprocess
import sys

import numpy as np
import pytest

from myoperf.errors import InputError, OutputExistsError
from myoperf.pipeline import FORMATS as FORMATS_ALL
from myoperf.pipeline import check_free, read_formats, write_report
from myoperf.pipeline.clock import STAGES, StageClock
from myoperf.types import LVFrame, PolarMap, Provenance, Report, Scan, ScanResult, Scores, Study, Volume

VOLUME = Volume(np.ones((4, 5, 6), np.float32), np.diag([4.0, 4.0, 4.0, 1.0]))
FORMATS = ("nifti", "json")
FILES = {"results.json", "stress_lv_labels.nii.gz", "stress_short_axis.nii.gz", "stress_volume.nii.gz"}
DIES = """
import os, pathlib, pickle, signal, sys
from myoperf import files
from myoperf.pipeline import delivery

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

def die_after_renaming(old, new):
    os.rename(old, new)
    die()

report = pickle.loads(pathlib.Path(sys.argv[1]).read_bytes())
folder, when = pathlib.Path(sys.argv[2]), sys.argv[3]
if when == "the short axis is written":
    write = delivery.write_nifti
    delivery.write_nifti = lambda path, volume: die() if "short_axis" in path.name else write(path, volume)
elif when == "the JSON is written":
    delivery.write_json = die
elif when == "all files are written":
    files._put_in_place = die
elif when == "the first folder is renamed":
    pathlib.Path.rename = die_after_renaming
delivery.write_report(report, folder, formats=("nifti", "json"), overwrite=True)
"""


def report_of(myoperf):
    """Return a small report whose provenance names a version."""
    polar = PolarMap(np.ones((24, 72)), np.zeros((24, 72, 3)), np.full((24, 72), 10.0))
    frame = LVFrame((30.0, -40.0, -10.0), (-5.0, 5.0, 20.0), (0.4, -0.4, 0.8))
    scan = Scan(VOLUME, state="stress")
    result = ScanResult("stress", scan, VOLUME, frame, VOLUME, VOLUME, polar, polar, np.ones(17), 100.0, 50.0)
    return Report(Study((scan,)), (result,), Scores(), None, (), Provenance(myoperf))


def names(folder):
    return {path.name for path in folder.iterdir()}


def version(folder):
    return json.loads((folder / "results.json").read_text())["provenance"]["myoperf"]


@pytest.mark.parametrize("earlier", [False, True])
@pytest.mark.parametrize("when", ["the short axis is written", "the JSON is written", "all files are written"])
def test_a_killed_process_leaves_the_folder_as_it_was(tmp_path, when, earlier):
    out = tmp_path / "here" / "out"
    if earlier:
        write_report(report_of("old"), out, formats=FORMATS)
    assert killed(tmp_path, out, when) == -signal.SIGKILL
    assert out.exists() is earlier
    if earlier:
        assert names(out) == FILES
        assert version(out) == "old"
    write_report(report_of("next"), out, formats=FORMATS, overwrite=True)
    assert (names(out), version(out)) == (FILES, "next")


def test_a_process_killed_between_the_two_renames_leaves_both_folders_whole(tmp_path):
    out = tmp_path / "here" / "out"
    write_report(report_of("old"), out, formats=FORMATS)
    assert killed(tmp_path, out, "the first folder is renamed") == -signal.SIGKILL
    assert not out.exists()
    (aside,) = out.parent.glob("out-earlier-*/out")
    assert (names(aside), version(aside)) == (FILES, "old")


def killed(tmp_path, out, when):
    """Deliver version "new" in a process that kills itself when told; return its exit code."""
    (tmp_path / "report.pickle").write_bytes(pickle.dumps(report_of("new")))
    words = [sys.executable, "-c", DIES, tmp_path / "report.pickle", out, when]
    return subprocess.run(list(map(str, words)), check=False, timeout=120).returncode


def test_a_result_is_replaced_and_nothing_else_is_left(tmp_path):
    out = tmp_path / "here" / "out"
    for myoperf in ("old", "new"):
        write_report(report_of(myoperf), out, formats=FORMATS, overwrite=True)
    assert version(out) == "new"
    assert names(out.parent) == {"out"}


def test_an_unknown_format_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(InputError, match="Unknown format docx"):
        write_report(report_of("new"), tmp_path / "out", formats=("docx",))
    assert names(tmp_path) == set()


@pytest.mark.parametrize(
    ("text", "formats"),
    [
        ("all", FORMATS_ALL),
        ("json", ("json",)),
        ("PDF, html,", ("html", "pdf")),
        ("html,all", FORMATS_ALL),
        ("fhir,Seg-Gated,json", ("json", "seg-gated", "fhir")),
    ],
)
def test_formats_are_read(text, formats):
    assert read_formats(text) == formats


@pytest.mark.parametrize("text", ["", " , ", "docx", "html docx"])
def test_text_that_names_no_format_or_an_unknown_one_is_refused(text):
    with pytest.raises(InputError, match="choose from html"):
        read_formats(text)


def test_a_new_or_empty_folder_is_free(tmp_path):
    check_free(tmp_path / "new", overwrite=False)
    check_free(tmp_path, overwrite=False)
    assert list(tmp_path.iterdir()) == [], "looking must not create anything"


def test_a_full_folder_is_not_free_without_overwrite(tmp_path):
    (tmp_path / "results.json").write_text(json.dumps({"schema": "myoperf.report/1"}))
    with pytest.raises(OutputExistsError, match="not empty"):
        check_free(tmp_path, overwrite=False)
    check_free(tmp_path, overwrite=True)


@pytest.mark.parametrize("text", ["", "[]", '{"schema": "other"}', "{"])
def test_overwrite_replaces_only_our_own_results(tmp_path, text):
    (tmp_path / "results.json").write_text(text)
    with pytest.raises(OutputExistsError, match="no earlier"):
        check_free(tmp_path, overwrite=True)


def test_the_clock_adds_up_a_stage_entered_twice_and_names_every_stage():
    clock = StageClock()
    for _ in range(2):
        with clock.stage("orient"):
            pass
    once = clock.seconds["orient"]
    with clock.stage("orient"):
        pass
    assert clock.seconds["orient"] > once
    assert set(clock.timings()) == set(STAGES)
    assert clock.peaks()["orient"] > 1.0
