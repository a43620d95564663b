"""Tables 3 and 4 of Hai et al. 2022 with intervals, and activation maps."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from myoperf.research.training.arrays import load_arrays
from myoperf.research.training.tables import markdown_table, write_manifest
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
"""The paper's accuracy, AUC, precision, sensitivity and F1 on its 44 test patients."""

TABLE_4: Mapping[int, tuple[float, ...]] = {
    1: (0.750, 0.812, 0.444, 0.703, 3128),
    2: (0.841, 0.893, 0.611, 0.806, 3125),
    3: (0.886, 0.917, 0.722, 0.861, 1488),
    4: (0.932, 0.915, 0.889, 0.925, 845),
    5: (0.886, 0.897, 0.883, 0.878, 998),
    6: (0.955, 0.932, 0.889, 0.944, 1120),
}
"""The paper's accuracy, AUC, specificity, sensitivity and training time in seconds of ResNet152V2 by strategy."""

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
    return row


def write_tables(
    out: Path,
    rows: Sequence[Mapping[str, Any]],
    how: Mapping[str, Any],
    *,
    seed: int,
    patients: Sequence[str] | None = None,
) -> list[dict[str, Any]]:
    """Write ``two_stage.csv``, ``two_stage_delong.csv``, predictions, activation maps and the manifest.

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
    frame = pd.DataFrame(table)
    frame.to_csv(out / "two_stage.csv", index=False)
    pd.DataFrame(pairs, columns=["part", "a", "b", "difference", "p"]).to_csv(out / "two_stage_delong.csv", index=False)
    truth = np.concatenate(list(truths.values()))
    columns: dict[str, Any] = {"patient": patients or [f"P{i:04d}" for i in range(len(truth))], "truth": truth}
    columns |= {name: np.concatenate([row[part] for part in parts]) for name, row in zip(names, rows, strict=True)}
    pd.DataFrame(columns).to_csv(out / "predictions.csv", index=False)
    if (maps := out / "jobs" / "cam.npz").exists():
        draw_activation_maps(load_arrays(maps)).savefig(out / "two_stage_cam.png", dpi=150)
    (out / "two_stage.md").write_text(_as_markdown(frame, how), encoding="utf-8")
    write_manifest(out, how)
    return [{str(k): v for k, v in row.items()} for row in frame.to_dict("records")]


def _as_markdown(frame: pd.DataFrame, how: Mapping[str, Any]) -> str:
    """Write the rows of ``two_stage.csv`` as tables, one a part."""
    parts = list(dict.fromkeys(frame["part"]))
    text = [f"{str(how['data']).capitalize()}; epoch chosen on: {how['choose_on']}. 95 % intervals."]
    if "fresh" not in parts:
        text.append(
            "Test part only; there are no fresh patients. A patient's probability is the mean over the patient's "
            f"pictures; pictures refused and left out (refused.csv): {how['refused']}."
        )
    shown = ["network", "weights", "strategy"]
    for name in ("accuracy", "auc", "precision", "sensitivity", "specificity", "f1"):
        shown += [name, f"{name}_lo", f"{name}_hi"]
    for part in parts:
        chosen = frame[frame["part"] == part]
        text.append(f"{part}, n {int(chosen['n'].iloc[0])}:")
        text.append(markdown_table(chosen[shown], titles={"auc": "AUC", "f1": "F1"}).strip())
    return "\n\n".join(text) + "\n"


def draw_activation_maps(kept: Mapping[str, NDArray[Any]]) -> Figure:
    """Draw each picture above its activation map with the probability, as the paper does."""
    from myoperf.research.training.plots import house_style

    with house_style():
        count = len(kept["discs"])
        figure = Figure(figsize=(1.3 * count, 2.9), layout="constrained")
        axes = figure.subplots(2, count, squeeze=False)
        for index in range(count):
            disc, heat = kept["discs"][index], kept["maps"][index]
            axes[0, index].imshow(disc, cmap="gray", vmin=0, vmax=1)
            axes[1, index].imshow(disc, cmap="gray", vmin=0, vmax=1)
            axes[1, index].imshow(np.ma.masked_where(disc <= 0, heat), cmap="inferno", alpha=0.55, vmin=0, vmax=1)
            truth = "disease" if kept["truth"][index] else "no disease"
            axes[0, index].set_title(f"{truth}\nprobability {float(kept['probability'][index]):.2f}")
            for axis in axes[:, index]:
                axis.set_axis_off()
    return figure
