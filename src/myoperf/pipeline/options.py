"""What the main job calls, and its settings."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from myoperf.errors import InputError, MyoPerfError
from myoperf.lv import LVFit, find_lv, segment_lv
from myoperf.perfusion import NormalLimits, shipped_limits
from myoperf.recon import ReconOptions
from myoperf.segments import TERRITORIES, Territories
from myoperf.types import AttenuationImage, Diagnosis, Finding, LVFrame, ScanResult, Study, Volume, WeightsInfo

Motion = Literal["auto", "report", "off"]
Attenuation = Literal["auto", "none"] | AttenuationImage


@dataclass(frozen=True)
class Models:
    """What the main job calls; the defaults need no weights.

    Loaded networks cannot be pickled: load the models again in every process.

    Parameters
    ----------
    find_lv
        Locates and labels the left ventricle in a transaxial volume.
    segment_lv
        Labels the left ventricle in a given pose.
    segment_gates
        Labels every gate of a gated volume in the pose of its sum; None where nothing can.
    segment_all
        Labels several volumes, each in a pose of its own, at once, None where no ventricle is found; where this is None
        `segment_lv` labels them one by one.
    classify
        Returns the diagnosis of a study from its scans' results; None for no classifier.
    classifier
        What the classifier is called where it gives no diagnosis.
    limits
        Normal limits to choose from.
    weights
        Names and hashes of the weights behind the functions.
    engine
        How the network is run (it changes the last digits): see `myoperf.lv.engine`; None without a network.
    findings
        What the reader must know of them: weights that are missing.
    """

    find_lv: Callable[[Volume], LVFit] = find_lv
    segment_lv: Callable[[Volume, LVFrame], tuple[Volume, tuple[Finding, ...]]] = segment_lv
    segment_gates: Callable[[Volume, LVFrame], Volume] | None = None
    segment_all: Callable[[Sequence[tuple[Volume, LVFrame]]], Sequence[Volume | None]] | None = None
    classify: Callable[[Study, Sequence[ScanResult]], Diagnosis | None] | None = None
    classifier: str = "classifier"
    limits: tuple[NormalLimits, ...] = field(default_factory=shipped_limits)
    weights: tuple[WeightsInfo, ...] = ()
    engine: str | None = None
    findings: tuple[Finding, ...] = ()

    def label(self, posed: Sequence[tuple[Volume, LVFrame]]) -> Sequence[Volume | None]:
        """Return the labels of volumes in given poses; None where no ventricle is found."""
        if self.segment_all is not None:
            return self.segment_all(posed)

        def one(volume: Volume, frame: LVFrame) -> Volume | None:
            try:
                return self.segment_lv(volume, frame)[0]
            except MyoPerfError:
                return None

        return [one(volume, frame) for volume, frame in posed]


@dataclass(frozen=True)
class Options:
    """Settings of the main job.

    Parameters
    ----------
    recon
        Reconstruction of raw projections.
    frame
        Pose given by the operator: used for every scan, in place of an estimate.
    rings, angles
        Grid of the polar map.
    slice_mm
        Voxel size of the short-axis volume.
    territories
        Which of the 17 segments belong to which vessel.
    interval_draws
        How often the analysis is repeated for intervals (see `myoperf.pipeline.uncertainty`): 0 for none, else 3
        or more. Five know a standard deviation to a third, for which Student's quantile allows; 20 are for research.
    gate_labels
        Whether the gates of a gated scan are labelled one by one.
    motion
        What is done where the patient moved between raw views: ``"auto"`` shifts the views back where they agree
        better with the image that they make then, ``"report"`` only says so, ``"off"`` does not look for it.
    pretest
        Probability of obstructive disease before the test, 0 to 1; None: by age and sex.
    prior
        An earlier result that the study is compared with, from `myoperf.pipeline.prior.read_prior`.
    stability
        Whether the study is processed again in other ways (`myoperf.pipeline.stability`).
    attenuation
        ``"auto"`` corrects raw SPECT views with the CT or the map that came with the study, as a further scan beside
        the uncorrected one; ``"none"`` does not; an image is used in place of the study's.
    command, seed
        Recorded in the report; `seed` is also that of the intervals.
    """

    recon: ReconOptions = field(default_factory=ReconOptions)
    frame: LVFrame | None = None
    rings: int = 24
    angles: int = 72
    slice_mm: float = 4.0
    territories: Territories = field(default_factory=lambda: TERRITORIES)
    interval_draws: int = 5
    gate_labels: bool = False
    motion: Motion = "auto"
    pretest: float | None = None
    prior: Mapping[str, object] | None = None
    stability: bool = False
    attenuation: Attenuation = "auto"
    command: str = ""
    seed: int | None = None

    def __post_init__(self) -> None:
        if self.interval_draws < 0 or self.interval_draws in (1, 2):
            raise InputError(f"Intervals need 3 draws or more, or 0 for none; got {self.interval_draws}.")
        if self.pretest is not None and not 0.0 < self.pretest < 1.0:
            raise InputError(f"A pre-test probability lies between 0 and 1; got {self.pretest}.")
        object.__setattr__(self, "territories", dict(self.territories))  # a read-only view cannot be pickled
