"""Ways in which cameras and workstations depart from the standard, one function each.

Every function names the source of the departure and leaves a file that follows DICOM PS3.3 C.8.4
(nuclear medicine) as it is.
"""

import re
from collections.abc import Sequence

from myoperf.types import Finding


def first_start_angle(of_detector: float | None, of_rotation: float | None, shift: float = 0.0) -> float | None:
    """Return the detector's Start Angle, else the rotation's.

    Siemens (Symbia) writes one rotation for both heads and each head's own Start Angle in
    DetectorInformationSequence, where PS3.3 C.8.4.11 allows it; PyTomography's
    ``parse_projection_dataset`` handles the same files.

    Parameters
    ----------
    of_detector, of_rotation
        Degrees, or None where absent.
    shift
        Degrees between this rotation's start and the first one's, added to the detector's own.
    """
    return of_rotation if of_detector is None else of_detector + shift


def rotation_sign(direction: str) -> int | None:
    """Return the sign of the angle's step: Rotation Direction CW falls, CC rises (PS3.3 C.8.4.12).

    Some exports write CCW for CC (PyTomography reads both). Anything else gives None.
    """
    return {"CW": -1, "CC": 1, "CCW": 1}.get(direction.strip().upper())


def view_ranks(views: Sequence[int], *, own_start: bool) -> list[int]:
    """Return the steps from a detector's start angle to its views, given its values of Angular View Vector.

    PS3.3 C.8.4.8 counts each detector's views from 1. Some exports continue the count on the second
    head (33-64). If that head has its own start angle, its first view is at step 0; if not, the
    numbers count steps from the common start.
    """
    first = min(views) if own_start else 1
    return [view - first for view in views]


def orbit_radii(values: Sequence[float], views: int) -> tuple[tuple[float, ...] | None, str]:
    """Return the orbit's radii from Radial Position (0018,1142): one value, one a view, or none.

    GE (Infinia, Discovery) often leaves it out or writes 0 for body contours. Values below 60 mm are
    rejected: no orbit round a chest is that small, and some exports write centimetres.

    Returns
    -------
    (radii in mm, one a view, or None; why None, in words)
    """
    if not values or not any(values):
        return None, "the file gives no radial position"
    if len(values) not in (1, views):
        return None, f"{len(values)} radial positions do not fit {views} views"
    if min(values) < 60.0 or max(values) > 1000.0:
        return None, f"a radial position of {min(values):g} mm cannot be an orbit"
    return tuple(values) if len(values) == views else tuple(values) * views, ""


def nuclide_from_window_name(names: Sequence[str]) -> str | None:
    """Return the radionuclide that an energy window is named after, for files whose code is empty.

    GE Discovery NM 530c files in the PhysioNet set (doi:10.13026/ce2z-dw74) have an empty
    RadionuclideCodeSequence and a window named ``Tc99m_EM``.
    """
    for name in names:
        for nuclide, pattern in (("Tc-99m", r"tc-?99m?"), ("Tl-201", r"tl-?201"), ("I-123", r"i-?123")):
            if re.search(pattern, name, re.IGNORECASE):
                return nuclide
    return None


def stretched_counts(maximum: float) -> tuple[Finding, ...]:
    """Return a finding where a reconstruction was stretched to the full range of 16 bits.

    GE Xeleris and the PhysioNet set store every volume with a maximum of exactly 32767: the counts
    are lost, and stress and rest have no common scale.
    """
    if maximum != 32767.0:
        return ()
    message = "The workstation stretched the volume to 0-32767: counts are lost, and scans have no common scale."
    return (Finding("counts-stretched", "info", message),)


def height_in_metres(size: float | None) -> float | None:
    """Return Patient's Size (0010,1020) in metres, the unit of PS3.3 C.7.2.2.

    Consoles that do not check the field often hold heights in centimetres: 50 to 250 is read as
    centimetres, anything else outside 0.3 to 2.6 m as absent.
    """
    if size is None:
        return None
    if 50.0 <= size <= 250.0:
        return size / 100.0
    return size if 0.3 <= size <= 2.6 else None
