"""Tables 3 and 4 of Hai et al. 2022 with intervals, and activation maps."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from myoperf.research.training.arrays import load_arrays
from myoperf.research.training.tables import SMOKE, mark_scale, markdown_table, write_manifest
from myoperf.stats import delong_pairs, delong_table, measure_threshold, resample_counts

TABLE_3: Mapping[str, tuple[float, ...]] = {
    "VGG16": (0.886, 0.900, 0.919, 0.861, 0.875),
    "VGG19": (0.864, 0.859, 0.866, 0.850, 0.856),
    "Xception": (0.909, 0.919, 0.915, 0.897, 0.904),
    "MobileNetV2": (0.864, 0.844, 0.906, 0.833, 0.848),
    "EfficientNetB0": (0.886, 0.865, 0.919, 0.861, 0.875),
    "EfficientNetB4": (0.886, 0.876, 0.886, 0.878, 0.881),
    "EfficientNetB7": (0.864, 0.829, 0.906, 0.833, 0.848),
    "InceptionV3": (0.909, 0.902, 0.933, 0.889, 0.901),
    "InceptionResNetV2": (0.886, 0.855, 0.919, 0.861, 0.875),
    "DenseNet121": (0.864, 0.885, 0.881, 0.841, 0.853),
    "DenseNet169": (0.864, 0.887, 0.906, 0.833, 0.848),
    "DenseNet201": (0.864, 0.910, 0.866, 0.850, 0.856),
    "ResNet50V2": (0.864, 0.876, 0.906, 0.833, 0.848),
    "ResNet101V2": (0.886, 0.818, 0.919, 0.861, 0.875),
    "ResNet152V2": (0.955, 0.932, 0.964, 0.944, 0.952),
}
"""The paper's accuracy, AUC, precision, sensitivity and F1 on its 44 test patients.

Precision, sensitivity and F1 are macro averages over both classes on 26 patients with and 18 without disease: read so,
13 of the 15 rows come out as whole numbers of patients (InceptionV3 and DenseNet121 do not); `macro_of_counts`.
"""

TABLE_4: Mapping[int, tuple[float, ...]] = {
    1: (0.750, 0.812, 0.444, 0.703, 3128),
    2: (0.841, 0.893, 0.611, 0.806, 3125),
    3: (0.886, 0.917, 0.722, 0.861, 1488),
    4: (0.932, 0.915, 0.889, 0.925, 845),
    5: (0.886, 0.897, 0.883, 0.878, 998),
    6: (0.955, 0.932, 0.889, 0.944, 1120),
}
"""The paper's accuracy, AUC, specificity, sensitivity and training time in seconds of ResNet152V2 by strategy.

Sensitivity is a macro average as in `TABLE_3`, specificity is not. Strategy 5's specificity of .883 is a misprint: 15
of 18 patients give .833, as do its accuracy and sensitivity.
"""
TABLE_COUNTS = (26, 18)
"""Patients with and without disease in the paper's test part."""

_METRICS = ("accuracy", "precision", "sensitivity", "specificity", "f1")
PARTS = ("test", "fresh")


def _measure(truth: NDArray[Any], probability: NDArray[Any], seed: int) -> dict[str, float]:
    """Return AUC and the metrics at one half, each with its interval."""
    table = delong_table(truth, probability)
    row = table.interval(0).columns("auc", float(table.auc[0]))
    counts = resample_counts(truth, resamples=1000, rng=np.random.default_rng(seed))
    _, measured = measure_threshold(truth, probability, counts=counts)
    for name in _METRICS:
        row |= measured[name].columns(name)
    return row | _macro(truth, probability, counts)


