"""Tables of the label strategies: best models, comparisons, factors, and how optimistic choosing on the test is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from myoperf import __version__
from myoperf.errors import InputError
from myoperf.research.label_strategies.cohort import StudyCohort, prevalence
from myoperf.research.label_strategies.figures import LEVELS, draw_factors, heat_map
from myoperf.research.label_strategies.grid import Job
from myoperf.research.label_strategies.levels import Level, optimism
from myoperf.research.label_strategies.roles import Roles
from myoperf.research.training.plots import draw_roc
from myoperf.research.training.tables import mark_scale, write_manifest, write_table
from myoperf.stats import (
    adjust_p,
    beaten_by,
    bootstrap_auc,
    delong_pairs,
    delong_table,
    measure_threshold,
    percentile_interval,
)
from myoperf.stats.evaluation import factor_table
from myoperf.types import VESSELS, Float

_FACTORS = ("strategy", "input", "augmentation", "network")
_PAPER_PREVALENCE = {
    "test": {"LAD": 57.0, "LCX": 43.0, "RCA": 39.0, "patient": 67.0},
    "ica train": {"LAD": 56.9, "LCX": 42.0, "RCA": 39.2, "patient": 66.3},
    "expert only": {"LAD": 24.7, "LCX": 20.3, "RCA": 17.0, "patient": 43.2},
}

Results = Sequence[Mapping[str, NDArray[Any]]]
"""The arrays of every job's file."""


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

    def level(self, name: str, part: str = "test") -> Level:
        """Scores of a part, per vessel or per patient."""
        return Level.of(name, self.truth[part], self.probability(part))

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
            alone = Level(vessel, self.truth["test"][:, index], test[:, :, index], np.arange(test.shape[1]))
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

    def best_models(self, models: pd.DataFrame) -> list[int]:
        """Return each strategy's model of highest area per patient, chosen on the test patients as in the paper."""
        return [int(part["auc_patient"].idxmax()) for _, part in models.groupby("strategy", sort=False)]

    def _artery(self, index: int) -> Level:
        test = self.probability("test")[:, :, index]
        return Level(VESSELS[index], self.truth["test"][:, index], test, np.arange(test.shape[1]))

    def artery_table(self, chosen: Sequence[int]) -> pd.DataFrame:
        """One row a model and artery: area and metrics at one half with intervals, where an artery has both classes."""
        rows = []
        for index in range(len(VESSELS)):
            level = self._artery(index)
            if not level.has_both:
                continue
            counts = level.counts(self.seed)
            samples = bootstrap_auc(level.truth, level.scores[list(chosen)], counts)
            for model, sample in zip(chosen, samples, strict=True):
                row: dict[str, Any] = {
                    "artery": level.name,
                    **self.jobs[model].factors,
                    "diseased": int(level.truth.sum()),
                }
                row |= percentile_interval(sample).columns("auc", float(level.auc()[model]))
                _, measured = measure_threshold(level.truth, level.scores[model], counts=counts)
                for metric in ("accuracy", "sensitivity", "specificity", "balanced_accuracy", "precision"):
                    row |= measured[metric].columns(metric)
                rows.append(row)
        return pd.DataFrame(rows)

    def curves(self, chosen: Sequence[int]) -> dict[str, list[tuple[str, NDArray[Any], Float]]]:
        """Return what the ROC figure draws: per vessel, per patient, and of each artery."""
        levels = {f"per {name}": self.level(name) for name in LEVELS}
        levels |= {vessel: self._artery(index) for index, vessel in enumerate(VESSELS)}
        return {
            title: [(self.jobs[model].key, level.truth, level.scores[model]) for model in chosen]
            for title, level in levels.items()
        }

    def pooled(self) -> tuple[dict[str, list[str]], dict[str, Float]]:
        """Return every model's factors, and its bootstrapped areas per vessel and per patient."""
        about = [job.factors for job in self.jobs]
        levels = {name: self.level(name) for name in LEVELS}
        samples = {
            name: np.asarray(bootstrap_auc(level.truth, level.scores, level.counts(self.seed)))
            for name, level in levels.items()
        }
        return {name: [factor[name] for factor in about] for name in _FACTORS}, samples

    def factor_table(self) -> pd.DataFrame:
        """Compare strategies, inputs, augmentation and networks: the paper's pooled rank sum, and a permutation test.

        The permutation test compares models that differ in the one factor only.
        """
        factors, samples = self.pooled()
        tables = []
        for name in LEVELS:
            table = factor_table(factors, self.level(name).auc(), samples[name], seed=self.seed)
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
        chosen = task.best_models(models[-1])
        write_table(out, f"label_strategies_arteries_{name}", mark_scale(task.artery_table(chosen), scale))
        draw_roc(task.curves(chosen)).savefig(out / f"label_strategies_roc_{name}.png", dpi=150)
        factors = pd.DataFrame([{"model": job.key, **job.factors} for job in task.jobs])
        factors.to_csv(out / f"factors_{name}.csv", index=False)
        if name == "task2" and len(task.jobs) > 1:
            write_table(out, "label_strategies_factors", mark_scale(task.factor_table(), scale))
            draw_factors(*task.pooled()).savefig(out / "label_strategies_figure3.png", dpi=150)
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
