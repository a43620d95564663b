"""Apply a trained multi-branch network to patients that it has not seen: ``myoperf predict``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from myoperf.research.screenshots.colour_scales import Anchors
from myoperf.research.slice_stacks import VIEWS
from myoperf.research.slice_transformer.mit import MiTConfig
from myoperf.research.slice_transformer.multi_branch import MultiBranchConfig, MultiBranchMiT, build_multi_branch
from myoperf.research.slice_transformer.own_cases import read_own_cases
from myoperf.research.slice_transformer.training import predict
from myoperf.research.training.predictions import Predicted
from myoperf.research.training.weights import load_tensors, read_model

NAME = "multi-branch-mit"


def load_slices_model(folder: Path) -> MultiBranchMiT:
    """Load the network that ``myoperf train slices`` wrote.

    Raises
    ------
    MissingWeightsError, InputError
        When the folder is not such a model, or its weights are not those of its card.
    """
    data, card = read_model(folder, NAME, needs=("encoder",))
    encoder: Mapping[str, Any] = card["encoder"]
    config: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in encoder.items()
    }
    structure = MultiBranchConfig(
        views=tuple(card.get("views", VIEWS)),  # older cards are all of the fused network
        fusion=card.get("fusion", "average"),
        encoder=MiTConfig(**config),
    )
    network = build_multi_branch(structure)
    load_tensors(folder, data, {"": network})
    return network.eval()


def predict_pages(
    folder: Path,
    data: Path,
    *,
    order: tuple[str, str] | None = None,
    scale: Anchors | None = None,
    device: str = "cpu",
) -> Predicted:
    """Return each patient's probability of class 1, and the cases refused.

    Parameters
    ----------
    folder
        Of the model.
    data, order, scale
        As in `read_own_cases`; labels may be unknown.
    """
    network = load_slices_model(folder).to(device)
    cases = read_own_cases(data, network.config.encoder.volume_shape, labelled=False, order=order, scale=scale)
    stacks = cases.stacks[:, [VIEWS.index(view) for view in network.config.views]]
    truth = pd.array(cases.labels, dtype="Int64")
    truth[cases.labels < 0] = pd.NA
    table = pd.DataFrame({"patient": cases.patients, "truth": truth, NAME: predict(network, stacks)})
    return Predicted(predictions=table, refused=cases.refused)
