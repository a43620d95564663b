"""Writing a report's folder: never half, never over something that is not ours."""

import json

import pytest

from myoperf.errors import OutputExistsError
from myoperf.pipeline import check_free
from myoperf.pipeline.clock import STAGES, StageClock


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
