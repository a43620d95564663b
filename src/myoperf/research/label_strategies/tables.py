"""Tables of the label strategies: best models, comparisons, factors, and how optimistic choosing on the test is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from myoperf import __version__
from myoperf.errors import InputError
from myoperf.research.label_strategies.cohort import StudyCohort, prevalence
from myoperf.research.label_strategies.grid import Job
from myoperf.research.label_strategies.roles import Roles
from myoperf.research.training.tables import mark_scale, write_manifest, write_table
from myoperf.stats import (
    adjust_p,
    beaten_by,
    bootstrap_auc,
    delong_pairs,
    delong_table,
    measure_threshold,
    percentile_interval,
    resample_counts,
)
from myoperf.stats.evaluation import factor_table
from myoperf.types import VESSELS, Float

LEVELS = ("vessel", "patient")
RESAMPLES = 1000
_FACTORS = ("strategy", "input", "augmentation", "network")
_PAPER_PREVALENCE = {
    "test": {"LAD": 57.0, "LCX": 43.0, "RCA": 39.0, "patient": 67.0},
    "ica train": {"LAD": 56.9, "LCX": 42.0, "RCA": 39.2, "patient": 66.3},
    "expert only": {"LAD": 24.7, "LCX": 20.3, "RCA": 17.0, "patient": 43.2},
}

Results = Sequence[Mapping[str, NDArray[Any]]]
"""The arrays of every job's file."""


@dataclass(frozen=True, eq=False)
class _Level:
    """Scores of several models per vessel or per patient.

    Attributes
    ----------
    truth, patient
        (rows,), and whose row it is.
    scores
        (models, rows).
    """

    name: str
    truth: NDArray[Any]
    scores: Float
    patient: NDArray[Any]

    @classmethod
    def of(cls, name: str, truth: NDArray[Any], probability: Float) -> _Level:
        """Make it from labels (n, 3) and probabilities (models, n, 3)."""
        if name == "vessel":
            owner = np.repeat(np.arange(len(truth)), 3)
            return cls(name, truth.ravel(), probability.reshape(len(probability), -1), owner)
        return cls(name, truth.max(axis=1), probability.max(axis=2), np.arange(len(truth)))

    @property
    def has_both(self) -> bool:
        """Whether there are diseased and healthy rows: otherwise there is no area."""
        return bool(self.truth.size) and int(self.truth.min()) < int(self.truth.max())

    def auc(self) -> Float:
        """Areas, (models,); NaN where all rows are of one class."""
        if not self.has_both:
            return np.full(len(self.scores), np.nan)
        return np.asarray(delong_table(self.truth, self.scores).auc)

    def counts(self, seed: int) -> NDArray[np.int32]:
        """Draw the bootstrap's patients."""
        rng = np.random.default_rng(seed)
        return resample_counts(self.truth, resamples=RESAMPLES, rng=rng, patient=self.patient)


