"""Normal limits: mean and spread of the polar maps of patients without disease, sample by sample.

Counts have no common unit between patients, so a map is scaled to the normal mean before it is
pooled or scored (`scale_map`): the map is divided by the mean, averaged over small blocks, and the
hottest quarter of these ratios is taken as normal. A defect of up to three quarters of the wall does not
change that scale. Limits hold mean, SD and MAD (mean absolute deviation) of the scaled maps; the
abnormal limit lies `LIMIT_MADS` MAD below the mean, about 2.5 SD of a normal distribution (Slomka et al.,
J Nucl Cardiol 2005, doi:10.1016/j.nuclcard.2004.10.006).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from myoperf.errors import InputError
from myoperf.types import Float, NormalLimitsInfo, PolarMap, Position, State

LIMIT_MADS = 3.0
HOTTEST_SHARE = 0.25
"""Share of the blocks whose ratio to the normal mean sets the scale of a map."""
BLOCK = (3, 6)
"""Rings and angles averaged to a block before the hottest are chosen, so that noise does not decide."""
_PASSES = 4
MIN_MAPS = 10


@dataclass(frozen=True, eq=False, kw_only=True)
class LimitsLabel:
    """What normal limits are called, whom they apply to and where they come from.

    Parameters
    ----------
    name, version
        Identify the limits in a report.
    state
        ``"stress"`` or ``"rest"``.
    sex, tracer, camera
        The patients, tracer and camera they apply to; None for any.
    corrected
        Whether the scans were corrected for attenuation; None: as is usual, PET is and SPECT is not.
    position
        How the patients lay; None: supine.
    reconstruction
        How the images were reconstructed, as `myoperf.types.ReconstructionRecord` has it in short ("OSEM"); None: any.
    provenance, licence
        Where the maps come from ("simulated ..." when they are) and under which terms.
    """

    name: str
    version: str
    state: State
    sex: str | None = None
    tracer: str | None = None
    camera: str | None = None
    corrected: bool | None = None
    position: Position | None = None
    reconstruction: str | None = None
    provenance: str
    licence: str


@dataclass(frozen=True, kw_only=True)
class NormalCutoffs:
    """The values outside which 5 % of these normal patients lie, each measured against the limits of the others.

    Parameters
    ----------
    tpd_percent, summed_score, diffuse_percent
        Of the map: abnormal from these values on.
    sds, tid_ratio
        Of stress and rest compared; None where too few patients have both.
    n
        Number of normal patients.
    """

    tpd_percent: float
    summed_score: int
    diffuse_percent: float
    sds: int | None = None
    tid_ratio: float | None = None
    n: int


@dataclass(frozen=True, eq=False)
class Jackknife:
    """What limits become when one group of their normal patients after the other is left out.

    Parameters
    ----------
    mean, mad
        Shape (groups, rings, angles).
    top_ratio
        Shape (groups,).
    """

    mean: Float
    mad: Float
    top_ratio: Float


@dataclass(frozen=True, eq=False, kw_only=True)
class NormalLimits(LimitsLabel):
    """Mean and spread of scaled normal polar maps of one protocol.

    Parameters
    ----------
    n
        Number of maps they come from.
    mean, sd, mad
        Shape (rings, angles). `mad` is the mean absolute deviation from the mean.
    top_ratio
        Mean, over the normals, of the hottest quarter's ratio to the mean: above 1, because the
        hottest parts of a map that varies lie above its mean.
    cutoffs
        The protocol's own cut-offs; None in files from before version 0.3.0 and where there are too few patients.
    jackknife
        For the doubt that the number of normals leaves; None in files from before version 0.3.0.
    """

    n: int
    mean: Float
    sd: Float
    mad: Float
    top_ratio: float
    cutoffs: NormalCutoffs | None = None
    jackknife: Jackknife | None = None

    def __post_init__(self) -> None:
        if self.mean.ndim != 2 or self.mean.shape != self.sd.shape or self.mean.shape != self.mad.shape:
            raise InputError(f"Normal limits need mean, SD and MAD of one (rings, angles); got {self.mean.shape}.")

    @property
    def info(self) -> NormalLimitsInfo:
        """The part of them that a report names."""
        return NormalLimitsInfo(self.name, self.version, self.n)

    @property
    def lower(self) -> Float:
        """The abnormal limit: mean - `LIMIT_MADS` * MAD, never below a tenth of the mean."""
        return np.asarray(np.maximum(self.mean - LIMIT_MADS * self.mad, 0.1 * self.mean))


def scale_map(values: ArrayLike, limits: NormalLimits) -> Float:
    """Scale a map to the limits: its hottest quarter becomes as high as normal patients' hottest quarter.

    Parameters
    ----------
    values
        Shape (rings, angles), any unit.
    limits
        Of the map's state.

    Returns
    -------
    Shape (rings, angles), in the unit of the limits' mean.

    Raises
    ------
    InputError
        When the map has no positive values or another grid than the limits.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.shape != limits.mean.shape:
        raise InputError(f"The limits' grid {limits.mean.shape} differs from the map's {array.shape}.")
    return np.asarray(array * (limits.top_ratio / top_ratio(array, limits.mean)))


