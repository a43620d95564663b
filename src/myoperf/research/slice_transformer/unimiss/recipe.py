"""``myoperf train unimiss``: pre-train a Medical Transformer without labels, and measure what its features are worth.

Volumes are the slice stacks of simulated patients (short axis, horizontal and vertical long axis; stress before rest
along depth); pictures are their single slices. Real volumes and pictures in ``--data`` are added. The features are
tested on other simulated patients: see `probe`.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pandas as pd
from rich.progress import Progress

from myoperf import __version__
from myoperf.pipeline.device import resolve_device
from myoperf.pipeline.jobs import write_whole
from myoperf.research.slice_transformer.cases import collect_cases
from myoperf.research.slice_transformer.mit import MiTConfig
from myoperf.research.slice_transformer.mit_weights import write_checkpoint
from myoperf.research.slice_transformer.multi_branch import COMPACT_ENCODER, PAPER_ENCODER
from myoperf.research.slice_transformer.unimiss.images import ImageSet, read_images, simulated_images
from myoperf.research.slice_transformer.unimiss.options import UniMissOptions
from myoperf.research.slice_transformer.unimiss.pretraining import Pretrained, Step, pretrain
from myoperf.research.slice_transformer.unimiss.probe import probe_pretraining
from myoperf.research.slice_transformer.unimiss.views import ViewOptions
from myoperf.research.training.options import RunOptions
from myoperf.research.training.recipes import pick_recipe

PROBE_OFFSET = 5000
"""Added to a run's seed for the patients that pre-training has not seen."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Settings of a run.

    Parameters
    ----------
    patients, probed
        Simulated patients to learn from, and other ones to test the features on.
    """

    patients: int
    probed: int
    config: MiTConfig
    options: UniMissOptions


_COMPACT = replace(COMPACT_ENCODER, picture_shape=(32, 32), modes=("2D", "3D"))
RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {
        "smoke": Recipe(
            patients=12,
            probed=12,
            config=_COMPACT,
            options=UniMissOptions(
                epochs=2, interval=1, batch=4, epoch_steps=1, warmup_epochs=0, outputs=64, hidden=32, bottleneck=16
            ),
        ),
        "small": Recipe(
            patients=300,
            probed=160,
            config=_COMPACT,
            options=UniMissOptions(
                epochs=24,
                interval=1,
                batch=16,
                epoch_steps=10,
                learning_rate=0.008,
                final_learning_rate=1e-5,
                warmup_epochs=3,
                momentum=0.99,
                outputs=1024,
                hidden=512,
                bottleneck=128,
                head_norm=True,
                views=ViewOptions(
                    picture_area=0.6,
                    picture_mirror=0.0,
                    volume_mirror=0.0,
                    blur_px=0.7,
                    noise=0.03,
                    shift=0.1,
                    planewise=False,
                ),
            ),
        ),
        "full": Recipe(
            patients=2000,
            probed=300,
            config=replace(PAPER_ENCODER, volume_shape=(16, 96, 96), modes=("2D", "3D")),
            options=UniMissOptions(),
        ),
    }
)
"""Small is for one processor core. Full has the authors' network, 16 planes and options but the batch: 24 images on one
GPU, not on each of eight; the peak of the rate is scaled with the images of a step, as theirs is (7.5e-5, not 6e-4)."""


def run(scale: str, out: Path, seed: int, *, options: RunOptions) -> None:
    """Pre-train, write the checkpoint, and test its features.

    Parameters
    ----------
    scale
        A key of `RECIPES`.
    out
        Gets ``patients/`` (simulated), ``state.pt`` (the training after its last epoch), ``unimiss.pt`` (see
        `mit_weights.read_checkpoint`), ``steps.csv``, ``epochs.csv``, ``probe.csv`` and ``card.json``.
    seed
        Of patients, weights and views.
    options
        `data`: folder of volumes (DICOM, NIfTI) and pictures (JPEG, PNG) to learn from too. `resume`: continue the
        training that ``state.pt`` in `out` holds; otherwise it starts from the first epoch. Simulated patients in `out`
        are kept either way.

    Raises
    ------
    InputError
        When nothing in `data` can be read, or ``state.pt`` has other settings.
    """
    recipe, data, quiet = pick_recipe(RECIPES, scale), options.data, options.quiet
    if options.epochs is not None:
        recipe = replace(recipe, options=replace(recipe.options, epochs=options.epochs))
    out.mkdir(parents=True, exist_ok=True)
    shape, patients = recipe.config.volume_shape, out / "patients"
    learned = collect_cases(patients, recipe.patients, seed, shape=shape, quiet=quiet)
    images, real = simulated_images(learned, np.random.default_rng([seed, 1])), None
    if data is not None:
        real = read_images(data, shape, np.random.default_rng([seed, 2]))
        images = images.joined(real)
    checkpoint = out / "state.pt"
    if not options.resume:
        checkpoint.unlink(missing_ok=True)
    with Progress(disable=quiet, transient=True) as bar:
        task = bar.add_task("pre-training", total=recipe.options.epochs)

        def show(step: Step) -> None:
            bar.update(task, completed=step.epoch, description=f"pre-training, {step.kind}, loss {step.loss:.2f}")

        result = pretrain(
            images,
            config=recipe.config,
            options=recipe.options,
            seed=seed,
            checkpoint=checkpoint,
            report=show,
            device=resolve_device(options.device),
        )
    probed = collect_cases(patients, recipe.probed, seed + PROBE_OFFSET, shape=shape, quiet=quiet)
    write_checkpoint(out / "unimiss.pt", result.student, result.teacher)
    steps, epochs = _curves(result)
    cohorts = {"unseen": probed, "seen without labels": learned.take(np.arange(min(recipe.probed, len(learned))))}
    probes = probe_pretraining(result, cohorts, seed)
    for name, table in (("steps", steps), ("epochs", epochs), ("probe", probes)):
        table.to_csv(out / f"{name}.csv", index=False, float_format="%.5g")
    card = {
        "name": "unimiss",
        "task": "self-supervised features of perfusion slices; no diagnosis by itself",
        "training_data": "simulated patients (slice stacks and single slices)" + _describe(real),
        "patients": recipe.patients,
        "probed_patients": recipe.probed,
        "not_read_of_data": images.unreadable,
        "config": asdict(recipe.config),
        "options": asdict(recipe.options),
        "seed": seed,
        "command": f"myoperf train unimiss --scale {scale} --seed {seed}" + ("" if data is None else " --data FOLDER"),
        "probe": probes.to_dict("records"),
        "sha256": hashlib.sha256((out / "unimiss.pt").read_bytes()).hexdigest(),
        "myoperf": __version__,
        "licence": "Apache-2.0",
    }
    with write_whole(out / "card.json") as part:
        part.write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")


def _describe(real: ImageSet | None) -> str:
    """Return what the card says about the images of ``--data``."""
    if real is None:
        return ""
    pictures = len(real.pictures) - len(real.volumes)  # the others are slices of the volumes
    return f"; from --data {len(real.volumes)} stacks, a slice of each, and {pictures} pictures"


def _curves(result: Pretrained) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return every step, and the means of every epoch with the rank of the teacher's features after it."""
    steps = pd.DataFrame([asdict(step) for step in result.steps])
    epochs = steps.groupby(["epoch", "kind"], as_index=False)[["loss", "entropy", "spread", "learning_rate"]].mean()
    epochs["answers_of_their_own"] = epochs["spread"] - epochs["entropy"]
    epochs["rank"] = result.ranks[1:]
    before = pd.DataFrame({"epoch": [-1], "kind": ["before"], "rank": [result.ranks[0]]})
    return steps, pd.concat([before, epochs], ignore_index=True)
