"""Reconstructed NM tomography (RECON TOMO, RECON GATED TOMO, short axis) to `Volume`."""

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from myoperf.errors import GeometryError, InputError
from myoperf.geometry import affine_from_axes
from myoperf.io.header import items, number, numbers
from myoperf.io.kinds import is_short_axis
from myoperf.io.nm.frames import frame_table, select_frames, stack_frames
from myoperf.io.planes import NOMINAL_SHORT_AXIS, is_transaxial, pixel_spacing_mm, plane_axes
from myoperf.io.quirks import stretched_counts
from myoperf.types import Finding, Float, Orientation, Volume


def volume_from(
    dataset: Dataset, pixels: NDArray[np.generic], name: str
) -> tuple[Volume, Orientation, tuple[Finding, ...]]:
    """Return the volume of a reconstructed NM file.

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
        When slices are missing.
    """
    table = frame_table(dataset, name, pixels.shape[0])
    if "slice" not in table.present and pixels.shape[0] > 1:
        raise GeometryError(f"{name}: Slice Vector is missing; the order of the slices is unknown.")
    keep, frame_findings = select_frames(dataset, table, pixels)
    planes, plane = np.unique(table["slice"][keep], return_inverse=True)
    if planes[-1] - planes[0] + 1 != planes.size:
        raise InputError(f"{name}: slices are missing between {planes[0]} and {planes[-1]}; export the file again.")
    array = stack_frames(pixels[keep], table["slot"][keep], plane, name, things="slices")
    slope, intercept = _scale(dataset)
    array = array * np.float32(slope) + np.float32(intercept)
    affine, orientation, geometry_findings = _geometry(dataset, array.shape[1:], name)
    findings = frame_findings + geometry_findings + stretched_counts(float(pixels.max()))
    return Volume(array, affine), orientation, findings


def _scale(dataset: Dataset) -> tuple[float, float]:
    """Return slope and intercept: Rescale's, else the first Real World Value Mapping's (PS3.3 C.7.6.16.2.11)."""
    slope = number(dataset, "RescaleSlope")
    if slope:
        return slope, number(dataset, "RescaleIntercept") or 0.0
    for mapping in items(dataset, "RealWorldValueMappingSequence")[:1]:
        slope = number(mapping, "RealWorldValueSlope")
        if slope:
            return slope, number(mapping, "RealWorldValueIntercept") or 0.0
    return 1.0, 0.0


def _geometry(dataset: Dataset, shape: tuple[int, ...], name: str) -> tuple[Float, Orientation, tuple[Finding, ...]]:
    """Return affine and orientation, read from the detector's item (PS3.3 C.8.4.11), else from the top level.

    Programs that read the top level alone find nothing in NM files (ClearCanvas issue 209).
    """
    spacing = pixel_spacing_mm(dataset, name)
    step, findings = _slice_step(dataset, name)
    holders = (*items(dataset, "DetectorInformationSequence")[:1], dataset)
    cosines = next((c for h in holders if len(c := numbers(h, "ImageOrientationPatient")) == 6), ())
    position = next((p for h in holders if len(p := numbers(h, "ImagePositionPatient")) == 3), ())
    named_short_axis = is_short_axis(dataset)
    axes = plane_axes(cosines, name) if cosines or not named_short_axis else None
    if named_short_axis and (axes is None or is_transaxial(axes)):
        axes, step, position = NOMINAL_SHORT_AXIS, abs(step), ()
        message = (
            "The short-axis slices have no patient orientation: planes are assumed to run from apex to base, rows "
            "from anterior to inferior, columns from septal to lateral."
        )
        findings += (Finding("orientation-nominal", "warning", message),)
    if axes is None:
        raise GeometryError(f"{name}: Image Orientation is missing; a volume's orientation is never guessed.")
    oblique = not is_transaxial(axes)
    orientation: Orientation = "short_axis" if named_short_axis or oblique else "transaxial"
    if oblique and not named_short_axis:
        message = "The planes are oblique to the patient, so the volume is read as short-axis."
        findings += (Finding("oblique-planes", "info", message),)
    if not position:
        centre = np.array([step, *spacing]) * (np.asarray(shape) - 1) / 2.0
        position = tuple(-(centre @ axes))
        if not named_short_axis or oblique:
            message = "The file gives no position, so the volume's centre was placed at the origin."
            findings += (Finding("position-missing", "warning", message),)
    affine = np.asarray(affine_from_axes(position, axes, (step, *spacing)), dtype=np.float64)
    return affine, orientation, findings  # a negative step stacks planes against their normal


def _slice_step(dataset: Dataset, name: str) -> tuple[float, tuple[Finding, ...]]:
    """Return the signed distance between slices: Spacing Between Slices, else Slice Thickness with a finding."""
    step = number(dataset, "SpacingBetweenSlices")
    if step:
        return step, ()
    thickness = number(dataset, "SliceThickness")
    if thickness is None or thickness <= 0:
        raise GeometryError(
            f"{name}: Spacing Between Slices and Slice Thickness are both missing; the step is never guessed."
        )
    message = "Spacing Between Slices is missing: the slice thickness was used, with slices stacked along their normal."
    return thickness, (Finding("slice-step", "warning", message),)