def macro_of_counts(tp: float, fn: float, tn: float, fp: float) -> dict[str, float]:
    """Return precision, sensitivity and F1 as averages over both classes, as the paper prints them.

    Examples
    --------
    >>> {name: round(value, 3) for name, value in macro_of_counts(26, 0, 16, 2).items()}  # ResNet152V2
    {'precision_macro': 0.964, 'sensitivity_macro': 0.944, 'f1_macro': 0.952}
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        found, right = np.divide((tp, tn), (tp + fn, tn + fp)), np.divide((tp, tn), (tp + fp, tn + fn))
        both = np.divide((2 * tp, 2 * tn), (2 * tp + fp + fn, 2 * tn + fp + fn))
    return {
        "precision_macro": float(right.mean()),
        "sensitivity_macro": float(found.mean()),
        "f1_macro": float(both.mean()),
    }


def _macro(truth: NDArray[Any], probability: NDArray[Any], counts: NDArray[np.int32]) -> dict[str, float]:
    """Return macro averages at one half, each with its bootstrap interval over patients."""
    called, diseased = np.asarray(probability) >= 0.5, np.asarray(truth) == 1
    cells = np.stack([called & diseased, ~called & diseased, ~called & ~diseased, called & ~diseased]).astype(float)
    row: dict[str, float] = {}
    resampled = [macro_of_counts(*drawn) for drawn in counts @ cells.T]
    for name, value in macro_of_counts(*cells.sum(1)).items():
        samples = np.asarray([each[name] for each in resampled])
        known = samples[np.isfinite(samples)]
        lo, hi = np.percentile(known, (2.5, 97.5)) if known.size else (np.nan, np.nan)
        row |= {name: value, f"{name}_lo": float(lo), f"{name}_hi": float(hi)}
    return row


def write_tables(
    out: Path,
    rows: Sequence[Mapping[str, Any]],
    how: Mapping[str, Any],
    *,
    seed: int,
    patients: Sequence[str] | None = None,
) -> list[dict[str, Any]]:
    """Write ``two_stage.csv``, ``_delong``, ``_curves``, predictions, activation maps and the manifest.

    Parameters
    ----------
    rows
        One a model: network, strategy, weights, probabilities of the test patients and of the fresh ones if there are
        any, and their truth.
    how
        Goes into the manifest; ``choose_on``, ``data`` and, of a folder, ``refused`` go into the tables too.
    patients
        Names of the patients predicted; numbers where None.

    Returns
    -------
    The rows of ``two_stage.csv``: one a model and part.
    """
    parts = [part for part in PARTS if part in rows[0]["truth"]]
    truths = {part: np.asarray(rows[0]["truth"][part]) for part in parts}
    names = [f"{r['network']} {r['weights']} strategy {r['strategy']}" for r in rows]
    table: list[dict[str, Any]] = []
    pairs: list[dict[str, Any]] = []
    for part, truth in truths.items():
        for row in rows:
            about = {k: row[k] for k in ("network", "strategy", "weights", "cpu_seconds", "chosen_epoch")}
            table.append({"part": part, "n": truth.size, **about, **_measure(truth, np.asarray(row[part]), seed)})
        tested = delong_pairs(delong_table(truth, np.asarray([row[part] for row in rows])))
        for a, b, difference, p in zip(tested.a, tested.b, tested.difference, tested.p, strict=True):
            pairs.append({"part": part, "a": names[a], "b": names[b], "difference": difference, "p": p})
    frame, scale = mark_scale(pd.DataFrame(table), str(how["scale"])), str(how["scale"])
    frame.to_csv(out / "two_stage.csv", index=False)
    tests = pd.DataFrame(pairs, columns=["part", "a", "b", "difference", "p"])
    mark_scale(tests, scale).to_csv(out / "two_stage_delong.csv", index=False)
    curves = mark_scale(_curves(rows), scale)
    curves.to_csv(out / "two_stage_curves.csv", index=False)
    draw_curves(curves).savefig(out / "two_stage_curves.png", dpi=150)
    truth = np.concatenate(list(truths.values()))
    columns: dict[str, Any] = {"patient": patients or [f"P{i:04d}" for i in range(len(truth))], "truth": truth}
    columns |= {name: np.concatenate([row[part] for part in parts]) for name, row in zip(names, rows, strict=True)}
    pd.DataFrame(columns).to_csv(out / "predictions.csv", index=False)
    maps = {path.stem.removeprefix("cam-"): load_arrays(path) for path in sorted((out / "jobs").glob("cam-*.npz"))}
    if maps:
        draw_activation_maps(maps).savefig(out / "two_stage_cam.png", dpi=150)
    (out / "two_stage.md").write_text(_as_markdown(frame, how), encoding="utf-8")
    write_manifest(out, how)
    return [{str(k): v for k, v in row.items()} for row in frame.to_dict("records")]


def _as_markdown(frame: pd.DataFrame, how: Mapping[str, Any]) -> str:
    """Write the rows of ``two_stage.csv`` as tables, one a part."""
    parts = list(dict.fromkeys(frame["part"]))
    text = [SMOKE] if how["scale"] == "smoke" else []
    text.append(
        f"{str(how['data']).capitalize()}; epoch chosen on: {how['choose_on']}. 95 % intervals. The paper's precision, "
        "sensitivity and F1 are macro averages over both classes: compare the columns called macro with them."
    )
    if "fresh" not in parts:
        text.append(
            "Test part only; there are no fresh patients. A patient's probability is the mean over the patient's "
            f"pictures; pictures refused and left out (refused.csv): {how['refused']}."
        )
    shown = ["network", "weights", "strategy"]
    for name in ("accuracy", "auc", *_METRICS[1:], "precision_macro", "sensitivity_macro", "f1_macro"):
        shown += [name, f"{name}_lo", f"{name}_hi"]
    for part in parts:
        chosen = frame[frame["part"] == part]
        text.append(f"{part}, n {int(chosen['n'].iloc[0])}:")
        text.append(markdown_table(chosen[shown], titles={"auc": "AUC", "f1": "F1"}).strip())
    return "\n\n".join(text) + "\n"


def _curves(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return accuracy and loss on the choosing pictures, a row a model and epoch (of both stages in turn)."""
    parts = [
        pd.DataFrame(
            {
                **{name: row[name] for name in ("network", "weights", "strategy")},
                "epoch": range(len(row["loss_curve"])),
                "accuracy": row["accuracy_curve"],
                "loss": row["loss_curve"],
            }
        )
        for row in rows
    ]
    return pd.concat(parts, ignore_index=True)


