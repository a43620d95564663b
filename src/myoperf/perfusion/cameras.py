"""Cameras by the names that their files give: what kind of camera they are, as normal limits tell them apart."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class CameraModel:
    """A family of cameras.

    Attributes
    ----------
    marks
        Parts of the model's or maker's name in files, lower case; the first family with one of them is taken.
    kind
        ``"CZT"``: solid-state detectors focused on the heart; ``"parallel-hole"``: a general-purpose camera, whatever
        its crystal is; ``"PET"``.
    source
        Where the name comes from.
    """

    marks: tuple[str, ...]
    kind: str
    source: str


_HEADERS = "model names in files of these cameras"
_MAKER = "the maker's name of the camera"
CAMERAS: tuple[CameraModel, ...] = (
    CameraModel(marks=("870 czt", "870_czt", "670 czt", "670_czt"), kind="parallel-hole", source=_HEADERS),
    CameraModel(marks=("530c", "570c", "alcyone", "myospect"), kind="CZT", source=_MAKER),
    CameraModel(marks=("ufc",), kind="CZT", source=f"{_HEADERS}: Discovery NM 530c, collimator MPH_27_45, type PINH"),
    CameraModel(marks=("d-spect", "dspect", "spectrum dynamics"), kind="CZT", source=f"{_MAKER}, in Manufacturer"),
    CameraModel(marks=("starguide", "veriton", "czt"), kind="CZT", source=_MAKER),
    CameraModel(
        marks=(
            *("discovery 670", "discovery_670", "discovery nm/ct 670", "discovery nm 630", "discovery nm630"),
            *("tandem_870", "optima_640", "optima 640", "infinia", "millennium", "ventri"),
        ),
        kind="parallel-hole",
        source=_HEADERS,
    ),
    CameraModel(marks=("encore2", "symbia", "intevo", "e.cam", "ecam"), kind="parallel-hole", source=_HEADERS),
    CameraModel(
        marks=("brightview", "precedence", "forte", "skylight", "cardiomd"), kind="parallel-hole", source=_MAKER
    ),
)


def camera_kind(camera: str | None) -> str | None:
    """Return the kind of a camera by its name in a file; None where the name is not in the table.

    Examples
    --------
    >>> camera_kind("UFC"), camera_kind("Tandem_Discovery_670_Pro"), camera_kind("Tandem_870_CZT"), camera_kind("xyz")
    ('CZT', 'parallel-hole', 'parallel-hole', None)
    """
    name = (camera or "").lower()
    return next((model.kind for model in CAMERAS if any(mark in name for mark in model.marks)), None)
