"""Stacks of short-axis, horizontal and vertical long-axis slices: what the multi-branch network reads.

Every stack holds stress before rest along depth, evenly spaced planes over the ventricle, and values from
0 to 1. Own studies and report pictures give the same record.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from myoperf.errors import InputError
from myoperf.geometry import affine_from_axes, reslice
from myoperf.types import LVFrame, ScanResult, State, Volume

__all__ = ["SliceStacks", "resize_stack", "stacks_from_results", "stacks_from_volumes"]

VIEWS = ("sa", "hla", "vla")
_STATES: tuple[State, State] = ("stress", "rest")
_HALF_WIDTH_MM = 40.0
_PAST_APEX_MM, _PAST_BASE_MM = 8.0, 4.0

Float = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class SliceStacks:
    """One patient's slices.

    Parameters
    ----------
    views
        ``"sa"``, ``"hla"``, ``"vla"`` -> float32 (planes, rows, columns), stress planes then rest planes,
        in the report's order (apex to base; inferior to anterior; septal to lateral). Values 0 to 1.
    states
        The states the planes hold, each as many planes as the other.
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
        """Give (views, planes, rows, columns); all views must have one shape."""
        return np.stack([self.views[view] for view in views])

    def state(self, state: State, view: str) -> Float:
        """Give one state's planes of a view."""
        if state not in self.states:
            raise InputError(f"These stacks hold {' and '.join(self.states)}; {state} was asked for.")
        parts = np.split(self.views[view], len(self.states))
        return parts[self.states.index(state)]

    def resized(self, shape: tuple[int, int, int]) -> SliceStacks:
        """Fit every view to (planes, rows, columns); stress and rest are resized apart and never mixed."""
        planes = shape[0] // len(self.states)
        return SliceStacks(
            {
                view: np.concatenate([resize_stack(self.state(s, view), (planes, *shape[1:])) for s in self.states])
                for view in self.views
            },
            self.states,
        )


def resize_stack(stack: NDArray[Any], shape: tuple[int, int, int]) -> Float:
    """Interpolate (planes, rows, columns) to another shape, linearly, outer edges aligned."""
    source = np.asarray(stack, dtype=np.float32)
    scale = np.array(source.shape) / np.array(shape)
    out = ndimage.affine_transform(
        source, scale, 0.5 * scale - 0.5, output_shape=shape, order=1, mode="nearest", output=np.float32
    )
    return np.asarray(out)


def stacks_from_volumes(
    scans: Mapping[State, tuple[Volume, LVFrame]],
    *,
    shape: tuple[int, int, int] = (32, 96, 96),
    field_mm: float = 150.0,
) -> SliceStacks:
    """Cut a patient's stacks out of reconstructed volumes.

    Parameters
    ----------
    scans
        ``"stress"``, ``"rest"`` or both -> the volume (frames are summed) and the ventricle's pose in it.
    shape
        (planes, rows, columns) of every stack; planes are shared evenly between the states.
    field_mm
        Side of the square field, centred on the long axis.

    Raises
    ------
    InputError
        When no state is given or the planes cannot be shared.
    """
    states = tuple(state for state in _STATES if state in scans)
    if not states or shape[0] % len(states):
        raise InputError(f"{shape[0]} planes cannot be shared by the states {', '.join(scans) or 'none'}.")
    count = shape[0] // len(states)
    views: dict[str, list[Float]] = {view: [] for view in VIEWS}
    for state in states:
        volume, frame = scans[state]
        cut = {view: _cut(volume.summed(), frame, view, (count, *shape[1:]), field_mm) for view in VIEWS}
        highest = max(float(np.percentile(planes, 99.5)) for planes in cut.values())
        for view, planes in cut.items():
            views[view].append(np.clip(planes / max(highest, 1e-9), 0.0, 1.0).astype(np.float32))
    return SliceStacks({view: np.concatenate(parts) for view, parts in views.items()}, states)


def stacks_from_results(results: Sequence[ScanResult], *, shape: tuple[int, int, int] = (32, 96, 96)) -> SliceStacks:
    """Cut the stacks of an analysed study; scans of unknown state are refused.

    Raises
    ------
    InputError
        When a scan's state is unknown or occurs twice.
    """
    scans: dict[State, tuple[Volume, LVFrame]] = {}
    for result in results:
        if result.state is None or result.state in scans:
            raise InputError("Slices need one stress and one rest scan at most, each of known state; use --state.")
        scans[result.state] = (result.volume, result.frame)
    return stacks_from_volumes(scans, shape=shape)


def _cut(volume: Volume, frame: LVFrame, view: str, shape: tuple[int, int, int], field_mm: float) -> Float:
    """Cut evenly spaced planes of one view, (planes, rows, columns)."""
    half = 0.5 * frame.length_mm
    if view == "sa":  # apex to base; rows anterior to inferior; columns septal to lateral
        axes = np.stack([frame.axis, -frame.anterior, frame.lateral])
        low, high = -half - _PAST_APEX_MM, half + _PAST_BASE_MM
    elif view == "hla":  # inferior to anterior; rows apex to base; columns septal to lateral
        axes = np.stack([frame.anterior, frame.axis, frame.lateral])
        low, high = -_HALF_WIDTH_MM, _HALF_WIDTH_MM
    else:  # vla: septal to lateral; rows anterior to inferior; columns base to apex
        axes = np.stack([frame.lateral, -frame.anterior, -frame.axis])
        low, high = -_HALF_WIDTH_MM, _HALF_WIDTH_MM
    planes, rows, columns = shape
    step = np.array([(high - low) / max(planes - 1, 1), field_mm / rows, field_mm / columns])
    corner = np.array([low, -0.5 * (rows - 1) * step[1], -0.5 * (columns - 1) * step[2]])
    origin = frame.centre_mm + corner @ axes
    return np.asarray(reslice(volume, affine_from_axes(origin, axes, step), shape).array[0])
