"""Cohorts: every entry has a row, a failure stops nothing, and a run resumes from the folders that are whole."""

import csv
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from myoperf.errors import AnalysisError, InputError, OutputExistsError
from myoperf.pipeline.cohort import CohortSettings, StudyInput, list_inputs, merge_cohorts, run_cohort, write_tables
from myoperf.pipeline.cohort import study as cohort_study
from myoperf.pipeline.engines import ThisProcess, WorkerDied
from myoperf.types import Interval, Scores
from support.report import make_report

SETTINGS = CohortSettings(lv="classical", diagnosis=False, intervals=False)


class Analyses:
    """Stands for the analysis: returns a report of a closed-form ventricle, and fails where a test wants it to."""

    def __init__(self, monkeypatch):
        self.report, self.calls, self.errors = make_report(), [], {}
        monkeypatch.setattr(cohort_study, "read_studies", self.read)
        monkeypatch.setattr(cohort_study, "analyze", lambda study, *_, **__: replace(self.report, study=study))
        monkeypatch.setattr(cohort_study, "load_models", lambda **_: cohort_study.Models())
        cohort_study._models.cache_clear()

    def read(self, paths, *, state, sex):
        (path,) = paths
        self.calls.append((path.name, state))
        if path.name in self.errors:
            raise self.errors[path.name]
        study = replace(self.report.study, patient_id=f"id of {path.name}", study_uid=f"1.2.{path.name[-1]}", sex=sex)
        names = ("first", "second") if path.name == "two" else ("",)
        return type("Read", (), {"studies": tuple(replace(study, name=name) for name in names)})


@pytest.fixture
def analyses(monkeypatch):
    return Analyses(monkeypatch)


@pytest.fixture
def folder(tmp_path):
    for name in ("p1", "p2", "p3"):
        (tmp_path / "in" / name).mkdir(parents=True)
    return tmp_path / "in"


def run(folder, out, **options):
    return run_cohort(list_inputs(folder), out, SETTINGS, ThisProcess(), **options)


def table(out):
    write_tables(out)
    with (out / "cohort.csv").open(encoding="utf-8", newline="") as file:
        return {row["study"]: row for row in csv.DictReader(file)}


def test_every_entry_has_a_row_and_a_failure_names_its_reason(analyses, folder, tmp_path):
    analyses.errors = {"p2": AnalysisError("No heart was found."), "p3": KeyError("Jane Doe")}
    state = run(folder, tmp_path / "out")
    rows = table(tmp_path / "out")
    assert (state.total, state.done, state.failed) == (3, 3, 2)
    assert {name: row["status"] for name, row in rows.items()} == {"p1": "ok", "p2": "failed", "p3": "failed"}
    assert rows["p2"]["reason"] == "No heart was found. [analysis]"
    assert "KeyError in" in rows["p3"]["reason"]
    assert "Jane" not in (tmp_path / "out" / "cohort.csv").read_text()
    assert json.loads((tmp_path / "out" / "studies" / "p1" / "results.json").read_text())["schema"]
    assert {path.name for path in (tmp_path / "out" / "studies" / "p2").iterdir()} == {"rows.json"}


def test_the_row_holds_the_reports_numbers_with_their_intervals(analyses, folder, tmp_path):
    stress = analyses.report.results[0].name
    intervals = {
        "scores": {
            "sss": Interval(5.0, 4.0, 6.0, 0.5, 5, "noise"),
            "LAD.sss": Interval(2.0, 1.0, 3.0, 0.5, 5, "noise"),
        },
        stress: {"lvef_percent": Interval(60.0, 55.0, 64.0, 2.0, 5, "noise")},
    }
    analyses.report = replace(analyses.report, intervals=intervals)
    run(folder, tmp_path / "out")
    row, report = table(tmp_path / "out")["p1"], analyses.report
    assert float(row["sss"]) == report.scores.sss
    assert (row["sss_lo"], row["sss_hi"]) == ("4.0", "6.0")
    assert (row["LAD.sss_lo"], row["LAD.sss_hi"]) == ("1.0", "3.0")
    assert float(row[f"{stress}.lvef_percent"]) == pytest.approx(report.results[0].function.lvef_percent, rel=1e-5)
    assert row[f"{stress}.lvef_percent_hi"] == "64.0"
    assert float(row[f"{stress}.segments_percent.17"]) == pytest.approx(
        report.results[0].segments_percent[16], rel=1e-5
    )
    assert set(row["findings"].split(";")) >= {finding.code for finding in report.results[0].findings}
    assert float(row["per_patient"]) == pytest.approx(report.diagnosis.per_patient)
    assert float(row["per_patient_lo"]) == pytest.approx(report.diagnosis.interval[0])


def test_scores_that_were_not_measured_are_empty_columns(analyses, folder, tmp_path):
    analyses.report = replace(analyses.report, scores=Scores())
    run(folder, tmp_path / "out")
    assert table(tmp_path / "out")["p1"]["sss"] == ""


