import numpy as np
import pytest

from myoperf.errors import InputError
from myoperf.studies.label_strategies import (
    Job,
    assign_roles,
    collect,
    list_jobs,
    pseudo_labels,
    run_jobs,
    training_rows,
)


def test_the_grid_has_728_models_in_a_workable_order():
    jobs = list_jobs()
    assert len(jobs) == len(set(jobs)) == len({j.key for j in jobs}) == 728
    place = {job: i for i, job in enumerate(jobs)}
    assert all(place[j.needs] < place[j] for j in jobs if j.needs)
    with pytest.raises(InputError, match="needs 1 before"):
        list_jobs(strategies=("5", "1"))


@pytest.fixture
def cohort():
    rng = np.random.default_rng(0)
    return assign_roles(940, 0), rng.integers(0, 2, (940, 3)), rng.integers(0, 2, (940, 3))


def test_roles_are_the_papers_and_do_not_overlap(cohort):
    roles, _, _ = cohort
    parts = (roles.ica_train, roles.ica_validation, roles.test, roles.expert)
    assert [len(p) for p in parts] == [141, 40, 100, 659]
    assert sorted(np.concatenate(parts).tolist()) == list(range(940))


@pytest.mark.parametrize(
    ("strategy", "train", "validation"),
    [
        ("task 1", 514, 145),
        ("1", 141, 40),
        ("2", 800, 40),
        ("3", 655, 185),
        ("4", 141, 40),
        ("5", 800, 40),
        ("6", 800, 40),
    ],
)
def test_strategies_train_on_the_papers_numbers_and_never_on_the_test(cohort, strategy, train, validation):
    roles, ica, expert = cohort
    pseudo = np.full((659, 3), 7)
    (rows, labels), (held, held_labels) = training_rows(strategy, roles, ica, expert, pseudo)
    assert (len(rows), len(held)) == (train, validation)
    assert len(labels) == train
    assert len(held_labels) == validation
    assert not set(roles.test) & (set(rows) | set(held))
    assert not set(rows) & set(held)
    assert (labels == 7).any() == (strategy in ("5", "6"))


def test_angiography_is_never_read_where_there_was_none(cohort):
    roles, ica, expert = cohort
    ica = ica.copy()
    ica[roles.expert] = 99
    for strategy in ("1", "2", "3", "4"):
        (_, labels), (_, held) = training_rows(strategy, roles, ica, expert)
        assert labels.max() <= 1
        assert held.max() <= 1


def test_a_stopped_run_goes_on_and_other_settings_are_refused(tmp_path):
    jobs = list_jobs(networks=("CNN1",), inputs=("stress",), strategies=("1", "5"))
    truth = np.array([[0, 1, 0], [1, 0, 1], [0, 0, 0], [1, 1, 0]])
    calls = []

    def train(job):
        calls.append(job)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return truth * 0.5 + 0.25 if job.augmented else 0.75 - truth * 0.5

    with pytest.raises(KeyboardInterrupt):
        run_jobs(jobs, tmp_path, train, {"seed": 1})
    assert run_jobs(jobs, tmp_path, train, {"seed": 1}) == (2, 2)
    table = collect(jobs, tmp_path, truth)
    assert [row["auc_vessel"] for row in table] == [float(j.augmented) for j in jobs]
    assert table[1]["auc_patient"] == 1.0
    with pytest.raises(InputError, match="other settings"):
        run_jobs(jobs, tmp_path, train, {"seed": 2})


def test_what_is_missing_is_said(cohort):
    roles, ica, expert = cohort
    with pytest.raises(InputError, match="needs pseudo-labels"):
        training_rows("5", roles, ica, expert)
    with pytest.raises(InputError, match="Unknown strategy"):
        training_rows("9", roles, ica, expert)
    with pytest.raises(InputError, match="cannot give"):
        assign_roles(200, 0)
    assert pseudo_labels(np.array([[0.2, 0.5, 0.9]])).tolist() == [[0, 1, 1]]
    assert Job("CNN1", "late", True, "6").needs == Job("CNN1", "late", True, "4")
