"""``myoperf train unimiss``: pre-train a Medical Transformer without labels, and show what its features are worth.

Volumes are the slice stacks of simulated patients (short axis, horizontal and vertical long axis; stress before rest
along depth); pictures are their single slices. Real volumes and pictures in ``--data`` are added. Whether the features
help is asked of other simulated patients: a logistic regression on frozen features of the pre-trained encoder against
the same on encoders of random numbers.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from rich.progress import Progress

from myoperf import __version__
from myoperf.research.slice_transformer.cases import PAPER_POPULATION, SliceCases, collect_cases
from myoperf.research.slice_transformer.mit import MiT, MiTConfig, build_mit
from myoperf.research.slice_transformer.mit_weights import write_checkpoint
from myoperf.research.slice_transformer.unimiss.losses import UniMissOptions
from myoperf.research.slice_transformer.unimiss.pretraining import Pretrained, Step, pretrain
from myoperf.research.slice_transformer.unimiss.views import ViewOptions
from myoperf.stats import bootstrap_auc, delong_table, percentile_interval, resample_counts
from myoperf.types import Float

if TYPE_CHECKING:
    from myoperf.research.slice_transformer.unimiss.unlabelled import Unlabelled

__all__ = ["SCALES", "Scale", "compare_probes", "probe_features", "probe_scores", "run"]


PROBE_OFFSET, RANDOM_SEEDS, FOLDS, PROBE_C = 5000, (0, 1, 2), 5, 1e-3


@dataclass(frozen=True)
class Scale:
    """How large a run is.

    Parameters
    ----------
    patients, probed
        Simulated patients to learn from, and others to ask.
    """

    patients: int
    probed: int
    config: MiTConfig
    options: UniMissOptions


_COMPACT = MiTConfig("tiny", "batch", "relu", picture_shape=(32, 32), volume_shape=(16, 32, 32))
SCALES: Mapping[str, Scale] = MappingProxyType(
    {
        "smoke": Scale(
            12,
            12,
            _COMPACT,
            UniMissOptions(
                epochs=2, interval=1, batch=4, epoch_steps=1, warmup_epochs=0, outputs=64, hidden=32, bottleneck=16
            ),
        ),
        "small": Scale(
            300,
            160,
            _COMPACT,
            UniMissOptions(
                epochs=24,
                interval=1,
                batch=16,
                epoch_steps=10,
                learning_rate=0.008,
                final_learning_rate=1e-5,
                warmup_epochs=3,
                momentum=0.99,
                outputs=1024,
                hidden=512,
                bottleneck=128,
                head_norm=True,
                views=ViewOptions(picture_area=0.6, picture_mirror=0.0, volume_mirror=0.0, blur_px=0.7),
            ),
        ),
        "full": Scale(2000, 300, MiTConfig(volume_shape=(32, 96, 96)), UniMissOptions()),
    }
)
"""``small`` is for one processor core; ``full`` has the authors' options and wants a GPU."""


def probe_features(network: MiT, cases: SliceCases) -> dict[str, Float]:
    """Give frozen features, the three views joined.

    Returns
    -------
    Means of the tokens: "stage 3" -> (patients, 3 x 256), "stage 4" -> (patients, 3 x 512); and the decoder's class
    token, which the losses of pre-training read: "decoder" -> (patients, 3 x 48).
    """
    network.eval()
    parts: dict[str, list[Float]] = {"stage 4": [], "stage 3": [], "decoder": []}
    with torch.no_grad():
        for start in range(0, len(cases), 32):
            stacks = torch.from_numpy(cases.stacks[start : start + 32].astype(np.float32))
            seen = [network.encoder(stacks[:, i : i + 1]).pyramid for i in range(3)]
            for index in (3, 4):
                means = [maps[index].flatten(2).mean(2) for maps in seen]
                parts[f"stage {index}"].append(torch.cat(means, dim=1).numpy())
            parts["decoder"].append(torch.cat([network(stacks[:, i : i + 1]) for i in range(3)], dim=1).numpy())
    return {stage: np.concatenate(found) for stage, found in parts.items()}


