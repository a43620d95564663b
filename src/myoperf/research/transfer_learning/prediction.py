"""Apply a trained model of Hai et al. 2022 to stress maps that it has not seen: ``myoperf predict``."""

from pathlib import Path

import numpy as np
import pandas as pd

from myoperf.errors import InputError
from myoperf.research.screenshots.colour_scales import Anchors
from myoperf.research.screenshots.labelled_maps import find_maps
from myoperf.research.screenshots.screen_folder import read_screens
from myoperf.research.training.predictions import Predicted
from myoperf.research.transfer_learning.networks import NAME, load_classifier, spec_of, to_range
from myoperf.research.transfer_learning.training import predict


def predict_maps(folder: Path, data: Path, *, scale: Anchors | None = None, device: str = "cpu") -> Predicted:
    """Return each patient's probability of disease, the mean over the patient's maps, and the maps refused.

    Parameters
    ----------
    folder
        Of a model that ``myoperf train transfer`` wrote.
    data
        As in `find_maps`; a table's labels may be unknown.
    scale
        Colours of the screens, where they are not recognised.

    Raises
    ------
    MissingWeightsError, InputError
        When the model or the data cannot be used, or no map can be read.
    """
    trained = load_classifier(folder, device)
    maps = find_maps(data, labelled=False)
    read = read_screens(maps, size=trained.size, colours=trained.colours, scale=scale)
    refused = pd.DataFrame([(s.file, why) for s, why in read.refused.items()], columns=["file", "reason"])
    if not read.screens:
        raise InputError(f"None of {len(maps.screens)} maps could be read; the first: {refused['reason'][0]}")
    pictures = to_range(read.discs, spec_of(trained.network).input_range).to(device)
    rows = pd.DataFrame(
        {
            "patient": [screen.patient for screen in read.screens],
            "truth": pd.array([screen.label for screen in read.screens], dtype="Int64"),
            NAME: np.asarray(predict(trained.model, pictures).cpu(), dtype=np.float64),
        }
    )
    table = rows.groupby("patient", sort=False, as_index=False).agg({"truth": "first", NAME: "mean"})
    return Predicted(predictions=table, refused=refused)