@dataclass(frozen=True, eq=False)
class _Task:
    """All models of one task.

    Attributes
    ----------
    truth
        Labels (n, 3) of the parts ``"test"``, ``"validation"`` and, of simulated patients, ``"fresh"``.
    names
        Of the test patients.
    """

    jobs: Sequence[Job]
    results: Results
    truth: Mapping[str, NDArray[Any]]
    names: NDArray[np.str_]
    seed: int

    def probability(self, part: str) -> Float:
        """Probabilities of a part, (models, n, 3)."""
        return np.stack([result[part] for result in self.results]).astype(np.float64)

    def level(self, name: str, part: str = "test") -> _Level:
        """Scores of a part, per vessel or per patient."""
        return _Level.of(name, self.truth[part], self.probability(part))

    def model_table(self) -> pd.DataFrame:
        """One row a model: areas on test, validation and fresh patients, whom it beats, how it was trained."""
        table = pd.DataFrame([job.factors for job in self.jobs])
        for name in LEVELS:
            level = self.level(name)
            samples = bootstrap_auc(level.truth, level.scores, level.counts(self.seed))
            areas = [
                percentile_interval(sample).columns(f"auc_{name}", area)
                for area, sample in zip(level.auc(), samples, strict=True)
            ]
            table = table.join(pd.DataFrame(areas))
            pairs = delong_pairs(delong_table(level.truth, level.scores))
            n = len(self.jobs)
            table[f"beats_{name}"] = beaten_by(pairs, n)
            table[f"beats_{name}_holm"] = beaten_by(pairs, n, p=adjust_p(pairs.p)) if n > 1 else 0
            for part in sorted(self.truth.keys() - {"test"}, reverse=True):
                table[f"auc_{name}_{part}"] = self.level(name, part).auc()
        test = self.probability("test")
        for index, vessel in enumerate(VESSELS):
            alone = _Level(vessel, self.truth["test"][:, index], test[:, :, index], np.arange(test.shape[1]))
            table[f"auc_{vessel}"] = alone.auc()
        table["epochs"] = [len(result["accuracy"]) for result in self.results]
        table["chosen_epoch"] = [int(result["chosen_epoch"]) for result in self.results]
        for name in ("trained", "steps"):  # patients in training, and steps of the optimiser: strategies differ in both
            if name in self.results[0]:
                table[name] = [int(result[name]) for result in self.results]
        table["stopped_by"] = [str(result["stopped"]) for result in self.results]
        table["seconds"] = [round(float(result["seconds"]), 2) for result in self.results]
        return table

    def best_table(self, models: pd.DataFrame) -> pd.DataFrame:
        """List the two models of highest area of each strategy with metrics at one half, as the paper's Tables 2 and 3.

        Parameters
        ----------
        models
            Of `model_table`.
        """
        rows = []
        for name in LEVELS:
            level = self.level(name)
            counts = level.counts(self.seed)
            for _, part in models.groupby("strategy", sort=False):
                for model in part.sort_values(f"auc_{name}", ascending=False).index[:2]:
                    confusion, measured = measure_threshold(
                        level.truth, level.scores[model], counts=counts, clustered=name == "vessel"
                    )
                    row: dict[str, Any] = {"level": name, **self.jobs[model].factors}
                    row |= {f"auc{end}": models.loc[model, f"auc_{name}{end}"] for end in ("", "_lo", "_hi")}
                    row |= {k: getattr(confusion, k) for k in ("tn", "tp", "fn", "fp")}
                    for metric in ("accuracy", "sensitivity", "specificity", "balanced_accuracy", "precision"):
                        row |= measured[metric].columns(metric)
                    rows.append(row)
        return pd.DataFrame(rows)

    def factor_table(self) -> pd.DataFrame:
        """Compare strategies, inputs, augmentation and networks: the paper's pooled rank sum, and a permutation test.

        The permutation test compares models that differ in the one factor only.
        """
        about = [job.factors for job in self.jobs]
        factors = {name: [factor[name] for factor in about] for name in _FACTORS}
        tables = []
        for name in LEVELS:
            level = self.level(name)
            samples = bootstrap_auc(level.truth, level.scores, level.counts(self.seed))
            table = factor_table(factors, level.auc(), samples, seed=self.seed)
            table.insert(0, "level", name)
            tables.append(table)
        return pd.concat(tables, ignore_index=True)

    def predictions(self) -> pd.DataFrame:
        """One row a vessel of the test patients, for ``myoperf evaluate``."""
        truth = self.truth["test"]
        columns: dict[str, Any] = {
            "patient": np.repeat(self.names, 3),
            "vessel": np.tile(VESSELS, len(truth)),
            "truth": truth.ravel(),
        }
        scores = {job.key: result["test"].ravel() for job, result in zip(self.jobs, self.results, strict=True)}
        return pd.DataFrame(columns | scores)


