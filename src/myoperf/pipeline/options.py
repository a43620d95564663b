"""What the main job may call, and how to run it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from myoperf.errors import InputError
from myoperf.lv import LVFit, find_lv, segment_lv
from myoperf.perfusion import NormalLimits, shipped_limits
from myoperf.recon import ReconOptions
from myoperf.segments import TERRITORIES, Territories
from myoperf.types import Diagnosis, Finding, LVFrame, ScanResult, Study, Volume, WeightsInfo

__all__ = ["Models", "Options"]


@dataclass(frozen=True)
class Models:
    """What the main job may call; the defaults need no weights.

    Parameters
    ----------
    find_lv
        Finds and labels the left ventricle in a transaxial volume.
    segment_lv
        Labels the left ventricle in a frame that the operator gave.
    segment_gates
        Labels every gate of a gated volume in the frame of its sum, or None where nothing can.
    classify
        Gives the diagnosis from the scans' results and the study, or None for no classifier.
    limits
        Normal limits to choose from.
    weights
        Names and hashes of the weights behind the functions.
    engine
        How the network is run (it changes the last digits): see `myoperf.lv.engine`; None without a network.
    """

    find_lv: Callable[[Volume], LVFit] = find_lv
    segment_lv: Callable[[Volume, LVFrame], tuple[Volume, tuple[Finding, ...]]] = segment_lv
    segment_gates: Callable[[Volume, LVFrame], Volume] | None = None
    classify: Callable[[Study, Sequence[ScanResult]], Diagnosis | None] | None = None
    limits: tuple[NormalLimits, ...] = field(default_factory=shipped_limits)
    weights: tuple[WeightsInfo, ...] = ()
    engine: str | None = None


@dataclass(frozen=True)
class Options:
    """How to run the main job.

    Parameters
    ----------
    recon
        Reconstruction of raw projections.
    frame
        The operator's frame; it wins over any estimate, for every scan.
    rings, angles
        Grid of the polar map.
    slice_mm
        Voxel size of the short-axis volume.
    territories
        Which of the 17 segments belong to which vessel.
    interval_draws
        How often the analysis is repeated for the intervals (see `myoperf.pipeline.uncertainty`): 0 for none, else 3
        or more. Five know an SD to a third, and Student's quantile makes up for it; 20 are for research.
    gate_labels
        Whether the gates of a gated scan are labelled one by one.
    correct_motion
        Whether views between which the patient moved by 6.4 mm or more are put back before reconstruction.
    """

    recon: ReconOptions = field(default_factory=ReconOptions)
    frame: LVFrame | None = None
    rings: int = 24
    angles: int = 72
    slice_mm: float = 4.0
    territories: Territories = field(default_factory=lambda: TERRITORIES)
    interval_draws: int = 5
    gate_labels: bool = False
    correct_motion: bool = True
    command: str = ""
    seed: int | None = None

    def __post_init__(self) -> None:
        if self.interval_draws < 0 or self.interval_draws in (1, 2):
            raise InputError(f"Intervals need 3 draws or more, or 0 for none; got {self.interval_draws}.")