def probe_scores(features: Float, truth: NDArray[np.int64], *, seed: int = 0) -> Float:
    """Score every patient by a logistic regression (penalty 1 / C, C = `PROBE_C`) of the others, in five folds."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    steps = make_pipeline(StandardScaler(), LogisticRegression(C=PROBE_C, max_iter=2000))
    folds = StratifiedKFold(min(FOLDS, int(np.bincount(truth, minlength=2).min())), shuffle=True, random_state=seed)
    return np.asarray(cross_val_predict(steps, features, truth, cv=folds, method="predict_proba")[:, 1])


def compare_probes(scores: Mapping[str, Float], truth: NDArray[np.int64], *, seed: int = 0) -> pd.DataFrame:
    """Measure every probe's area and its difference from the first one's, both with 95 % intervals by bootstrap.

    Parameters
    ----------
    scores
        Name of the features -> (patients,); the first is compared with each of the others.
    """
    names, matrix = list(scores), np.stack(list(scores.values()))
    counts = resample_counts(truth, resamples=2000, rng=np.random.default_rng(seed))
    areas, drawn = delong_table(truth, matrix).auc, bootstrap_auc(truth, matrix, counts)
    rows = []
    for i, name in enumerate(names):
        interval, gap = percentile_interval(drawn[i]), percentile_interval(drawn[0] - drawn[i])
        row = {"features": name, "n": len(truth), "n_abnormal": int(truth.sum()), "auc": areas[i]}
        row |= {"auc_lo": interval.lo, "auc_hi": interval.hi}
        if i:
            row |= {"first_better_by": areas[0] - areas[i], "by_lo": gap.lo, "by_hi": gap.hi}
        rows.append(row)
    return pd.DataFrame(rows)


def run(
    scale: str, out: Path, seed: int, *, data: Path | None, resume: bool, quiet: bool, patients: Path | None = None
) -> None:
    """Pre-train and probe; `resume` goes on where an earlier run in `out` stopped.

    Parameters
    ----------
    scale
        A key of `SCALES`.
    out
        Gets ``unimiss.pt`` (see `mit_weights.read_checkpoint`), ``steps.csv``, ``epochs.csv``, ``probe.csv``
        and ``card.json``.
    seed
        Of patients, weights and views.
    data
        Folder of volumes (DICOM, NIfTI), with a slice of each of their views, and pictures (JPEG, PNG) to learn from
        too; None for simulation alone.
    patients
        Folder of simulated patients of this and other seeds; default: ``patients`` in `out`.
    """
    del resume  # whatever lies in `out` is gone on from; settings are checked
    size = SCALES[scale]
    out.mkdir(parents=True, exist_ok=True)
    shape, kept = size.config.volume_shape, patients or out / "patients"
    with Progress(disable=quiet, transient=True) as bar:
        learned = _cases(bar, kept, size.patients, seed, shape)
        volumes = list(learned.stacks.reshape(-1, *shape).astype(np.float32))
        views = [place % 3 for place in range(len(volumes))]
        groups = views, views
        pictures = _slices(volumes, np.random.default_rng([seed, 1]))
        more = None
        if data is not None:
            from myoperf.research.slice_transformer.unimiss.unlabelled import (
                read_unlabelled,  # the reader of studies is slow to start
            )

            more = read_unlabelled(data, shape)
            planes = _slices(list(more.volumes), np.random.default_rng([seed, 2]), states=1)
            volumes, pictures = volumes + list(more.volumes), pictures + planes + list(more.pictures)
            seen = [3 + place % 3 for place in range(len(more.volumes))]
            groups = views + seen + [6] * len(more.pictures), views + seen
        task = bar.add_task("pre-training", total=None)

        def show(step: Step) -> None:
            words = f"epoch {step.epoch + 1} of {size.options.epochs}, {step.kind}, loss {step.loss:.2f}"
            bar.update(task, description=words)

        result = pretrain(
            pictures,
            volumes,
            config=size.config,
            options=size.options,
            seed=seed,
            groups=groups,
            checkpoint=out / "state.pt",
            report=show,
        )
        probed = _cases(bar, kept, size.probed, seed + PROBE_OFFSET, shape)
    write_checkpoint(out / "unimiss.pt", result.student, result.teacher)
    steps, epochs = _curves(result)
    steps.to_csv(out / "steps.csv", index=False, float_format="%.5g")
    epochs.to_csv(out / "epochs.csv", index=False, float_format="%.5g")
    asked = {"unseen": probed, "seen without labels": learned.take(np.arange(min(size.probed, len(learned))))}
    probes = _probe(result, size.config, asked, seed)
    probes.to_csv(out / "probe.csv", index=False, float_format="%.5g")
    card = {
        "name": "unimiss",
        "task": "self-supervised features of perfusion slices; no diagnosis by itself",
        "training_data": "simulated patients (slice stacks and single slices)" + _said(more),
        "patients": size.patients,
        "probed_patients": size.probed,
        "not_read_of_data": more.failed if more else 0,
        "config": asdict(size.config),
        "options": asdict(size.options),
        "seed": seed,
        "command": f"myoperf train unimiss --scale {scale} --seed {seed}",
        "probe": probes.to_dict("records"),
        "sha256": hashlib.sha256((out / "unimiss.pt").read_bytes()).hexdigest(),
        "myoperf": __version__,
        "licence": "Apache-2.0",
    }
    (out / "card.json").write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")


def _said(more: Unlabelled | None) -> str:
    if more is None:
        return ""
    return f"; from --data {len(more.volumes)} stacks, a slice of each, and {len(more.pictures)} pictures"


def _cases(bar: Progress, folder: Path, n: int, seed: int, shape: tuple[int, int, int]) -> SliceCases:
    task = bar.add_task("simulating", total=n)
    return collect_cases(
        folder, n, seed, shape=shape, options=PAPER_POPULATION, report=lambda done: bar.update(task, completed=done)
    )


def _slices(volumes: list[Float], rng: np.random.Generator, *, states: int = 2) -> list[Float]:
    """Take one plane of every volume, from the middle two thirds of one state."""
    out = []
    for volume in volumes:
        depth = len(volume) // states
        out.append(volume[rng.integers(states) * depth + rng.integers(depth // 6, depth - depth // 6)])
    return out


def _curves(result: Pretrained) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Give every step, and the means of every epoch with the rank of the teacher's features after it."""
    steps = pd.DataFrame([asdict(step) for step in result.steps])
    epochs = steps.groupby(["epoch", "kind"], as_index=False)[["loss", "entropy", "spread", "learning_rate"]].mean()
    epochs["answers_of_their_own"] = epochs["spread"] - epochs["entropy"]
    epochs["rank"] = result.ranks[1:]
    before = pd.DataFrame({"epoch": [-1], "kind": ["before"], "rank": [result.ranks[0]]})
    return steps, pd.concat([before, epochs], ignore_index=True)


def _probe(result: Pretrained, config: MiTConfig, cohorts: Mapping[str, SliceCases], seed: int) -> pd.DataFrame:
    """Ask pre-trained and random features of two depths, of patients that pre-training saw and of others."""
    networks = {"teacher": result.teacher, "student": result.student}
    networks |= {f"random {s}": build_mit(config, seed=1000 + s) for s in RANDOM_SEEDS}
    tables = []
    for cohort, cases in cohorts.items():
        features = {name: probe_features(network, cases) for name, network in networks.items()}
        for stage in next(iter(features.values())):
            scores = {name: probe_scores(found[stage], cases.expert, seed=seed) for name, found in features.items()}
            table = compare_probes(scores, cases.expert, seed=seed)
            tables.append(table.assign(patients=cohort, stage=stage))
    return pd.concat(tables, ignore_index=True)