def top_ratio(values: Float, mean: Float) -> float:
    """Return the ratio of a map to a mean over the hottest quarter of its blocks."""
    rings, angles = (size // step * step for size, step in zip(values.shape, BLOCK, strict=True))
    ratio = values[:rings, :angles] / np.maximum(mean[:rings, :angles], 1e-9)
    blocks = ratio.reshape(rings // BLOCK[0], BLOCK[0], angles // BLOCK[1], BLOCK[1]).mean(axis=(1, 3))
    top = float(np.sort(blocks, axis=None)[-max(1, round(HOTTEST_SHARE * blocks.size)) :].mean())
    if not top > 0:
        raise InputError("The polar map holds no counts to scale by.")
    return top


def build_limits(maps: Sequence[PolarMap], label: LimitsLabel) -> NormalLimits:
    """Pool the static maps of patients with a low likelihood of disease.

    `myoperf.perfusion.with_cutoffs` adds the protocol's own cut-offs; `myoperf.perfusion.build_robust_limits` takes
    patients some of whom are ill.

    Every map is scaled as `scale_map` does, to a mean that is found by repetition, because scale and mean depend on
    each other.

    Parameters
    ----------
    maps
        Static maps of one state, one for each patient, on one grid.
    label
        What the limits are called and whom they apply to.

    Raises
    ------
    InputError
        When there are fewer than ten maps or their grids differ.

    Examples
    --------
    >>> from myoperf.polar import sample_polar_map  # doctest: +SKIP
    >>> maps = [sample_polar_map(one, fit.labels, fit.frame).maximum for one, fit in normals]  # doctest: +SKIP
    >>> label = LimitsLabel(name="ours", version="1", state="rest", provenance="our department", licence="own use")
    >>> write_limits(Path("ours-rest.npz"), build_limits(maps, label))  # doctest: +SKIP
    """
    values = stack_maps(maps)
    mean = np.ones(values.shape[1:])
    for _ in range(_PASSES):  # the scale depends on the mean and the mean on the scale
        mean = scale_to(values, mean).mean(axis=0)
        mean /= mean.max()
    return pool_scaled(scale_to(values, mean), label)


def stack_maps(maps: Sequence[PolarMap]) -> Float:
    """Return the values of static maps of one grid, shape (maps, rings, angles).

    Raises
    ------
    InputError
        When there are fewer than ten maps or their grids differ or are too small.
    """
    if len(maps) < MIN_MAPS:
        raise InputError(f"Normal limits need at least {MIN_MAPS} maps; got {len(maps)}.")
    shapes = {polar.values.shape for polar in maps}
    if len(shapes) > 1 or len(next(iter(shapes))) != 2:
        raise InputError(f"Normal maps must be static and share one grid; got {sorted(shapes)}.")
    if any(size < step for size, step in zip(next(iter(shapes)), BLOCK, strict=True)):
        raise InputError(f"Normal limits need maps of {BLOCK[0]} x {BLOCK[1]} samples or more; got {shapes.pop()}.")
    return np.stack([np.asarray(polar.values, dtype=np.float64) for polar in maps])


def scale_to(values: Float, mean: Float) -> Float:
    """Divide maps (maps, rings, angles) each by the hottest quarter's ratio to a mean."""
    return np.asarray(values / np.array([top_ratio(one, mean) for one in values])[:, None, None])


def pool_scaled(scaled: Float, label: LimitsLabel) -> NormalLimits:
    """Pool scaled maps (maps, rings, angles) to limits: mean, SD and MAD of every sample."""
    mean = scaled.mean(axis=0)
    return NormalLimits(
        **vars(label),
        n=len(scaled),
        mean=mean,
        sd=scaled.std(axis=0, ddof=1),
        mad=np.abs(scaled - mean).mean(axis=0),
        top_ratio=float(np.mean([top_ratio(one, mean) for one in scaled])),
    )