def test_parquet_holds_the_same_table(analyses, folder, tmp_path):
    analyses.errors = {"p2": AnalysisError("No heart was found.")}
    run(folder, tmp_path / "out")
    write_tables(tmp_path / "out")
    read = pd.read_csv(tmp_path / "out" / "cohort.csv")
    stored = pd.read_parquet(tmp_path / "out" / "cohort.parquet")
    assert list(stored.columns) == list(read.columns)
    assert stored["reason"].tolist()[1] == "No heart was found. [analysis]"
    numbers = [name for name in stored.columns if stored[name].dtype == np.float64 and stored[name].notna().any()]
    assert len(numbers) > 50
    np.testing.assert_array_equal(stored[numbers], read[numbers].astype(float))


def test_cells_cannot_be_formulas_and_numbers_stay_numbers(analyses, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a").mkdir()
    (tmp_path / "in.csv").write_text("path,study\nin/a,=1+1\n")
    analyses.errors = {"a": AnalysisError("-minus")}
    run(tmp_path / "in.csv", tmp_path / "out")
    (row,) = table(tmp_path / "out").values()
    assert (row["study"], row["reason"]) == ("'=1+1", "'-minus [analysis]")


def test_a_run_resumes_with_what_is_not_done(analyses, folder, tmp_path):
    analyses.errors = {"p2": AnalysisError("No heart was found.")}
    run(folder, tmp_path / "out")
    with pytest.raises(OutputExistsError, match="--resume"):
        run(folder, tmp_path / "out")
    (folder / "p4").mkdir()
    (tmp_path / "out" / "studies" / "p3" / "rows.json").write_text('{"rows": [')  # a power failure
    for left in ("p1.host-77.part", ".p1.host-77.part.myoperf-abc"):  # a kill in the middle of writing
        (tmp_path / "out" / "studies" / left).mkdir()
    analyses.calls.clear()
    state = run(folder, tmp_path / "out", resume=True)
    assert [name for name, _ in analyses.calls] == ["p3", "p4"]
    assert (state.kept, state.done) == (2, 2)
    assert sorted(table(tmp_path / "out")) == ["p1", "p2", "p3", "p4"]
    assert sorted(path.name for path in (tmp_path / "out" / "studies").iterdir()) == ["p1", "p2", "p3", "p4"]
    analyses.errors, analyses.calls = {}, []
    run(folder, tmp_path / "out", resume=True, retry_failed=True)
    assert [name for name, _ in analyses.calls] == ["p2"]
    assert table(tmp_path / "out")["p2"]["status"] == "ok"


def test_a_folder_of_other_settings_or_choices_is_not_resumed(analyses, folder, tmp_path):
    run(folder, tmp_path / "out")
    other = replace(SETTINGS, intervals=True)
    with pytest.raises(InputError, match=r"other settings \(intervals\)"):
        run_cohort(list_inputs(folder), tmp_path / "out", other, ThisProcess(), resume=True)
    changed = [replace(one, sex="F") for one in list_inputs(folder)]
    with pytest.raises(InputError, match="p1 was made with another state, sex or limits"):
        run_cohort(changed, tmp_path / "out", SETTINGS, ThisProcess(), resume=True)


def test_two_runs_cannot_work_in_one_folder(analyses, folder, tmp_path):
    def second(_):
        with pytest.raises(OutputExistsError, match="Another MyoPerf run"):
            run(folder, tmp_path / "out", resume=True)

    run(folder, tmp_path / "out", progress=second)


def test_a_study_whose_process_died_is_listed(analyses, folder, tmp_path):
    class Deadly:
        def map(self, function, items):
            for item in items:
                dies = item[1].name == "p2"
                yield item, WorkerDied("its process was killed") if dies else function(item)

    state = run_cohort(list_inputs(folder), tmp_path / "out", SETTINGS, Deadly())
    assert state.failed == 1
    assert table(tmp_path / "out")["p2"]["reason"] == "The study could not be finished: its process was killed."


def test_a_full_disk_stops_the_run_and_no_study_is_marked_as_failed(analyses, folder, tmp_path):
    analyses.errors = {"p2": OSError(28, "No space left on device")}
    with pytest.raises(OSError, match="No space left"):
        run(folder, tmp_path / "out")
    assert sorted(table(tmp_path / "out")) == ["p1"]


def test_models_that_cannot_be_loaded_stop_the_run(analyses, folder, tmp_path, monkeypatch):
    def fail(**_):
        raise InputError("PyTorch has no CUDA GPU")

    monkeypatch.setattr(cohort_study, "load_models", fail)
    with pytest.raises(InputError, match="no CUDA GPU"):
        run(folder, tmp_path / "out")
    assert table(tmp_path / "out") == {}


def test_limits_of_a_study_are_used_for_it_alone(analyses, folder, tmp_path, monkeypatch):
    (folder / "own").mkdir()
    used = []
    monkeypatch.setattr(cohort_study, "read_limits_folder", lambda path: (path.name,))
    monkeypatch.setattr(cohort_study, "preferred_limits", lambda own, shipped: used.append(own) or shipped)
    cohort_study._limits.cache_clear()
    (folder / "list.csv").write_text("path,limits\np1,own\np2,\n")
    run(folder / "list.csv", tmp_path / "out")
    assert used == [("own",), ()]


def test_several_studies_of_one_entry_have_a_row_each(analyses, tmp_path):
    (tmp_path / "in" / "two").mkdir(parents=True)
    run(tmp_path / "in", tmp_path / "out")
    rows = table(tmp_path / "out")
    assert {name: row["folder"] for name, row in rows.items()} == {
        "two/first": "studies/two/first",
        "two/second": "studies/two/second",
    }
    assert (tmp_path / "out" / "studies" / "two" / "second" / "results.json").is_file()


def test_the_csv_file_says_path_state_and_sex(analyses, folder, tmp_path):
    (folder / "list.csv").write_text("path,study,state,sex\np1,first,rest,F\np2,second,,\n")
    run(folder / "list.csv", tmp_path / "out")
    assert analyses.calls == [("p1", "rest"), ("p2", None)]
    assert {name: row["sex"] for name, row in table(tmp_path / "out").items()} == {"first": "F", "second": ""}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,sexe\np1,F\n", "its columns are path, sexe"),
        ("study\np1\n", "needs a column path"),
        ("path\n", "has no rows"),
        ("path\nnowhere\n", "line 2: the path does not exist"),
        ("path,state\np1,\np2,Stress\n", "line 3: state is stress, rest or empty"),
        ("path,sex\np1,woman\n", "line 2: sex is M, F or empty"),
        ("path,limits\np1,none\n", "line 2: limits is a folder"),
        ("path;state\np1;rest\n", "separated by commas; its columns are path;state"),
        ("path,study\np1,Doe, John\n", "line 2: more cells than columns"),
        ("path,state\n\n\np1,Stress\n", "line 4: state is stress, rest or empty"),
        ("path,study\np1,one\np2,one\n", "Two studies are named 'one'"),
        (f"path\n{'a' * 5000}\n", "line 2: the path does not exist"),
        (f"path,limits\np1,{'a' * 5000}\n", "line 2: limits is a folder"),
        ("path,\x1b[2J\n", r"its columns are path, [^\x1b]*$"),
        ("[" * 100_000, r"its columns are \[.{0,250}$"),
    ],
)
def test_rows_that_cannot_be_used_are_refused_before_the_work(folder, text, message):
    (folder / "list.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        list_inputs(folder / "list.csv")


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "a b", ".hidden", "x" * 300, "é" * 200, "", "a.part", "=1", "a/b"]
)
def test_names_of_folders_are_safe_and_different_names_stay_different(tmp_path, name):
    def safe(name):
        return StudyInput(name=name, path=tmp_path).folder_name

    made = safe(name)
    assert (tmp_path / made).parent == tmp_path
    (tmp_path / made).mkdir()
    assert not made.startswith((".", "-"))
    assert not made.endswith(".part")
    assert made != safe(name + " ")


