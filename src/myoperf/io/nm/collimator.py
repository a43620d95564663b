"""The collimator of raw views, and where it shows the axis of rotation.

Raw views are reconstructed as parallel beams; views through other collimators would give a wrong image without a sign
of it. A reconstruction may come from any collimator: there the attributes are no concern.
"""

import re

from pydicom.datadict import dictionary_description
from pydicom.dataset import Dataset

from myoperf.errors import GeometryError, UnsupportedInputError
from myoperf.io.header import items, stated_number, text_of
from myoperf.types import Finding

_OTHER_TYPES = {  # Collimator Type (0018,1181), PS3.3 C.8.4.11
    "PINH": "through pinhole collimators",
    "FANB": "through fan-beam collimators",
    "CONE": "through cone-beam collimators",
    "SLNT": "through slant-hole collimators",
    "ASTG": "through astigmatic collimators",
    "DIVG": "through diverging collimators",
    "NONE": "without a collimator",
}
_OTHER_NAMES = re.compile(
    r"\bmph|\bpinh\b|pin\W?hole|\bfan\b|fan\W?beam|cone\W?beam|slant|\bslat\b|smart\W?zoom|\biq\W?spect"
    r"|cardio\W?fo[ck]al|\bconv\b|converg|diverg|astigmat",
    re.IGNORECASE,
)
_LARGEST_OFFSET_MM = 50.0
_LARGEST_TILT_DEG = 1.0


def refuse_other_collimators(dataset: Dataset, name: str) -> tuple[Finding, ...]:
    """Refuse raw views that were not made through parallel holes; return a finding where the file leaves it open.

    Decided by Collimator Type, by names in it or in Collimator/grid Name that leave no doubt (GE's ``MPH_27_45`` is
    multi-pinhole, Siemens' ``SMARTZOOM`` astigmatic) and, where the type does not say parallel, by Focal Distance;
    in the detectors' items, and at the top level, where some writers put them. Views of a tilted detector are refused
    too.

    Raises
    ------
    UnsupportedInputError
        With the kind of collimator, or the tilt.
    """
    known = focused = False
    for detector in (dataset, *items(dataset, "DetectorInformationSequence")):
        kind = text_of(detector, "CollimatorType").upper()
        named = _OTHER_NAMES.search(f"{kind} {text_of(detector, 'CollimatorGridName')}".replace("_", " "))
        known = known or kind.startswith("PARA")
        if kind in _OTHER_TYPES or named:
            what = _OTHER_TYPES.get(kind, "through other than parallel-hole collimators")
            raise UnsupportedInputError(
                f"{name}: raw views {what}; MyoPerf reconstructs parallel holes only. Give the "
                "camera's own reconstruction."
            )
        has_focus = (stated_number(detector, "FocalDistance", name) or 0.0) > 0.0
        focused = focused or has_focus
        if has_focus and not kind.startswith("PARA"):
            raise UnsupportedInputError(
                f"{name}: raw views through focusing collimators (Focal Distance is not 0); MyoPerf reconstructs "
                "parallel holes only. Give the camera's own reconstruction."
            )
        _refuse_tilt(detector, name)
    if focused:
        message = "The file states parallel holes and a focal distance; parallel holes were assumed."
        return (Finding("collimator-conflict", "warning", message),)
    if known:
        return ()
    message = "The file does not give the type of collimator; parallel holes were assumed."
    return (Finding("collimator-assumed", "info", message),)


def _refuse_tilt(detector: Dataset, name: str) -> None:
    """Refuse views of a tilted or slewed detector, whose rows are not parallel to the axis of rotation.

    Gantry/Detector Tilt (0018,1120) and Slew (0018,1121), PS3.3 C.8.4.11.
    """
    for keyword in ("GantryDetectorTilt", "GantryDetectorSlew"):
        angle = stated_number(detector, keyword, name) or 0.0
        if abs(angle) > _LARGEST_TILT_DEG:
            raise UnsupportedInputError(
                f"{name}: {dictionary_description(keyword)} is {angle:g} degrees; MyoPerf reconstructs views of "
                f"detectors parallel to the axis (at most {_LARGEST_TILT_DEG:g} degree). Give the camera's own "
                "reconstruction."
            )


def axis_offset_mm(detector: Dataset, name: str) -> float:
    """Return Center of Rotation Offset (0018,1145) of a detector's item in mm; 0 where it is absent.

    The standard gives no sign: a positive offset is taken as the axis being seen at a higher column than the
    detector's middle.

    Raises
    ------
    GeometryError
        When it is larger than 50 mm, which no camera in service has.
    """
    offset = stated_number(detector, "CenterOfRotationOffset", name) or 0.0
    if abs(offset) > _LARGEST_OFFSET_MM:
        raise GeometryError(
            f"{name}: Center of Rotation Offset is {offset:g} mm; at most {_LARGEST_OFFSET_MM:g} mm is expected. "
            "Correct the attribute or export the file again."
        )
    return offset


def axis_offset_findings(offsets_mm: tuple[float, ...]) -> tuple[Finding, ...]:
    """Return the finding that the axis of rotation was taken off the detectors' middle, or none."""
    if not any(offsets_mm):
        return ()
    values = " and ".join(f"{offset:+.1f}" for offset in dict.fromkeys(offsets_mm))
    message = (
        f"The centre of rotation was moved by {values} mm along the columns, as the file states. If the camera had "
        "already corrected its views, the reconstruction is blurred."
    )
    return (Finding("rotation-centre-moved", "warning", message),)
