"""Apply a trained model of Hajianfar et al. 2025 to patients that it has not seen: ``myoperf predict``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from myoperf.errors import InputError
from myoperf.research.backbones.efficientnet_lite0 import EfficientNetLite0
from myoperf.research.label_strategies.own_cohort import read_own_cohort
from myoperf.research.label_strategies.polar_fusion import PolarFusion, build_polar_fusion
from myoperf.research.label_strategies.study import frozen_network
from myoperf.research.label_strategies.training import Inputs, apply_clinical, frozen_features, predict_polar
from myoperf.research.screenshots.colour_scales import Anchors
from myoperf.research.training.predictions import Predicted
from myoperf.research.training.weights import load_tensors, read_model
from myoperf.types import VESSELS

NAME = "label-strategies"


def vessel_rows(names: NDArray[np.str_], truth: NDArray[np.int64], probability: NDArray[Any]) -> pd.DataFrame:
    """Return a row a vessel in the form that ``myoperf evaluate`` reads.

    Parameters
    ----------
    truth
        (patients, 3), -1 where it is not known.
    probability
        (patients, 3).
    """
    labels = pd.array(truth.ravel(), dtype="Int64")
    labels[truth.ravel() < 0] = pd.NA
    return pd.DataFrame(
        {
            "patient": np.repeat(names, 3),
            "vessel": np.tile(VESSELS, len(names)),
            "truth": labels,
            NAME: np.asarray(probability, np.float64).ravel(),
        }
    )


def _load(folder: Path, device: str) -> tuple[PolarFusion, Mapping[str, Any]]:
    """Load the network and its card."""
    data, card = read_model(folder, NAME, needs=("build", "strategy"))
    build = card["build"]
    if build["frozen"]:
        net = PolarFusion(torch.nn.Identity(), EfficientNetLite0.features, build["fusion"]).to(device)
    else:
        net = build_polar_fusion(
            build["network"], build["fusion"], input_size=build["side"], width=build["width"], device=device
        )
    load_tensors(folder, data, {"": net})
    return net.eval(), card


def predict_patients(folder: Path, table: Path, *, scale: Anchors | None = None, device: str = "cpu") -> Predicted:
    """Return each patient's probability of disease per artery, and the patients refused.

    Parameters
    ----------
    folder
        Of a model that ``myoperf train label-strategies`` wrote.
    table
        As in `read_own_cohort`; labels may be unknown.
    scale
        Colours of pictures, where they are not recognised.

    Raises
    ------
    MissingWeightsError, InputError
        When model or table cannot be used, or a patient lacks the rest map that the model reads.
    """
    net, card = _load(folder, device)
    build = card["build"]
    own = read_own_cohort(table, side=build["read_side"], labelled=False, scale=scale)
    if own.cohort.rest is None and build["fusion"] != "stress":
        raise InputError(f"This model reads rest maps too ({build['fusion']}): every row needs one in the column rest.")
    pictures = own.cohort.pictures(build["side"]).to(device)
    versions = pictures[None]
    if build["frozen"]:
        versions = frozen_features(frozen_network(build["fusion"], build["side"]).to(device), pictures)
    learned = np.stack([build["clinical_mean"], build["clinical_sd"]])
    data = Inputs(versions, apply_clinical(own.cohort.clinical, learned).to(device))
    probability = predict_polar(net, data, np.arange(len(own.cohort)))
    truth = own.cohort.expert if card["strategy"] == "task 1" else own.cohort.ica
    return Predicted(predictions=vessel_rows(own.cohort.names, truth, probability), refused=own.refused)