def optimism(
    truth: Mapping[str, NDArray[Any]], probability: Mapping[str, Float], seed: int, *, repeats: int = RESAMPLES
) -> pd.DataFrame:
    """Measure how optimistic it is to choose the best of many models on the patients it is reported on.

    Parameters
    ----------
    truth, probability
        Of ``"test"``, ``"validation"`` and ``"fresh"``: labels (n, 3) and probabilities (models, n, 3).

    Returns
    -------
    A row a level and way: the mean area where the model was chosen, and on other patients, with intervals: of the
    area for one choice (bootstrap by patient), of the mean over repeats for halves (2.5 to 97.5 % of the repeats).
    """
    rows = []
    for name in LEVELS:
        levels = {part: _Level.of(name, truth[part], probability[part]) for part in truth}
        areas = {part: level.auc() for part, level in levels.items()}
        for way, chosen_on, reported_on in (
            ("chosen and reported on the test, as in the paper", "test", "test"),
            ("the same model on fresh patients", "test", "fresh"),
            ("chosen on validation, reported on the test", "validation", "test"),
            ("chosen on validation, reported on fresh patients", "validation", "fresh"),
        ):
            model = int(areas[chosen_on].argmax())
            level = levels[reported_on]
            limits = percentile_interval(bootstrap_auc(level.truth, level.scores[model], level.counts(seed))[0])
            rows.append(
                {
                    "level": name,
                    "way": way,
                    "auc_where_chosen": areas[chosen_on][model],
                    "auc_reported": areas[reported_on][model],
                    "lo": limits.lo,
                    "hi": limits.hi,
                    "n_reported": len(truth[reported_on]),
                }
            )
        rows.append(_halves(name, truth["test"], probability["test"], seed, repeats))
        typical = float(np.median(areas["test"])), float(np.median(areas["fresh"]))
        rows.append(
            {"level": name, "way": "median of all models, test and fresh", "auc_where_chosen": typical[0]}
            | {"auc_reported": typical[1], "n_reported": len(truth["fresh"])}
        )
    return pd.DataFrame(rows)


