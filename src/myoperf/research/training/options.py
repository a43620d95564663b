"""What the user of every study and training may choose, besides its scale, folder and seed."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from myoperf.errors import InputError

Anchors = tuple[tuple[float, tuple[int, int, int]], ...]
"""A colour scale, as `myoperf.research.screenshots.colour_scales` has it: (position from 0 to 1, colour) of each."""


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Choices of a run.

    Attributes
    ----------
    data
        Table or folder of one's own patients; None: simulated ones.
    device
        ``auto``, ``cpu`` or ``cuda``, see `myoperf.pipeline.device.resolve_device`.
    networks, strategies, inputs
        Names from the recipe's list; empty: all that the recipe has.
    epochs
        In place of the recipe's, in every phase of a training; None: the recipe's.
    weights
        ``none``, ``imagenet`` or a path, as the study explains; None: the recipe's.
    baseline_weights
        Of the convolutional networks that a study compares with: ``none``, ``imagenet`` or a folder; None: the scale's.
    positions
        How learned positions of `weights` are brought to another size: along each axis of their ``grid``, or as one
        ``flat`` list, as the UniMiSS authors' fine-tuning code does.
    order, colour_scale
        Of report pages, where they are not recognised: the two long axes from top to bottom, and the scale's colours.
    colours
        Pictures are seen as they were painted, not turned into counts.
    as_written
        Of Ni et al.: their field of view and ten poses a volume, without stabilisation.
    resume
        Continue what an earlier run left in the folder.
    quiet
        Show no progress.
    """

    data: Path | None = None
    device: str = "auto"
    networks: tuple[str, ...] = ()
    strategies: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    epochs: int | None = None
    weights: str | None = None
    baseline_weights: str | None = None
    positions: Literal["grid", "flat"] = "grid"
    order: tuple[str, str] | None = None
    colour_scale: Anchors | None = None
    colours: bool = False
    as_written: bool = False
    resume: bool = False
    quiet: bool = False

    def reading(self) -> dict[str, Any]:
        """Return the given options that change what is read from pictures, which must match for a run to resume."""
        given = {"order": self.order, "colour_scale": self.colour_scale, "colours": self.colours or None}
        return {name: value for name, value in given.items() if value is not None}


def choose_names(option: str, wanted: Sequence[str], known: Sequence[str], planned: Sequence[str]) -> tuple[str, ...]:
    """Return the names an option chooses, in any case, or those planned where it chooses none.

    Raises
    ------
    InputError
        For a name that is not among the known ones.
    """
    by_name = {name.lower(): name for name in known}
    unknown = [name for name in wanted if name.lower() not in by_name]
    if unknown:
        raise InputError(f"{option} chooses from {', '.join(known)}; got {unknown[0]!r}.")
    return tuple(dict.fromkeys(by_name[name.lower()] for name in wanted)) or tuple(planned)
