"""What pre-trained features are worth: a logistic regression on frozen features, against random encoders."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from myoperf.research.slice_transformer.cases import SliceCases
from myoperf.research.slice_transformer.mit import WIDTHS, MiT, build_mit
from myoperf.research.slice_transformer.tables import measure_areas
from myoperf.research.slice_transformer.unimiss.pretraining import Pretrained
from myoperf.research.training.prediction import run_in_batches
from myoperf.types import Float

RANDOM_SEEDS, FOLDS, PROBE_C = (0, 1, 2), 5, 1e-3


def probe_features(network: MiT, cases: SliceCases) -> dict[str, Float]:
    """Return frozen features, with the three views joined.

    Returns
    -------
    Means of the tokens: "stage 4" -> (patients, 3 x 512) and "stage 3" -> (patients, 3 x 256); and the decoder's class
    token, which the losses of pre-training use: "decoder" -> (patients, 3 x 48).
    """

    def forward(stacks: Tensor) -> Tensor:
        views = [network.encoder(stacks[:, view : view + 1]) for view in range(stacks.shape[1])]
        means = [features.pyramid[stage].flatten(2).mean(2) for stage in (4, 3) for features in views]
        return torch.cat([*means, *(network.decode(features)[1] for features in views)], dim=1)

    network.eval()
    stacks = torch.from_numpy(cases.stacks.astype(np.float32))
    widths = [stacks.shape[1] * width for width in (WIDTHS[3], WIDTHS[2], WIDTHS[0])]
    parts = torch.split(run_in_batches(forward, stacks, batch=32), widths, dim=1)
    return {name: part.numpy() for name, part in zip(("stage 4", "stage 3", "decoder"), parts, strict=True)}


def probe_scores(features: Float, truth: NDArray[np.int64], *, seed: int = 0) -> Float:
    """Return a score for each patient, by a logistic regression trained on other patients, in five folds.

    The penalty is 1 / C with C = `PROBE_C`.
    """
    from sklearn.linear_model import LogisticRegression  # scikit-learn is slow to import
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    steps = make_pipeline(StandardScaler(), LogisticRegression(C=PROBE_C, max_iter=2000))
    folds = StratifiedKFold(min(FOLDS, int(np.bincount(truth, minlength=2).min())), shuffle=True, random_state=seed)
    return np.asarray(cross_val_predict(steps, features, truth, cv=folds, method="predict_proba")[:, 1])


def compare_probes(scores: Mapping[str, Float], truth: NDArray[np.int64], *, seed: int = 0) -> pd.DataFrame:
    """Measure every probe's area and how much better the first one is, both with 95 % intervals by bootstrap.

    Parameters
    ----------
    scores
        Name of the features -> (patients,); the first is compared with each of the others.
    """
    areas = measure_areas(truth, np.stack(list(scores.values())), seed=seed)
    rows = []
    for index, name in enumerate(scores):
        row = {"features": name, "n": len(truth), "n_abnormal": int(truth.sum()), **areas.columns(index)}
        if index:
            gap = areas.difference(0, index)
            row |= {"first_better_by": gap["difference"], "by_lo": gap["difference_lo"], "by_hi": gap["difference_hi"]}
        rows.append(row)
    return pd.DataFrame(rows)


def probe_pretraining(result: Pretrained, cohorts: Mapping[str, SliceCases], seed: int) -> pd.DataFrame:
    """Compare the features of teacher, student and random encoders, for each cohort and depth.

    Parameters
    ----------
    cohorts
        Name -> patients, whose label is the simulated reader's.
    """
    networks = {"teacher": result.teacher, "student": result.student}
    networks |= {f"random {s}": build_mit(result.teacher.config, seed=1000 + s) for s in RANDOM_SEEDS}
    tables = []
    for cohort, cases in cohorts.items():
        features = {name: probe_features(network, cases) for name, network in networks.items()}
        for stage in features["teacher"]:
            scores = {name: probe_scores(part[stage], cases.expert, seed=seed) for name, part in features.items()}
            table = compare_probes(scores, cases.expert, seed=seed)
            tables.append(table.assign(patients=cohort, stage=stage))
    return pd.concat(tables, ignore_index=True)
