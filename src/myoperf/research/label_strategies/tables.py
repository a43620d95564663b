"""Tables of paper 001's study: best models, who beats whom, factors compared, and how optimistic its way is."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from myoperf import __version__
from myoperf.research.label_strategies.cohort import StudyCohort, prevalence
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

if TYPE_CHECKING:
    from myoperf.research.label_strategies.study import Job, Roles

__all__ = ["LEVELS", "optimism", "write_tables"]

LEVELS = ("vessel", "patient")
RESAMPLES = 1000
_FACTORS = ("strategy", "input", "augmentation", "network")
_PAPER_PREVALENCE = {
    "test": {"LAD": 57.0, "LCX": 43.0, "RCA": 39.0, "patient": 67.0},
    "ica train": {"LAD": 56.9, "LCX": 42.0, "RCA": 39.2, "patient": 66.3},
    "expert only": {"LAD": 24.7, "LCX": 20.3, "RCA": 17.0, "patient": 43.2},
}


@dataclass(frozen=True, eq=False)
class _Level:
    """Scores of all models of a task at one level: truth (rows,), scores (models, rows), the patient of each row."""

    name: str
    truth: NDArray[Any]
    scores: Float
    patient: NDArray[Any]

    @classmethod
    def of(cls, name: str, truth: NDArray[Any], probability: Float) -> _Level:
        """Make it from labels (n, 3) and probabilities (models, n, 3)."""
        if name == "vessel":
            return cls(
                name, truth.ravel(), probability.reshape(len(probability), -1), np.repeat(np.arange(len(truth)), 3)
            )
        return cls(name, truth.max(axis=1), probability.max(axis=2), np.arange(len(truth)))

    def auc(self) -> Float:
        """Areas, (models,)."""
        return np.asarray(delong_table(self.truth, self.scores).auc)

    def counts(self, seed: int) -> NDArray[np.int32]:
        """Draw the bootstrap's patients."""
        rng = np.random.default_rng(seed)
        return resample_counts(self.truth, resamples=RESAMPLES, rng=rng, patient=self.patient)


def _about(job: Job) -> dict[str, str]:
    return {
        "strategy": job.strategy,
        "network": job.network,
        "input": job.fusion,
        "augmentation": "with" if job.augmented else "without",
    }


def _model_table(
    jobs: Sequence[Job], arrays: Sequence[Mapping[str, NDArray[Any]]], truth: Mapping[str, NDArray[Any]], seed: int
) -> pd.DataFrame:
    """One row a model of one task: areas on test, validation and fresh patients, whom it beats, how it trained."""
    table = pd.DataFrame([_about(job) for job in jobs])
    stacks = {part: np.stack([a[part] for a in arrays]).astype(np.float64) for part in truth}
    for name in LEVELS:
        level = _Level.of(name, truth["test"], stacks["test"])
        areas, samples = level.auc(), bootstrap_auc(level.truth, level.scores, level.counts(seed))
        limits = [percentile_interval(sample) for sample in samples]
        table[f"auc_{name}"] = areas
        table[f"auc_{name}_lo"], table[f"auc_{name}_hi"] = [i.lo for i in limits], [i.hi for i in limits]
        pairs = delong_pairs(delong_table(level.truth, level.scores))
        table[f"beats_{name}"] = beaten_by(pairs, len(jobs))
        table[f"beats_{name}_holm"] = beaten_by(pairs, len(jobs), p=adjust_p(pairs.p)) if len(jobs) > 1 else 0
        for part in ("validation", "fresh"):
            table[f"auc_{name}_{part}"] = _Level.of(name, truth[part], stacks[part]).auc()
    for index, vessel in enumerate(VESSELS):
        table[f"auc_{vessel}"] = delong_table(truth["test"][:, index], stacks["test"][:, :, index]).auc
    table["epochs"] = [len(a["accuracy"]) for a in arrays]
    table["chosen_epoch"] = [int(a["chosen_epoch"]) for a in arrays]
    table["stopped_by"] = [str(a["stopped"]) for a in arrays]
    table["seconds"] = [round(float(a["seconds"]), 2) for a in arrays]
    return table


def _best(
    jobs: Sequence[Job],
    arrays: Sequence[Mapping[str, NDArray[Any]]],
    truth: NDArray[Any],
    table: pd.DataFrame,
    seed: int,
) -> pd.DataFrame:
    """001's Tables 2 and 3: the two models of highest area of each strategy, with every metric at one half."""
    rows = []
    probability = np.stack([a["test"] for a in arrays]).astype(np.float64)
    for name in LEVELS:
        level = _Level.of(name, truth, probability)
        counts = level.counts(seed)
        for _, part in table.groupby("strategy", sort=False):
            for model in part.sort_values(f"auc_{name}", ascending=False).index[:2]:
                confusion, seen = measure_threshold(
                    level.truth, level.scores[model], counts=counts, clustered=name == "vessel"
                )
                row: dict[str, Any] = {"level": name, **_about(jobs[model])}
                row |= {"auc": table.loc[model, f"auc_{name}"]}
                row |= {f"auc_{end}": table.loc[model, f"auc_{name}_{end}"] for end in ("lo", "hi")}
                row |= {k: getattr(confusion, k) for k in ("tn", "tp", "fn", "fp")}
                for metric in ("accuracy", "sensitivity", "specificity", "balanced_accuracy", "precision"):
                    row |= {
                        metric: seen[metric].value,
                        f"{metric}_lo": seen[metric].interval.lo,
                        f"{metric}_hi": seen[metric].interval.hi,
                    }
                rows.append(row)
    return pd.DataFrame(rows)


