"""Where the wall ends: the mitral plane and the rim of the polar map, the same at stress and rest of one heart."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from myoperf.errors import AnalysisError
from myoperf.lv import LVFit
from myoperf.lv.labels import cut_at_rim
from myoperf.lv.match import MOST_STRETCH
from myoperf.pipeline.options import Options
from myoperf.pipeline.scan import LocatedScan, change_fits
from myoperf.types import Float, LVFrame, Volume
from myoperf.ventricle import WallEnd, find_wall_end

_LEAST_TRUST = 0.3
"""An end that the image hardly shows is not used: the labels' own end stays."""


def end_at_wall(*ventricles: tuple[Volume, LVFit]) -> tuple[LVFit, ...]:
    """Return ventricles that end where the images show the wall to end, instead of where the labels do.

    The mitral plane of a pose moves along the long axis to the mean height of the wall's end
    (`myoperf.ventricle.find_wall_end`), `rim_mm` holds how the end departs from that plane round the axis, and the
    labels are cut there. Scans of one heart take the mean of their heights above the apex, weighted by how clearly
    each shows the end, so that their segments hold the same part of the wall; where their lengths differ by more than
    a tenth each keeps its own. A ventricle whose image does not show an end is unchanged, unless another's does.

    Parameters
    ----------
    ventricles
        Scans of one heart, each the volume that was labelled (gates are summed) and its ventricle.

    Returns
    -------
    The ventricles in the same order.
    """
    ends = [_usable_end(volume, fit) for volume, fit in ventricles]
    rims = [None if end is None else end.rim_mm for end in ends]
    usable = [end for end in ends if end is not None]
    if usable and _alike([end.rim_mm for end in usable]):
        shared = np.average([end.rim_mm for end in usable], axis=0, weights=[end.trust for end in usable])
        rims = [shared] * len(ventricles)
    pairs = zip(ventricles, rims, strict=True)
    return tuple(fit if rim is None else _ending_at(fit, rim) for (_, fit), rim in pairs)


def set_bases(located: Mapping[str, LocatedScan], options: Options) -> Mapping[str, LocatedScan]:
    """End the ventricle of every scan where its wall ends: alike in the stress and rest scans that are scored.

    Nothing changes where the operator gave the pose. `located` maps names to scans, as does what is returned.
    """
    return change_fits(located, options, end_at_wall)


def _usable_end(volume: Volume, fit: LVFit) -> WallEnd | None:
    """Return where the image shows the wall to end; None where it does not."""
    try:
        end = find_wall_end(volume, fit.labels, fit.frame)
    except AnalysisError:  # too little wall: unrolling it will say so
        return None
    return end if end.trust >= _LEAST_TRUST else None


def _alike(rims: Sequence[Float]) -> bool:
    """Whether ventricles that end at these heights above the apex can be one heart's."""
    lengths = [float(rim.mean()) for rim in rims]
    return max(lengths) <= MOST_STRETCH * min(lengths)


def _ending_at(fit: LVFit, above_apex_mm: Float) -> LVFit:
    """Move the mitral plane and the rim to heights above the apex, and cut the labels there."""
    frame, length = fit.frame, float(above_apex_mm.mean())
    moved = LVFrame(frame.apex_mm, frame.apex_mm + length * frame.axis, frame.anterior)
    rim = above_apex_mm - length
    return replace(fit, frame=moved, labels=cut_at_rim(fit.labels, moved, rim), rim_mm=rim)
