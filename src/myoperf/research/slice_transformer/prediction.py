"""Apply a trained multi-branch network to report pages that it has not seen: ``myoperf predict``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from safetensors.torch import load

from myoperf.cards import read_weights
from myoperf.errors import InputError
from myoperf.research.screenshots.colour_scales import Anchors
from myoperf.research.screenshots.report_pictures import read_report_picture
from myoperf.research.slice_transformer.mit import MiTConfig
from myoperf.research.slice_transformer.multi_branch import MultiBranchConfig, MultiBranchMiT, build_multi_branch
from myoperf.research.slice_transformer.training import predict
from myoperf.research.training.case_table import CaseTable
from myoperf.research.training.weights import FORMAT
from myoperf.types import Float32

NAME = "multi-branch-mit"


def load_slices_model(folder: Path) -> MultiBranchMiT:
    """Load the network that ``myoperf train slices`` wrote.

    Raises
    ------
    MissingWeightsError, InputError
        When the folder is not such a model, or its weights are not those of its card.
    """
    data, card = read_weights(folder, "model.safetensors")
    if card.get("format") != FORMAT or card["name"] != NAME:
        raise InputError(
            f"{folder.name} is not a model that predict applies: expected a card of format {FORMAT} and name {NAME}; "
            f"got {card.get('format')} and {card['name']}."
        )
    encoder: Mapping[str, Any] = card["encoder"]
    config: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in encoder.items()
    }
    network = build_multi_branch(MultiBranchConfig(encoder=MiTConfig(**config)))
    network.load_state_dict(load(data), strict=True)
    return network.eval()


def read_pages(
    table: CaseTable, shape: tuple[int, int, int], *, order: tuple[str, str] | None, scale: Anchors | None
) -> tuple[list[int], Float32, dict[int, str]]:
    """Read the report pages of a table.

    Returns
    -------
    Rows that could be read, their stacks (rows, views, planes, rows, columns), and row -> reason of the others.
    """
    read, stacks, refused = [], [], {}
    for index, row in enumerate(table.rows):
        try:
            stacks.append(read_report_picture(row.picture, shape=shape, order=order, scale=scale).stacks.array())
            read.append(index)
        except InputError as error:
            refused[index] = str(error)
    if not stacks:
        raise InputError(f"None of {len(table.rows)} pages could be read; the first: {refused[0]}")
    return read, np.stack(stacks).astype(np.float32), refused


def predict_pages(
    folder: Path, table: CaseTable, *, order: tuple[str, str] | None = None, scale: Anchors | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return predictions in the form that ``myoperf evaluate`` reads, and the pages refused, with the reason."""
    network = load_slices_model(folder)
    read, stacks, refused = read_pages(table, network.config.encoder.volume_shape, order=order, scale=scale)
    rows = [table.rows[index] for index in read]
    predictions = pd.DataFrame(
        {
            "patient": [row.patient for row in rows],
            "truth": pd.array([row.label for row in rows], dtype="Int64"),
            NAME: predict(network, stacks),
        }
    )
    lines = [table.rows[index].line for index in refused]
    return predictions, pd.DataFrame({"line": lines, "reason": list(refused.values())})