def _factors(jobs: Sequence[Job], truth: NDArray[Any], probability: Float, seed: int) -> pd.DataFrame:
    """Compare strategies, inputs, augmentation and networks: 001's pooled rank sum, and the matched permutation."""
    about = [_about(job) for job in jobs]
    factors = {name: [a[name] for a in about] for name in _FACTORS}
    tables = []
    for name in LEVELS:
        level = _Level.of(name, truth, probability)
        samples = bootstrap_auc(level.truth, level.scores, level.counts(seed))
        found = factor_table(factors, level.auc(), samples, seed=seed)
        found.insert(0, "level", name)
        tables.append(found)
    return pd.concat(tables, ignore_index=True)


def optimism(
    truth: Mapping[str, NDArray[Any]], probability: Mapping[str, Float], seed: int, *, repeats: int = RESAMPLES
) -> pd.DataFrame:
    """Show what choosing the best of many models on the patients it is reported on does.

    Parameters
    ----------
    truth, probability
        For ``"test"``, ``"validation"`` and ``"fresh"``: labels (n, 3) and probabilities (models, n, 3).

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
    """001's supplementary figure: areas by strategy (columns) and network, input, augmentation (rows)."""
    from myoperf.report.style import house_style

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


def _predictions(
    jobs: Sequence[Job], arrays: Sequence[Mapping[str, NDArray[Any]]], truth: NDArray[Any]
) -> pd.DataFrame:
    """Give rows a vessel for ``myoperf evaluate``."""
    n = len(truth)
    columns: dict[str, Any] = {
        "patient": np.repeat([f"P{i:04d}" for i in range(n)], 3),
        "vessel": np.tile(VESSELS, n),
        "truth": truth.ravel(),
    }
    columns |= {job.key: a["test"].ravel() for job, a in zip(jobs, arrays, strict=True)}
    return pd.DataFrame(columns)


def write_tables(
    out: Path,
    jobs: Sequence[Job],
    arrays: Sequence[Mapping[str, NDArray[Any]]],
    cohort: StudyCohort,
    roles: Roles,
    *,
    seed: int,
) -> list[dict[str, Any]]:
    """Write every table of the study as CSV, the heat map, and predictions and factors for ``myoperf evaluate``."""
    cases = cohort.cases
    tables: list[pd.DataFrame] = []
    best: list[pd.DataFrame] = []
    for first in (True, False):
        rows = [i for i, job in enumerate(jobs) if (job.strategy == "task 1") == first]
        labels = cases.expert if first else cases.ica
        truth = {"test": labels[roles.test], "validation": labels[roles.ica_validation], "fresh": labels[cohort.fresh]}
        own, given = [jobs[i] for i in rows], [arrays[i] for i in rows]
        table = _model_table(own, given, truth, seed)
        tables.append(table)
        best.append(_best(own, given, truth["test"], table, seed))
        name = "task1" if first else "task2"
        _predictions(own, given, truth["test"]).to_csv(out / f"predictions_{name}.csv", index=False)
        about = pd.DataFrame([{"model": job.key, **_about(job)} for job in own])
        about.to_csv(out / f"factors_{name}.csv", index=False)
        if not first:
            stacks = {part: np.stack([a[part] for a in given]).astype(np.float64) for part in truth}
            _factors(own, truth["test"], stacks["test"], seed).to_csv(out / "label_strategies_factors.csv", index=False)
            optimism(truth, stacks, seed).to_csv(out / "label_strategies_optimism.csv", index=False)
    models = pd.concat(tables, ignore_index=True)
    models.to_csv(out / "label_strategies_models.csv", index=False)
    pd.concat(best, ignore_index=True).to_csv(out / "label_strategies_best.csv", index=False)
    _cohort_table(cohort, roles).to_csv(out / "label_strategies_cohort.csv", index=False)
    heat_map(models).savefig(out / "label_strategies.png", dpi=150)
    manifest = {"myoperf": __version__, "seed": seed, "models": len(jobs), "patients": len(cases) - len(cohort.fresh)}
    manifest |= {"fresh": len(cohort.fresh), "seconds": round(float(models["seconds"].sum()), 1)}
    (out / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    return [{str(k): v for k, v in row.items()} for row in models.to_dict("records")]


def _cohort_table(cohort: StudyCohort, roles: Roles) -> pd.DataFrame:
    """Prevalence of each part, by angiography (by expert where there was none), beside 001's."""
    cases = cohort.cases
    train = np.concatenate([roles.ica_train, roles.ica_validation])
    rows = []
    for name, part, labels in (
        ("ica train", train, cases.ica),
        ("test", roles.test, cases.ica),
        ("expert only", roles.expert, cases.expert),
        ("fresh", cohort.fresh, cases.ica),
    ):
        row: dict[str, Any] = {"part": name, "n": len(part), "labels": "expert" if name == "expert only" else "ica"}
        row |= {f"{k}_percent": round(v, 1) for k, v in prevalence(labels[part]).items()}
        paper = _PAPER_PREVALENCE.get(name, {})
        rows.append(row | {f"{k}_percent_in_paper": paper.get(k) for k in (*VESSELS, "patient")})
    return pd.DataFrame(rows)
