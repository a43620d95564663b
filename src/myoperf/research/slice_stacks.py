"""Stacks of short-axis, horizontal and vertical long-axis slices: what the multi-branch network reads.

Every stack holds stress before rest along depth and values from 0 to 1. Volumes are cut around the ventricle: the
planes have the same position and extent in mm in every patient, centred on the middle of the long axis, so that the
heart fills the picture. Each plane is the mean over its thickness, and each state is scaled to the counts of its own
wall; brighter organs near the heart are clipped. Report pictures give the same record.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from myoperf.errors import InputError
from myoperf.geometry import affine_from_axes, reslice
from myoperf.types import MYOCARDIUM, Float, Float32, LVFrame, ScanResult, State, Volume

VIEWS = ("sa", "hla", "vla")
"""Short axis, horizontal and vertical long axis."""
_STATES: tuple[State, State] = ("stress", "rest")
_FIELD_MM = 104.0
_DEPTH_MM = {"sa": 104.0, "hla": 80.0, "vla": 80.0}
_SUBPLANE_MM = 4.0  # a thicker plane is sampled this finely and averaged, so that nothing falls between planes
_WALL_PERCENTILE = 99.0  # of the wall's counts; the maximum would follow the noise


@dataclass(frozen=True, eq=False)
class SliceStacks:
    """One patient's slices.

    Parameters
    ----------
    views
        ``"sa"``, ``"hla"``, ``"vla"`` -> float32 (planes, rows, columns), stress planes then rest planes,
        in the report's order (apex to base; inferior to anterior; septal to lateral). Values 0 to 1.
    states
        The states that the planes show, each with the same number of planes.
    """

    views: Mapping[str, Float]
    states: tuple[State, ...] = _STATES

    def __post_init__(self) -> None:
        if set(self.views) != set(VIEWS):
            raise InputError(f"Stacks are needed for {', '.join(VIEWS)}; got {', '.join(sorted(self.views))}.")
        for name, stack in self.views.items():
            if stack.ndim != 3 or stack.shape[0] % len(self.states) or not np.isfinite(stack).all():
                raise InputError(f"The {name} stack must be finite (planes, rows, columns); got shape {stack.shape}.")

    def array(self, views: Sequence[str] = VIEWS) -> Float:
        """Return (views, planes, rows, columns); all views must have the same shape."""
        return np.stack([self.views[view] for view in views])

    def state(self, state: State, view: str) -> Float:
        """Return one state's planes of a view."""
        if state not in self.states:
            raise InputError(f"These stacks hold {' and '.join(self.states)}, but not {state}.")
        parts = np.split(self.views[view], len(self.states))
        return parts[self.states.index(state)]


def resize_stack(stack: Float, shape: tuple[int, ...]) -> Float32:
    """Interpolate a stack (planes, rows, columns) or a picture to another shape, linearly.

    The outer edges of the first and last voxels stay in place, so that the field of view is the same.

    Examples
    --------
    >>> resize_stack(np.array([[0.0, 4.0]]), (1, 4)).tolist()
    [[0.0, 1.0, 3.0, 4.0]]
    """
    scale = np.array(stack.shape) / np.array(shape)
    out = ndimage.affine_transform(
        np.asarray(stack, dtype=np.float32), scale, 0.5 * scale - 0.5, output_shape=shape, order=1, mode="nearest"
    )
    return np.asarray(out)


