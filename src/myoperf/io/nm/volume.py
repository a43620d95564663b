"""Reconstructed NM tomography (RECON TOMO, RECON GATED TOMO, short axis) to `Volume`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from myoperf.errors import GeometryError, InputError
from myoperf.io.header import items, number, numbers
from myoperf.io.kinds import is_short_axis
from myoperf.io.nm.frames import beat_choice, frame_table, pixel_spacing, window_choice
from myoperf.io.planes import NOMINAL_SHORT_AXIS, is_transaxial, plane_axes, stack_affine
from myoperf.io.quirks import stretched_counts
from myoperf.types import Finding, Float, Orientation, Volume

__all__ = ["volume_from"]


def volume_from(
    dataset: Dataset, pixels: NDArray[np.generic], name: str
) -> tuple[Volume, Orientation, tuple[Finding, ...]]:
    """Build the volume of a reconstructed NM file.

    Parameters
    ----------
    dataset
        Header with the NM modules of PS3.3 C.8.4.
    pixels
        Shape (frames, rows, columns).
    name
        The file's name, for messages.

    Returns
    -------
    (volume as float32 with rescale slope and intercept applied, its orientation, findings)

    Raises
    ------
    GeometryError
        When orientation, spacing or slice step is missing.
    InputError
        When slices are missing or the volume holds no counts.
    """
    table = frame_table(dataset, name, pixels.shape[0])
    if "slice" not in table.present and pixels.shape[0] > 1:
        raise GeometryError(f"{name}: Slice Vector is missing; the order of the slices is unknown.")
    keep, findings = window_choice(dataset, table, pixels)
    keep, more = beat_choice(table, pixels, keep)
    array = _gather(table["slot"][keep], table["slice"][keep], pixels[keep], name)
    slope, intercept = _scale(dataset)
    array = array * np.float32(slope) + np.float32(intercept)
    if array.max() <= 0 or array.max() == array.min():
        raise InputError(f"{name}: the volume holds no counts.")
    affine, orientation, said = _geometry(dataset, array.shape[1:], name)
    stretched = stretched_counts(float(pixels.max()))
    return Volume(array, affine), orientation, (*findings, *more, *said, *((stretched,) if stretched else ()))


def _scale(dataset: Dataset) -> tuple[float, float]:
    """Give slope and intercept: of the modality, else of the first real-world value mapping (PS3.3 C.7.6.16.2.11)."""
    slope = number(dataset, "RescaleSlope")
    if slope:
        return slope, number(dataset, "RescaleIntercept") or 0.0
    for mapping in items(dataset, "RealWorldValueMappingSequence")[:1]:
        slope = number(mapping, "RealWorldValueSlope")
        if slope:
            return slope, number(mapping, "RealWorldValueIntercept") or 0.0
    return 1.0, 0.0


def _gather(
    slots: NDArray[np.int64], slices: NDArray[np.int64], pixels: NDArray[Any], name: str
) -> NDArray[np.float32]:
    """Put every frame at its (gate, slice), whatever its place in the file."""
    gates, gate = np.unique(slots, return_inverse=True)
    planes, plane = np.unique(slices, return_inverse=True)
    if slots.size != gates.size * planes.size or np.unique(gate * planes.size + plane).size != slots.size:
        message = f"{slots.size} frames do not make {gates.size} gates of {planes.size} slices"
        raise InputError(f"{name}: {message}; export the file again.")
    if planes[-1] - planes[0] + 1 != planes.size:
        raise InputError(f"{name}: slices are missing between {planes[0]} and {planes[-1]}; export the file again.")
    array = np.empty((gates.size, planes.size, *pixels.shape[1:]), dtype=np.float32)
    array[gate, plane] = pixels
    return array


def _geometry(dataset: Dataset, shape: tuple[int, ...], name: str) -> tuple[Float, Orientation, tuple[Finding, ...]]:
    """Find orientation, position and step: in the detector's item by PS3.3 C.8.4.11, else at the top level.

    Readers that look at the top level only find nothing in NM files (ClearCanvas issue 209).
    """
    spacing = pixel_spacing(dataset, name)
    step, findings = _slice_step(dataset, name)
    holders = (*items(dataset, "DetectorInformationSequence")[:1], dataset)
    cosines = next((c for h in holders if len(c := numbers(h, "ImageOrientationPatient")) == 6), ())
    position = next((p for h in holders if len(p := numbers(h, "ImagePositionPatient")) == 3), ())
    named_short_axis = is_short_axis(dataset)
    axes = plane_axes(cosines, name) if cosines or not named_short_axis else None
    if named_short_axis and (axes is None or is_transaxial(axes)):
        axes, step, position = NOMINAL_SHORT_AXIS, abs(step), ()
        message = (
            "The short-axis slices carry no patient orientation: planes are taken from apex to base, rows from "
            "anterior to inferior, columns from septal to lateral."
        )
        findings += (Finding("orientation-nominal", "warning", message),)
    if axes is None:
        raise GeometryError(f"{name}: Image Orientation is missing; a volume's orientation is never guessed.")
    oblique = not is_transaxial(axes)
    orientation: Orientation = "short_axis" if named_short_axis or oblique else "transaxial"
    if oblique and not named_short_axis:
        message = "The planes are oblique to the patient: taken for a short-axis volume."
        findings += (Finding("oblique-planes", "info", message),)
    if not position:
        centre = np.array([step, *spacing]) * (np.asarray(shape) - 1) / 2.0
        position = tuple(-(centre @ axes))
        if not named_short_axis or oblique:
            message = "The file gives no position: the volume's centre was put at the origin."
            findings += (Finding("position-missing", "warning", message),)
    return stack_affine(axes, position, step, spacing), orientation, findings


def _slice_step(dataset: Dataset, name: str) -> tuple[float, tuple[Finding, ...]]:
    """Give the signed distance between slices: Spacing Between Slices, else Slice Thickness with a word."""
    step = number(dataset, "SpacingBetweenSlices")
    if step:
        return step, ()
    thickness = number(dataset, "SliceThickness")
    if thickness is None or thickness <= 0:
        raise GeometryError(f"{name}: neither Spacing Between Slices nor Slice Thickness; the step is never guessed.")
    message = "Spacing Between Slices is missing: the slice thickness was taken, and slices along their normal."
    return thickness, (Finding("slice-step", "warning", message),)
