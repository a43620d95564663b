"""What a reader corrected of a study's scans, as the database and the page hold it."""

from collections.abc import Mapping
from typing import Any

from myoperf.errors import InputError
from myoperf.pipeline.correction import ScanCorrection
from myoperf.types import LVFrame, WallShift

POSE, LIMITS = ("apex_mm", "base_mm", "anterior"), "limits"
Stored = Mapping[str, Any]
"""JSON of one scan: a pose as in results.json, ``limits`` with ``inner_mm`` and ``outer_mm``, or both."""


def read_correction(stored: Stored) -> ScanCorrection:
    """Return a scan's correction from its JSON.

    Raises
    ------
    InputError
        When a part of a pose or of the limits is missing or is not as it must be.
    """
    has_pose = any(name in stored for name in POSE)
    limits = stored.get(LIMITS)
    return ScanCorrection(
        frame=read_pose(stored) if has_pose else None, wall_shift=None if limits is None else _read_limits(limits)
    )


def read_pose(stored: Stored) -> LVFrame:
    """Return the pose of results.json's ``lv_frame``.

    Raises
    ------
    InputError
        When a key is missing or is not three numbers.
    """
    try:
        apex, base, anterior = (stored[name] for name in POSE)
    except KeyError as missing:
        raise InputError(f"A pose needs apex_mm, base_mm and anterior, in LPS mm; {missing} is missing.") from None
    return LVFrame(apex, base, anterior)


def merge_corrections(
    earlier: Mapping[str, Stored], poses: Mapping[str, Stored], limits: Mapping[str, Stored | None]
) -> dict[str, dict[str, Any]]:
    """Return earlier corrections with a reader's new poses and limits; limits of None are the machine's again."""
    merged = {name: dict(stored) for name, stored in earlier.items()}
    for name, pose in poses.items():
        merged[name] = {**merged.get(name, {}), **pose}
    for name, moved in limits.items():
        merged[name] = {key: value for key, value in merged.get(name, {}).items() if key != LIMITS}
        if moved is not None:
            merged[name][LIMITS] = dict(moved)
    return merged


def has_same_pose(one: Stored | None, other: Stored | None) -> bool:
    """Return whether two corrections of a scan leave it in the same pose."""
    return all((one or {}).get(name) == (other or {}).get(name) for name in POSE)


def _read_limits(stored: Stored) -> WallShift:
    try:
        return WallShift(inner_mm=stored["inner_mm"], outer_mm=stored["outer_mm"])
    except KeyError as missing:
        raise InputError(f"Limits of the wall need inner_mm and outer_mm; {missing} is missing.") from None
