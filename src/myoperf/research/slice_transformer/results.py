"""What the study of Zhao et al. writes from the trainings that are done: predictions, tables, figures, manifest."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from myoperf import __version__
from myoperf.research.slice_transformer.arms import ARMS, key_of
from myoperf.research.slice_transformer.tables import answer_questions, markdown, measure_models
from myoperf.research.training.plots import draw_confusion, draw_roc
from myoperf.research.training.tables import SMOKE, mark_scale, write_manifest


def write_results(out: Path, about: Mapping[str, Any]) -> None:
    """Write the results of every training in ``jobs/``; nothing if none is done.

    Parameters
    ----------
    out
        Gets ``predictions.csv``, the same for ``myoperf evaluate`` (``evaluate-0.csv`` of the first split and so on),
        ``table.csv``, ``answers.csv``, ``table.md``, ``roc.png``, ``confusion.png`` (at 0.5, all splits together) and
        ``manifest.json``.
    about
        Manifest; `scale`, `seed`, `data`, `data_sha256`, `patients` and `abnormal` are used here.
    """
    files = sorted((out / "jobs").rglob("*.csv"))
    if not files:
        return
    kinds = {} if about["data_sha256"] is None else {"patient": str}  # a name such as 007 is no number
    predictions = pd.concat([pd.read_csv(path, dtype=kinds) for path in files], ignore_index=True)
    names = [arm.name for arm in ARMS]
    order = predictions["model"].map(lambda name: names.index(name) if name in names else len(names))
    predictions = predictions.iloc[np.lexsort((predictions.index, predictions["split"], order))]
    predictions.to_csv(out / "predictions.csv", index=False)
    _write_for_evaluate(out, predictions)
    numbers = {arm.name: " ".join(map(str, arm.tables)) for arm in ARMS}
    table, answers = measure_models(predictions, numbers, about["seed"]), answer_questions(predictions, about["seed"])
    spent = predictions.groupby(["model", "split"])["cpu_s"].first().groupby("model").sum()
    table["cpu_s"] = table["model"].map(spent)
    scale = str(about["scale"])
    for name, frame in (("table", table), ("answers", answers)):
        mark_scale(frame, scale).to_csv(out / f"{name}.csv", index=False, float_format="%.5g")
    done = {"schema": "myoperf.study/1", "study": "multi-branch-mit", "myoperf": __version__}
    write_manifest(out, {**done, "trainings_done": len(files), **about})
    _draw(out, predictions)
    heading = (f"{SMOKE}\n\n" if scale == "smoke" else "") + (
        f"# Multi-branch MiT, scale {scale}\n\n{about['patients']} {about['data']}; {about['abnormal']} abnormal. "
        "Models start from random numbers, those called pre-trained from UniMiSS weights, those called ImageNet from "
        "ImageNet's. Areas are means over splits by patient, 95 % intervals by bootstrap over patients; F1, "
        "sensitivity and specificity are at 0.5. Research use only.\n\n"
    )
    (out / "table.md").write_text(heading + markdown(table, answers), encoding="utf-8")


def _write_for_evaluate(out: Path, predictions: pd.DataFrame) -> None:
    """Write each split's predictions with a column a model; a model that is still to be trained there is left out."""
    for split, part in predictions.groupby("split"):
        wide = part.pivot(index=["patient", "truth"], columns="model", values="probability")
        wide = wide[list(dict.fromkeys(part["model"]))].dropna(axis=1).rename(columns=key_of)
        wide.reset_index().to_csv(out / f"evaluate-{split}.csv", index=False)


def _draw(out: Path, predictions: pd.DataFrame) -> None:
    by_model = {str(name): part for name, part in predictions.groupby("model", sort=False)}
    lines = [(name, part["truth"].to_numpy(), part["probability"].to_numpy()) for name, part in by_model.items()]
    draw_roc({"all models": lines}).savefig(out / "roc.png", dpi=150)
    called = {name: (truth, (score >= 0.5).astype(int)) for name, truth, score in lines}
    draw_confusion(called).savefig(out / "confusion.png", dpi=150)
