"""Which models the main job uses: what ships with the package, or the method that needs no weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from myoperf.errors import InputError
from myoperf.pipeline.options import Models
from myoperf.types import Diagnosis, ScanResult, Study, WeightsInfo

if TYPE_CHECKING:
    from myoperf.lv.engine import Engine

__all__ = ["load_models"]

EXPERIMENTAL = (
    "Experimental: learned from simulated patients only; the probabilities hold where {share:.0%} of patients have "
    "obstructive disease; per patient {tpd} (see the model's card)."
)
"""What stands beside every probability."""


def load_models(*, device: str = "cpu", diagnosis: bool = True, lv: str = "network", engine: str = "auto") -> Models:
    """Give the models of the main job.

    Parameters
    ----------
    device
        For networks; nothing shipped is large enough to gain from another than the CPU yet.
    diagnosis
        Whether to use the polar-map classifier; every diagnosis says what it learned from and what was not shown.
    lv
        What finds the left ventricle: "network" (with the classical method to fall back on; where no
        weights are installed, the classical method alone) or "classical".
    engine
        How that network is run, one of `myoperf.lv.engine.ENGINES`: "auto" is bfloat16 where the processor has it.

    Raises
    ------
    InputError
        For another `lv` or `engine`, or an engine that is not installed.
    """
    del device
    if lv not in ("network", "classical"):
        raise InputError(f"The left ventricle is found by network or classical; got {lv}.")
    models = Models()
    if lv == "network" and (weights := _installed("lv-compact")) is not None:
        from myoperf.lv.engine import choose_engine  # brings torch
        from myoperf.lv.network import load_network_lv

        way = choose_engine(cast("Engine", engine))
        network = load_network_lv(weights, engine=way)
        used = WeightsInfo("lv-compact", str(network.card["sha256"]))
        models = replace(
            models,
            find_lv=network.find_lv,
            segment_lv=network.segment_lv,
            segment_gates=network.segment_gates,
            weights=(used,),
            engine=way,
        )
    if diagnosis:
        models = _with_classifier(models)
    return models


def _installed(name: str) -> Path | None:
    """Give the folder of shipped weights, if they are there."""
    folder = Path(str(resources.files("myoperf"))) / "weights" / name
    return folder if (folder / "model.safetensors").is_file() else None


def _with_classifier(models: Models) -> Models:
    from myoperf.diagnosis import load_classifier  # brings torch

    classifier = load_classifier()
    note = _said_of(classifier.card)

    def classify(study: Study, results: Sequence[ScanResult]) -> Diagnosis | None:
        found = classifier.classify(study, results)
        if found is None:
            return None
        return replace(found, reason=f"{found.reason} {note}" if found.reason else note)

    used = WeightsInfo(classifier.name.split("/")[0], classifier.sha256)
    return replace(models, classify=classify, weights=(*models.weights, used))


def _said_of(card: Mapping[str, Any]) -> str:
    """Say what a classifier learned from, and whether its card shows it to be better than TPD."""
    patients, areas = card["patients"]["calibration"], card["metrics"]["test"]["patient"]
    ahead = areas["classifier"]["auc"] > areas["tpd"]["auc"] and areas["classifier_against_tpd_p"] < 0.05
    shown = f"better than TPD on {areas['n']} simulated patients, not tested on real ones"
    tpd = shown if ahead else "not shown to be better than TPD"
    return EXPERIMENTAL.format(share=patients["diseased"] / patients["n"], tpd=tpd)