def _halves(name: str, truth: NDArray[Any], probability: Float, seed: int, repeats: int) -> dict[str, Any]:
    """Choose on a random half of the test patients, report on the other half."""
    rng = np.random.default_rng(seed)
    chosen: list[float] = []
    reported: list[float] = []
    n = len(truth)
    while len(chosen) < repeats:
        order = rng.permutation(n)
        halves = [_Level.of(name, truth[rows], probability[:, rows]) for rows in (order[: n // 2], order[n // 2 :])]
        if any(h.truth.min() == h.truth.max() for h in halves):
            continue
        first, second = (half.auc() for half in halves)
        model = int(first.argmax())
        chosen.append(first[model])
        reported.append(second[model])
    lo, hi = np.percentile(reported, (2.5, 97.5))
    return {
        "level": name,
        "way": f"chosen on half of the test, reported on the other half, mean of {repeats}",
        "auc_where_chosen": float(np.mean(chosen)),
        "auc_reported": float(np.mean(reported)),
        "lo": float(lo),
        "hi": float(hi),
        "n_reported": n - n // 2,
    }


def heat_map(table: pd.DataFrame) -> Figure:
    """Draw areas by strategy (columns) and network, input, augmentation (rows), as the paper's supplement does."""
    from myoperf.research.training.plots import house_style

    with house_style():
        names = [f"{r.network}, {r.input}, {r.augmentation}" for r in table.itertuples()]
        rows, columns = list(dict.fromkeys(names)), list(dict.fromkeys(table["strategy"]))
        figure = Figure(figsize=(8.5, 1.2 + 0.17 * len(rows)), layout="constrained")
        axes = figure.subplots(1, 2, sharey=True)
        low = min(float(table[f"auc_{level}"].min()) for level in LEVELS)
        high = max(float(table[f"auc_{level}"].max()) for level in LEVELS)
        for axis, level in zip(axes, LEVELS, strict=True):
            values = np.full((len(rows), len(columns)), np.nan)
            for name, record in zip(names, table.itertuples(), strict=True):
                values[rows.index(name), columns.index(str(record.strategy))] = getattr(record, f"auc_{level}")
            drawn = axis.imshow(values, cmap="viridis", vmin=low, vmax=high)
            axis.set_aspect("auto")
            axis.set_title(f"per {level}")
            axis.set_xticks(
                range(len(columns)), [c if c == "task 1" else f"strategy {c}" for c in columns], rotation=60
            )
            axis.set_yticks(range(len(rows)), rows)
            for (i, j), value in np.ndenumerate(values):
                colour = "black" if value > 0.5 * (low + high) else "white"
                axis.text(j, i, f"{value:.2f}", ha="center", va="center", fontsize=5, color=colour)
        figure.colorbar(drawn, ax=axes, label="AUC on the test patients")
    return figure


def write_tables(
    out: Path,
    jobs: Sequence[Job],
    results: Results,
    cohort: StudyCohort,
    roles: Roles,
    *,
    seed: int,
    about: Mapping[str, Any],
) -> list[dict[str, Any]]:
    """Write every table of the study, the heat map, and predictions and factors for ``myoperf evaluate``.

    Parameters
    ----------
    about
        ``scale`` and ``data``, and what else the manifest says of the patients.

    Returns
    -------
    One row a model.
    """
    scale = str(about["scale"])
    models, best = [], []
    for name, task in _tasks(jobs, results, cohort, roles, seed).items():
        models.append(task.model_table())
        best.append(task.best_table(models[-1]))
        task.predictions().to_csv(out / f"predictions_{name}.csv", index=False)
        factors = pd.DataFrame([{"model": job.key, **job.factors} for job in task.jobs])
        factors.to_csv(out / f"factors_{name}.csv", index=False)
        if name == "task2" and len(task.jobs) > 1:
            write_table(out, "label_strategies_factors", mark_scale(task.factor_table(), scale))
            if "fresh" in task.truth:
                probability = {part: task.probability(part) for part in task.truth}
                optimistic = optimism(task.truth, probability, seed)
                write_table(out, "label_strategies_optimism", mark_scale(optimistic, scale))
    table = pd.concat(models, ignore_index=True)
    for part, frame in (
        ("models", table),
        ("best", pd.concat(best, ignore_index=True)),
        ("cohort", _cohort_table(cohort, roles)),
    ):
        write_table(out, f"label_strategies_{part}", mark_scale(frame, scale))
    heat_map(table).savefig(out / "label_strategies.png", dpi=150)
    manifest = {"myoperf": __version__, "seed": seed, "models": len(jobs), "patients": len(cohort) - len(cohort.fresh)}
    manifest |= {"fresh": len(cohort.fresh), "seconds": round(float(table["seconds"].sum()), 1)}
    write_manifest(out, {**manifest, **about})
    return [{str(k): v for k, v in row.items()} for row in table.to_dict("records")]


def _tasks(jobs: Sequence[Job], results: Results, cohort: StudyCohort, roles: Roles, seed: int) -> dict[str, _Task]:
    """Return the models of each task that the test patients have labels for."""
    rows = {"test": roles.test, "validation": roles.ica_validation} | (
        {"fresh": cohort.fresh} if len(cohort.fresh) else {}
    )
    tasks = {}
    for name, labels in (("task1", cohort.expert), ("task2", cohort.ica)):
        chosen = [i for i, job in enumerate(jobs) if (job.strategy == "task 1") == (name == "task1")]
        truth = {part: labels[index] for part, index in rows.items() if (labels[index] >= 0).all()}
        if not chosen or "test" not in truth:
            continue
        task = _Task([jobs[i] for i in chosen], [results[i] for i in chosen], truth, cohort.names[roles.test], seed)
        if all(task.level(level).has_both for level in LEVELS):
            tasks[name] = task
    if not tasks:
        raise InputError(
            "No table can be made: the test patients need labels of the task, with and without disease. The trainings "
            "are kept."
        )
    return tasks


def _cohort_table(cohort: StudyCohort, roles: Roles) -> pd.DataFrame:
    """Prevalence of each part, by angiography (by the expert where there was none), and the paper's."""
    train = np.concatenate([roles.ica_train, roles.ica_validation])
    rows = []
    for name, part, labels in (
        ("ica train", train, cohort.ica),
        ("test", roles.test, cohort.ica),
        ("expert only", roles.expert, cohort.expert),
        ("fresh", cohort.fresh, cohort.ica),
    ):
        if not len(part):
            continue
        row: dict[str, Any] = {"part": name, "n": len(part), "labels": "expert" if name == "expert only" else "ica"}
        row |= {f"{k}_percent": round(v, 1) for k, v in prevalence(labels[part]).items()}
        paper = _PAPER_PREVALENCE.get(name, {})
        rows.append(row | {f"{k}_percent_in_paper": paper.get(k) for k in (*VESSELS, "patient")})
    return pd.DataFrame(rows)