def stacks_from_volumes(
    scans: Mapping[State, tuple[Volume, LVFrame, Volume]],
    *,
    shape: tuple[int, int, int] = (32, 96, 96),
    field_mm: float = _FIELD_MM,
) -> SliceStacks:
    """Cut a patient's stacks from reconstructed volumes, around the ventricle.

    Short-axis planes cover 104 mm along the long axis, long-axis planes 80 mm across it, all centred on its middle.

    Parameters
    ----------
    scans
        ``"stress"``, ``"rest"`` or both -> the volume (frames are summed), the ventricle's pose in it and its labels on
        the same grid (1 myocardium). They set the scale: 1 is the 99th percentile of the wall's counts.
    shape
        (planes, rows, columns) of every stack; planes are shared evenly between the states.
    field_mm
        Side of the square field, centred on the middle of the long axis.

    Raises
    ------
    InputError
        When no state is given, the planes cannot be shared evenly, or the labels have no wall or another grid.
    """
    states = tuple(state for state in _STATES if state in scans)
    if not states or shape[0] % len(states):
        raise InputError(f"{shape[0]} planes cannot be shared evenly by the states {', '.join(scans) or 'none'}.")
    count = shape[0] // len(states)
    views: dict[str, list[Float]] = {view: [] for view in VIEWS}
    for state in states:
        volume, frame, labels = scans[state]
        summed = volume.summed()
        highest = _wall_counts(summed, labels)
        for view in VIEWS:
            planes = _cut(summed, frame, view, (count, *shape[1:]), field_mm)
            views[view].append(np.clip(planes / highest, 0.0, 1.0).astype(np.float32))
    return SliceStacks({view: np.concatenate(parts) for view, parts in views.items()}, states)


def stacks_from_results(results: Sequence[ScanResult], *, shape: tuple[int, int, int] = (32, 96, 96)) -> SliceStacks:
    """Cut the stacks of an analysed study, which needs scans of known state.

    Raises
    ------
    InputError
        When a scan's state is unknown or occurs twice.
    """
    scans: dict[State, tuple[Volume, LVFrame, Volume]] = {}
    for result in results:
        if result.state is None or result.state in scans:
            raise InputError("Slices need at most one stress and one rest scan, each of known state; use --state.")
        scans[result.state] = (result.volume, result.frame, result.labels)
    return stacks_from_volumes(scans, shape=shape)


def _wall_counts(volume: Volume, labels: Volume) -> float:
    """Return the 99th percentile of the counts in the labelled wall."""
    wall = labels.array[0] == MYOCARDIUM
    if labels.grid_shape != volume.grid_shape or not wall.any():
        raise InputError(
            f"Slices are scaled to the ventricle's wall: labels of shape {volume.grid_shape} with a wall (1) were "
            f"expected; got {labels.grid_shape} with {int(wall.sum())} voxels of wall."
        )
    highest = float(np.percentile(volume.array[0][wall], _WALL_PERCENTILE))
    if highest <= 0:
        raise InputError("The ventricle's wall has no counts; slices cannot be scaled to it.")
    return highest


def _cut(volume: Volume, frame: LVFrame, view: str, shape: tuple[int, int, int], field_mm: float) -> Float:
    """Return evenly spaced planes of one view, each the mean over its thickness: (planes, rows, columns)."""
    if view == "sa":  # apex to base; rows anterior to inferior; columns septal to lateral
        axes = np.stack([frame.axis, -frame.anterior, frame.lateral])
    elif view == "hla":  # inferior to anterior; rows apex to base; columns septal to lateral
        axes = np.stack([frame.anterior, frame.axis, frame.lateral])
    else:  # vla: septal to lateral; rows anterior to inferior; columns base to apex
        axes = np.stack([frame.lateral, -frame.anterior, -frame.axis])
    parts = max(1, round(_DEPTH_MM[view] / shape[0] / _SUBPLANE_MM))  # planes averaged into one
    fine = (shape[0] * parts, *shape[1:])
    step = np.array([_DEPTH_MM[view], field_mm, field_mm]) / fine
    corner = -0.5 * (np.array(fine) - 1.0) * step
    origin = frame.centre_mm + corner @ axes
    planes = reslice(volume, affine_from_axes(origin, axes, step), fine).array[0]
    return np.asarray(planes.reshape(shape[0], parts, *shape[1:]).mean(axis=1), dtype=np.float32)
