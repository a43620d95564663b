"""Which models the main job uses: what ships with the package, or the method that needs no weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from myoperf.errors import InputError, MissingWeightsError
from myoperf.pipeline.device import inference_device
from myoperf.pipeline.options import Models
from myoperf.types import Diagnosis, Finding, PretestProbability, ScanResult, Study, WeightsInfo

if TYPE_CHECKING:
    from myoperf.lv.inference import Device, Engine

EXPERIMENTAL = (
    "Research model, trained on simulated patients only; calibrated where {share:.0%} of patients have obstructive "
    "disease; per patient {tpd} (see the model's card)."
)
"""What the report shows with every probability."""


def load_models(*, device: str = "auto", diagnosis: bool = True, lv: str = "network", engine: str = "auto") -> Models:
    """Return the models of the main job.

    Parameters
    ----------
    device
        What the networks run on: "cpu", "cuda", or "auto" for a CUDA GPU where there is one, else the processor.
    diagnosis
        Whether to use the polar-map classifier; every diagnosis states what it was trained on and what was not shown.
    lv
        What locates the left ventricle: "network" (with the classical method to fall back on; where its
        weights are not installed, the classical method alone, which is then a finding of every report) or "classical".
    engine
        How that network is run, one of `myoperf.lv.inference.ENGINES`: "auto" is "compiled", which needs no torch, on
        the processor, and "float32" on a GPU.

    Raises
    ------
    InputError
        For another `lv`, `engine` or `device`, or one that is not available here; for weights that are not those of
        their card.
    """
    if lv not in ("network", "classical"):
        raise InputError(f"The left ventricle is located by network or classical; got {lv}.")
    if lv == "classical" and not diagnosis:
        return Models()
    if device == "auto" and engine.startswith(("openvino", "compiled")):
        device = "cpu"  # all that they run on
    chosen = inference_device(device)
    models = Models()
    if lv == "network":
        models = _with_network(models, cast("Engine", engine), chosen)
    if diagnosis:
        models = _with_classifier(models)
    return models


def _with_network(models: Models, engine: Engine, device: Device) -> Models:
    """Add the network that locates the ventricle; where its weights are missing, a finding says what is used."""
    from myoperf.lv.inference import choose_engine
    from myoperf.lv.network import load_network_lv

    resolved = choose_engine(engine, device)
    try:
        network = load_network_lv(_shipped("lv-compact"), engine=resolved, device=device)
    except MissingWeightsError as error:
        text = f"The ventricle was located by the classical method, not by the network. {error}"
        return replace(models, findings=(*models.findings, Finding("lv-network-missing", "warning", text)))
    return replace(
        models,
        find_lv=network.find_lv,
        segment_lv=network.segment_lv,
        segment_gates=network.segment_gates,
        segment_all=network.segment_all,
        weights=(*models.weights, WeightsInfo("lv-compact", str(network.card["sha256"]))),
        engine=resolved,
    )


def _with_classifier(models: Models) -> Models:
    """Add the classifier of polar maps; where its weights are missing, a finding says that there is no diagnosis."""
    from myoperf.diagnosis import load_classifier

    try:
        classifier = load_classifier()
    except MissingWeightsError as error:
        text = f"No probability of disease was estimated. {error}"
        return replace(models, findings=(*models.findings, Finding("classifier-missing", "warning", text)))
    note = _note_of(classifier.card)

    def classify(study: Study, results: Sequence[ScanResult]) -> Diagnosis | None:
        diagnosed = classifier.classify(study, results)
        if diagnosed is None:
            return None
        reason = f"{diagnosed.reason} {note}" if diagnosed.reason else note
        at = PretestProbability(_prevalence(classifier.card), "the patients that it was calibrated on")
        return replace(diagnosed, reason=reason, trained_at=at)

    used = WeightsInfo(classifier.name.split("/")[0], classifier.sha256)
    return replace(models, classify=classify, classifier=classifier.name, weights=(*models.weights, used))


def _shipped(name: str) -> Path:
    """Return the folder of weights in the package."""
    return Path(str(resources.files("myoperf"))) / "weights" / name


def _prevalence(card: Mapping[str, Any]) -> float:
    """Return the share of diseased patients among those that a classifier was calibrated on."""
    patients = card["patients"]["calibration"]
    return float(patients["diseased"] / patients["n"])


def _note_of(card: Mapping[str, Any]) -> str:
    """Return what a classifier was trained on, and whether its card shows it to be better than TPD."""
    areas = card["metrics"]["test"]["patient"]
    ahead = areas["classifier"]["auc"] > areas["tpd"]["auc"] and areas["classifier_against_tpd_p"] < 0.05
    shown = (
        f"better than TPD on {areas['n']} simulated patients imaged as those it learned from, not tested on real ones"
    )
    tpd = shown if ahead else "not shown to be better than TPD"
    return EXPERIMENTAL.format(share=_prevalence(card), tpd=tpd)
