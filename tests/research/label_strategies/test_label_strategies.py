from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from myoperf.errors import InputError
from myoperf.research.label_strategies import levels, tables
from myoperf.research.label_strategies import study as label_strategies
from myoperf.research.label_strategies.cohort import CohortSize, draw_cohort
from myoperf.research.label_strategies.grid import Job, list_jobs
from myoperf.research.label_strategies.roles import assign_roles, pseudo_labels, training_rows
from myoperf.research.label_strategies.study import RECIPES, JobTrainer, job_file, run
from myoperf.research.label_strategies.tables import optimism
from myoperf.research.label_strategies.training import Fitted
from myoperf.research.training.options import RunOptions

SIZE = CohortSize(train=141, validation=40, test=100, expert=659, fresh=0)


@cache
def draw_smoke_cohort(size, seed):
    return draw_cohort(size, seed, Path("nothing is written"))


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
    ica = rng.integers(0, 2, (940, 3))
    return assign_roles(ica[:281], SIZE, 0), ica, rng.integers(0, 2, (940, 3))


def test_ranks_say_which_jobs_have_to_wait():
    ranks = {job.strategy: job.rank for job in list_jobs()}
    assert ranks == {"task 1": 0, "1": 0, "2": 0, "3": 0, "4": 1, "5": 1, "6": 2}
    assert all(job.needs is None or job.needs.rank < job.rank for job in list_jobs())


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
    learned, held = training_rows(strategy, roles, ica, expert, pseudo)
    assert len(learned.rows) == len(learned.labels) == train
    assert len(held.rows) == len(held.labels) == validation
    assert not set(roles.test) & (set(learned.rows) | set(held.rows))
    assert not set(learned.rows) & set(held.rows)
    assert (learned.labels == 7).any() == (strategy in ("5", "6"))


def test_angiography_is_never_read_where_there_was_none(cohort):
    roles, ica, expert = cohort
    ica = ica.copy()
    ica[roles.expert] = 99
    for strategy in ("1", "2", "3", "4"):
        assert all(part.labels.max() <= 1 for part in training_rows(strategy, roles, ica, expert))


def test_the_test_patients_are_as_often_diseased_as_the_others(cohort):
    roles, ica, _ = cohort
    rest = np.concatenate([roles.ica_train, roles.ica_validation])
    assert np.abs(ica[roles.test].mean(axis=0) - ica[rest].mean(axis=0)).max() < 0.03


def test_strategies_start_from_the_weights_and_labels_of_the_one_before(tmp_path, monkeypatch):
    recipe = RECIPES["smoke"]
    size = recipe.cohort
    cohort = draw_smoke_cohort(size, 0)
    roles = assign_roles(cohort.ica[: size.angiography], size, 0)
    trainer = JobTrainer(recipe, cohort, roles, tmp_path, 0)
    met = []

    def fit(net, data, train, validation, schedule, **_):
        met.append((float(net.last.bias.detach().mean()), train))
        torch.nn.init.constant_(net.last.bias, 50.0)
        return Fitted((1.0,), 0, "epochs")

    monkeypatch.setattr(label_strategies, "fit_polar", fit)
    for strategy in ("task 1", "1", "4", "5"):
        job = Job("CNN1", "stress", False, strategy)
        trainer(job, job_file(tmp_path, job))
    assert [bias == 50.0 for bias, _ in met] == [False, False, True, False]
    pseudo = met[3][1].labels[np.isin(met[3][1].rows, roles.expert)]
    assert len(pseudo) == size.expert
    assert (pseudo == 1).all()


def test_choosing_on_the_patients_reported_on_is_optimistic_and_other_ways_are_not():
    rng = np.random.default_rng(0)
    truth = {part: rng.integers(0, 2, (100, 3)) for part in ("test", "validation", "fresh")}
    noise = {part: rng.random((200, 100, 3)) for part in truth}  # models that know nothing
    table = optimism(truth, noise, 0, repeats=50).set_index(["level", "way"])
    for level in ("vessel", "patient"):
        rows = table.loc[level]
        best = rows.iloc[0]
        assert best["auc_reported"] > 0.55
        assert abs(rows.iloc[3]["auc_reported"] - 0.5) < 0.15
        halves = rows.iloc[4]
        assert halves["auc_where_chosen"] > 0.57
        assert abs(halves["auc_reported"] - 0.5) < 0.05