def draw_curves(curves: pd.DataFrame) -> Figure:
    """Draw accuracy and loss on the choosing pictures over the epochs of both stages, a line a model.

    Parameters
    ----------
    curves
        A row a model and epoch: ``network``, ``weights``, ``strategy``, ``epoch``, ``accuracy``, ``loss``.
    """
    from myoperf.research.training.plots import house_style

    with house_style():
        figure = Figure(figsize=(7.5, 3.0), layout="constrained")
        for axis, name in zip(figure.subplots(1, 2), ("accuracy", "loss"), strict=True):
            for key, part in curves.groupby(["network", "weights", "strategy"], sort=False):
                axis.plot(part["epoch"], part[name], lw=0.8, label=" ".join(map(str, key)))
            axis.set_xlabel("epoch")
            axis.set_ylabel(f"{name} on the choosing pictures")
        figure.axes[0].legend(fontsize=5)
    return figure


def draw_activation_maps(strategies: Mapping[str, Mapping[str, NDArray[Any]]]) -> Figure:
    """Draw pictures above their activation maps with the probability, a row a strategy, as the paper does.

    Parameters
    ----------
    strategies
        ``discs``, ``maps``, ``truth`` and ``probability`` of the same patients by strategy.
    """
    from myoperf.research.training.plots import house_style

    with house_style():
        first = next(iter(strategies.values()))
        count = len(first["discs"])
        figure = Figure(figsize=(1.3 * count, 1.45 * (1 + len(strategies))), layout="constrained")
        axes = figure.subplots(1 + len(strategies), count, squeeze=False)
        for index in range(count):
            axes[0, index].imshow(first["discs"][index], cmap="gray", vmin=0, vmax=1)
            axes[0, index].set_title("disease" if first["truth"][index] else "no disease")
            for line, (strategy, kept) in zip(axes[1:], strategies.items(), strict=True):
                disc, heat = kept["discs"][index], kept["maps"][index]
                outside = disc.reshape(*heat.shape, -1).max(axis=2) <= 0
                line[index].imshow(disc, cmap="gray", vmin=0, vmax=1)
                shown = np.ma.masked_where(outside, heat)
                line[index].imshow(shown, cmap="inferno", alpha=0.55, vmin=0, vmax=1)
                line[index].set_title(f"strategy {strategy}: {float(kept['probability'][index]):.2f}")
            for axis in axes[:, index]:
                axis.set_axis_off()
    return figure
