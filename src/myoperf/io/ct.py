"""A CT's slices to a coarse volume, read one slice at a time; series that cannot correct attenuation are refused."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from myoperf.errors import GeometryError, InputError
from myoperf.io.header import camera_of, items, number, read_frames, read_header, stated_numbers, text_of
from myoperf.io.pet.slices import slice_grid
from myoperf.io.planes import plane_axes
from myoperf.io.scale import ValueScale, value_scale
from myoperf.types import AttenuationImage, Float, Float32, Volume

_MOST_LEAN = np.cos(np.deg2rad(5.0))
_NOT_MEASURED_HU = -1500.0
"""Below any matter: what scanners write outside the circle that they reconstruct."""

_FARTHEST_APART_MM = 20.0
"""Between slices farther apart, heart and diaphragm are guesswork; the coarsest cameras' CTs have 10 mm."""
_NO_CONTRAST = frozenset({"", "NO", "NONE", "N", "NO CONTRAST", "WITHOUT CONTRAST", "NATIVE"})

Convert = Callable[[NDArray[Any]], Float32]


@dataclass(frozen=True, eq=False, kw_only=True)
class CTSeries:
    """A CT whose headers were read and found usable; its pixels are still on disk.

    Attributes
    ----------
    files
        One a plane, ordered along the normal.
    scales, padding
        Of each plane's pixels: how they become Hounsfield units, and the stored value outside the image, if any.
    lps_from_index
        Shape (4, 4), of the full grid.
    shape
        (planes, rows, columns).
    kvp
        Voltage in kV.
    scanner
        Manufacturer and model; None where absent.
    """

    files: tuple[Path, ...]
    scales: tuple[ValueScale, ...]
    padding: tuple[float | None, ...]
    lps_from_index: Float
    shape: tuple[int, int, int]
    kvp: float
    scanner: str | None


@dataclass(frozen=True, eq=False, kw_only=True)
class CoarseCT:
    """A CT averaged over blocks of pixels.

    Attributes
    ----------
    converted
        What the conversion made of the Hounsfield units, averaged over blocks.
    measured
        Shape (planes, rows, columns), the share of each block that lies in the scanner's reconstructed circle.
    """

    converted: Volume
    measured: Float32


def read_ct_series(image: AttenuationImage) -> CTSeries:
    """Read the headers of a CT and check that it can serve for attenuation correction.

    Raises
    ------
    InputError
        When contrast was given, the voltage or the scale of the pixels is missing, or there are several images of one
        plane.
    GeometryError
        When slices are missing, unevenly spaced or far apart, not axial, or of a tilted gantry.
    """
    headers = [read_header(path) for path in image.files]
    name, first = image.files[0].name, headers[0]
    if _has_contrast(first):
        raise InputError("contrast medium was given, whose iodine the conversion would take for bone")
    for header in headers:
        _check_unit(header)
    kvp = number(first, "KVP")
    if not kvp:
        raise InputError("its voltage (KVP) is missing, on which the conversion depends")
    if abs(plane_axes(stated_numbers(first, "ImageOrientationPatient", name), name)[0, 2]) < _MOST_LEAN:
        raise GeometryError("its slices are not axial")
    grid = slice_grid(headers, name)
    if grid.order.shape[0] != 1:
        raise InputError(f"it has {grid.order.shape[0]} images at each position (gated or repeated)")
    apart = float(np.linalg.norm(grid.lps_from_index[:3, 0]))
    if apart > _FARTHEST_APART_MM:
        raise GeometryError(f"its slices are {apart:.0f} mm apart, at most {_FARTHEST_APART_MM:.0f} mm is expected")
    order = grid.order[0]
    rows, columns = (int(number(first, key) or 0) for key in ("Rows", "Columns"))
    return CTSeries(
        files=tuple(image.files[i] for i in order),
        scales=tuple(value_scale(headers[i], image.files[i].name) for i in order),
        padding=tuple(_padding(headers[i]) for i in order),
        lps_from_index=grid.lps_from_index,
        shape=(order.size, rows, columns),
        kvp=kvp,
        scanner=camera_of(first),
    )


def _has_contrast(header: Dataset) -> bool:
    """Whether contrast medium was given; some writers say "NONE" where none was."""
    agent = text_of(header, "ContrastBolusAgent").strip().upper()
    given = agent not in _NO_CONTRAST or bool(items(header, "ContrastBolusAgentSequence"))
    return given or (number(header, "ContrastBolusVolume") or 0.0) > 0


def _check_unit(header: Dataset) -> None:
    """Refuse a slice whose pixels do not become Hounsfield units (PS3.3 C.8.2.1: slope and intercept are required)."""
    if not number(header, "RescaleSlope") or number(header, "RescaleIntercept") is None:
        raise InputError(
            "Rescale Slope or Rescale Intercept is missing in a slice, so that its Hounsfield units are not known"
        )
    unit = text_of(header, "RescaleType").strip().upper()
    if unit not in ("", "HU", "US"):
        raise InputError(f"its values are in {unit}, not in Hounsfield units")


def _padding(header: Dataset) -> float | None:
    """Return the stored value of pixels outside the image (PS3.3 C.7.5.1.1.2)."""
    return number(header, "PixelPaddingValue")


def coarse_ct(series: CTSeries, convert: Convert, *, pixel_mm: float) -> CoarseCT:
    """Read a CT slice by slice, convert it, and average blocks of about a pixel's size.

    Conversion comes before averaging, because the two slopes of bone and lung do not commute with it. One slice at full
    size is in memory at a time.

    Parameters
    ----------
    convert
        From Hounsfield units to what is wanted, such as `myoperf.recon.attenuation_per_cm`.
    pixel_mm
        Blocks are the largest that are not larger than this along any axis.
    """
    spacing = np.linalg.norm(series.lps_from_index[:3, :3], axis=0)
    deep, tall, wide = (max(1, int(pixel_mm / step)) for step in spacing)
    planes, rows, columns = (size // block for size, block in zip(series.shape, (deep, tall, wide), strict=True))
    circle = _circle(series.shape[1], series.shape[2])
    converted = np.zeros((planes, rows, columns), dtype=np.float32)
    measured = np.zeros_like(converted)
    for index in range(planes * deep):
        stored = read_frames(series.files[index])[0]
        hounsfield = series.scales[index].apply(stored)
        valid = circle & (hounsfield > _NOT_MEASURED_HU)
        if series.padding[index] is not None:
            valid &= stored != series.padding[index]
        values = np.where(valid, convert(hounsfield), np.float32(0.0))
        for whole, out in ((values, converted), (valid.astype(np.float32), measured)):
            cut = whole[: rows * tall, : columns * wide].reshape(rows, tall, columns, wide)
            out[index // deep] += cut.mean(axis=(1, 3)) / np.float32(deep)
    affine = np.array(series.lps_from_index)
    blocks = np.array([deep, tall, wide], dtype=np.float64)
    affine[:3, 3] += affine[:3, :3] @ (0.5 * (blocks - 1.0))
    affine[:3, :3] *= blocks
    return CoarseCT(converted=Volume(converted, affine), measured=measured)


def _circle(rows: int, columns: int) -> NDArray[np.bool_]:
    """Return the circle inscribed in a slice: what lies outside it, scanners do not reconstruct."""
    y, x = (np.arange(size) - 0.5 * (size - 1) for size in (rows, columns))
    return np.asarray(np.hypot(y[:, None], x[None, :]) <= 0.5 * min(rows, columns))
