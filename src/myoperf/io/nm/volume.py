"""Reconstructed NM tomography (RECON TOMO, RECON GATED TOMO, short axis) to `Volume`."""

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from myoperf.errors import GeometryError, InputError, UnsupportedInputError
from myoperf.geometry import affine_from_axes, transaxial
from myoperf.io.header import items, stated_number, stated_numbers
from myoperf.io.kinds import is_short_axis
from myoperf.io.nm.frames import frame_table, select_frames, stack_frames
from myoperf.io.planes import (
    NOMINAL_SHORT_AXIS,
    check_slices,
    cuts_across_heart,
    is_coronal_or_sagittal,
    is_transaxial,
    pixel_spacing_mm,
    plane_axes,
)
from myoperf.io.plausible import check_position, check_spacing, check_volume
from myoperf.io.quirks import stretched_counts
from myoperf.io.scale import value_scale
from myoperf.io.slice_views import runs_to_apex
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
    (volume as float32 with its scale applied, its orientation, findings); coronal and sagittal stacks are turned to
    transaxial planes, without interpolation

    Raises
    ------
    GeometryError
        When orientation, spacing or slice step is missing.
    InputError
        When slices are missing.
    """
    table, table_findings = frame_table(dataset, name, pixels.shape[0])
    if "slice" not in table.present and pixels.shape[0] > 1:
        raise GeometryError(f"{name}: Slice Vector is missing; the order of the slices is unknown.")
    keep, frame_findings = select_frames(dataset, table, pixels)
    planes, plane = np.unique(table["slice"][keep], return_inverse=True)
    if planes[-1] - planes[0] + 1 != planes.size:
        raise InputError(f"{name}: slices are missing between {planes[0]} and {planes[-1]}; export the file again.")
    array = stack_frames(pixels[keep], table["slot"][keep], plane, name, things="slices")
    array = value_scale(dataset, name).apply(array)
    affine, orientation, geometry_findings = _geometry(dataset, array.shape[1:], name)
    findings = table_findings + frame_findings + geometry_findings + stretched_counts(float(pixels.max()))
    findings += check_slices(dataset, planes.size)
    volume = Volume(array, affine)
    check_volume(volume, name)
    return (transaxial(volume) if orientation == "transaxial" else volume), orientation, findings


def _geometry(dataset: Dataset, shape: tuple[int, ...], name: str) -> tuple[Float, Orientation, tuple[Finding, ...]]:
    """Return affine and orientation, read from the detector's item (PS3.3 C.8.4.11), else from the top level.

    Programs that read the top level alone find nothing in NM files (ClearCanvas issue 209).
    """
    spacing = pixel_spacing_mm(dataset, name)
    step, findings = _slice_step(dataset, name)
    holders = (*items(dataset, "DetectorInformationSequence")[:1], dataset)
    cosines = next((c for h in holders if len(c := stated_numbers(h, "ImageOrientationPatient", name)) == 6), ())
    position = next((p for h in holders if len(p := stated_numbers(h, "ImagePositionPatient", name)) == 3), ())
    check_position("Image Position", position, name)
    named_short_axis = is_short_axis(dataset)
    if not position:
        message = "The file gives no position, so the volume's centre was placed at the origin."
        findings += (Finding("position-missing", "warning", message),)
    if named_short_axis and (not cosines or _along_patient_axes(plane_axes(cosines, name))):
        return _nominal_short_axis(dataset, shape, (abs(step), *spacing), findings)
    axes = plane_axes(cosines, name)
    orientation, orientation_findings = _orientation(axes, named_short_axis, name)
    findings += orientation_findings + (_direction_finding(dataset, axes[0] * step) if named_short_axis else ())
    position = position or _centred(shape, axes, (step, *spacing))
    affine = np.asarray(affine_from_axes(position, axes, (step, *spacing)), dtype=np.float64)
    return affine, orientation, findings  # a negative step stacks planes against their normal


def _nominal_short_axis(
    dataset: Dataset, shape: tuple[int, ...], steps_mm: tuple[float, ...], findings: tuple[Finding, ...]
) -> tuple[Float, Orientation, tuple[Finding, ...]]:
    """Return the affine of short-axis slices without a patient orientation, in the pose of a typical heart."""
    to_apex = runs_to_apex(dataset)
    step, *spacing = steps_mm
    steps = (-step if to_apex else step, *spacing)
    which = (
        "planes are assumed to run from apex to base"
        if to_apex is None
        else f"planes run from {'base to apex' if to_apex else 'apex to base'} as the file says"
    )
    message = (
        f"The short-axis slices have no patient orientation: {which}, rows are assumed to run from anterior to "
        "inferior, columns from septal to lateral."
    )
    position = _centred(shape, NOMINAL_SHORT_AXIS, steps)
    affine = np.asarray(affine_from_axes(position, NOMINAL_SHORT_AXIS, steps), dtype=np.float64)
    return affine, "short_axis", (*findings, Finding("orientation-nominal", "warning", message))


def _along_patient_axes(axes: Float) -> bool:
    """Whether planes lie along the patient's axes, as no short-axis slices do."""
    return is_transaxial(axes) or is_coronal_or_sagittal(axes)


def _centred(shape: tuple[int, ...], axes: Float, steps_mm: tuple[float, ...]) -> tuple[float, ...]:
    """Return the position of the first voxel that puts the middle of the grid at the origin."""
    return tuple(-((np.array(steps_mm) * (np.asarray(shape) - 1) / 2.0) @ axes))


def _orientation(axes: Float, named_short_axis: bool, name: str) -> tuple[Orientation, tuple[Finding, ...]]:
    """Return what planes of a known orientation show, by their name, else by their direction.

    Raises
    ------
    UnsupportedInputError
        When planes without a name are oblique and do not cut across the heart.
    """
    if named_short_axis:
        return "short_axis", ()
    if _along_patient_axes(axes):
        return "transaxial", ()
    if not cuts_across_heart(axes):
        raise UnsupportedInputError(
            f"{name}: oblique slices that do not cut across the heart's long axis (long-axis slices?); give the "
            "transaxial or the short-axis volume."
        )
    message = "The planes are oblique to the patient, so the volume is read as short-axis."
    return "short_axis", (Finding("oblique-planes", "info", message),)


def _direction_finding(dataset: Dataset, step_mm: Float) -> tuple[Finding, ...]:
    """Return a warning where Slice Progression Direction contradicts the geometry of short-axis slices."""
    to_apex = runs_to_apex(dataset)
    if to_apex is None or to_apex == bool(step_mm @ NOMINAL_SHORT_AXIS[0] < 0):
        return ()
    message = "Slice Progression Direction contradicts the slices' position and orientation, which were used."
    return (Finding("slice-direction", "warning", message),)


def _slice_step(dataset: Dataset, name: str) -> tuple[float, tuple[Finding, ...]]:
    """Return the signed distance between slices: Spacing Between Slices, else Slice Thickness with a finding."""
    step = stated_number(dataset, "SpacingBetweenSlices", name)
    if step:
        check_spacing("Spacing Between Slices", (step,), name)
        return step, ()
    thickness = stated_number(dataset, "SliceThickness", name)
    if thickness is None or thickness <= 0:
        raise GeometryError(
            f"{name}: Spacing Between Slices and Slice Thickness are both missing or 0; the step is never guessed."
        )
    check_spacing("Slice Thickness", (thickness,), name)
    message = "Spacing Between Slices is missing: the slice thickness was used, with slices stacked along their normal."
    return thickness, (Finding("slice-step", "warning", message),)