def test_a_simple_name_is_kept(tmp_path):
    for name in ("patient-0001", "Łukasz_2", "a.b"):
        assert StudyInput(name=name, path=tmp_path).folder_name == name


def test_merged_cohorts_hold_every_study_once(analyses, folder, tmp_path):
    analyses.errors = {"p2": AnalysisError("No heart was found.")}
    run(folder, tmp_path / "one")
    analyses.errors = {}
    (tmp_path / "site" / "p2").mkdir(parents=True)
    (tmp_path / "site" / "p3").mkdir()
    (tmp_path / "site" / "p9").mkdir()
    run(tmp_path / "site", tmp_path / "other")
    assert merge_cohorts([tmp_path / "one", tmp_path / "other"], tmp_path / "all") == (5, 1)
    rows = table(tmp_path / "all")
    assert {name: row["status"] for name, row in rows.items()} == {
        "p1": "ok",
        "p2": "failed",  # it was not read, so that it cannot be known to be the other cohort's p2
        "other-p2": "ok",
        "p3": "ok",
        "p9": "ok",
    }
    assert rows["other-p2"]["folder"] == "studies/other-p2"
    assert (tmp_path / "all" / rows["other-p2"]["folder"] / "results.json").is_file()
    assert table(tmp_path / "other")["p2"]["folder"] == "studies/p2"  # the originals stay as they are
    with pytest.raises(OutputExistsError):
        merge_cohorts([tmp_path / "one", tmp_path / "other"], tmp_path / "all")


def test_cohorts_of_other_settings_are_not_merged(analyses, folder, tmp_path):
    run(folder, tmp_path / "one")
    run_cohort(list_inputs(folder), tmp_path / "two", replace(SETTINGS, lv="network"), ThisProcess())
    with pytest.raises(InputError, match=r"other settings \(lv\)"):
        merge_cohorts([tmp_path / "one", tmp_path / "two"], tmp_path / "all")
    with pytest.raises(InputError, match="is not a folder that `myoperf cohort` wrote"):
        merge_cohorts([tmp_path / "one", folder], tmp_path / "new")