@pytest.fixture
def drawn(monkeypatch):
    """Draw the smoke run's patients once for all tests, and fewer samples for its intervals."""
    monkeypatch.setattr(label_strategies, "draw_cohort", lambda *given, **_: draw_smoke_cohort(*given[:2]))
    monkeypatch.setattr(levels, "RESAMPLES", 100)
    monkeypatch.setattr(tables, "optimism", partial(optimism, repeats=20))


def probabilities(folder):
    """Return what every job of a run predicts for the test patients."""
    found = {}
    for file in sorted((folder / "jobs").glob("*.npz")):
        with np.load(file) as arrays:
            found[file.name] = arrays["test"]
    return found


@pytest.mark.slow
def test_a_smoke_run_writes_its_tables_and_goes_on(tmp_path, monkeypatch, drawn):
    rows = run("smoke", tmp_path, 0)
    assert len(rows) == 28
    assert all(0 <= r["auc_vessel_lo"] <= r["auc_vessel_hi"] <= 1 for r in rows)
    best = pd.read_csv(tmp_path / "label_strategies_best.csv", dtype={"strategy": str})
    assert set(best["strategy"]) == {"task 1", *"123456"}
    assert (best["tn"] + best["fp"] + best["tp"] + best["fn"]).isin((16, 48)).all()
    factors = pd.read_csv(tmp_path / "label_strategies_factors.csv")
    assert {"p_rank_sum", "p_paired"} <= set(factors.columns)
    for name in ("", "_figure3", "_roc_task1", "_roc_task2"):
        assert (tmp_path / f"label_strategies{name}.png").stat().st_size > 5000
    arteries = pd.read_csv(tmp_path / "label_strategies_arteries_task2.csv", dtype={"strategy": str})
    assert set(arteries["strategy"]) == set("123456")
    assert set(arteries["artery"]) <= {"LAD", "LCX", "RCA"}
    monkeypatch.setattr(label_strategies, "fit_polar", None)  # a job that is done is not done again
    kept = []
    monkeypatch.setattr(label_strategies, "write_tables", lambda out, jobs, results, *_, **__: kept.extend(results))
    run("smoke", tmp_path, 0)
    assert len(kept) == 28


@pytest.mark.slow
def test_another_process_trains_the_same_network(tmp_path, monkeypatch, drawn):
    few = replace(RECIPES["smoke"], inputs=("stress",), augmented=(True,))
    monkeypatch.setattr(label_strategies, "RECIPES", {"smoke": few})
    monkeypatch.setattr(label_strategies, "write_tables", lambda *_, **__: [])
    options = RunOptions(strategies=("task-1",), quiet=True)
    for workers in (1, 2):
        run("smoke", tmp_path / str(workers), 0, options=options, workers=workers)
    one, two = (probabilities(tmp_path / str(workers)) for workers in (1, 2))
    assert len(one) == 1
    assert one.keys() == two.keys()
    for name, expected in one.items():
        np.testing.assert_allclose(two[name], expected, atol=1e-6)


def test_what_is_missing_is_said(cohort):
    roles, ica, expert = cohort
    with pytest.raises(InputError, match="needs pseudo-labels"):
        training_rows("5", roles, ica, expert)
    with pytest.raises(InputError, match="Unknown strategy"):
        training_rows("9", roles, ica, expert)
    with pytest.raises(InputError, match="281 patients"):
        assign_roles(np.zeros((200, 3), int), SIZE, 0)
    with pytest.raises(InputError, match="Unknown scale"):
        run("huge", Path("nowhere"))
    assert pseudo_labels(np.array([[0.2, 0.5, 0.9]])).tolist() == [[0, 1, 1]]
    assert Job("CNN1", "late", True, "6").needs == Job("CNN1", "late", True, "4")
