"""Scans as NIfTI files, each with a JSON file beside it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from myoperf.errors import InputError
from myoperf.files import whole_file
from myoperf.io.nifti import load_nifti, read_nifti, write_nifti
from myoperf.io.sidecar import projections_of_sidecar, scan_of_sidecar, sidecar_path, sidecar_text
from myoperf.types import Projections, Scan, State


def converted_name(name: str, scan: Scan) -> str:
    """Return the name of a scan's files, without an ending: its own, its framing and its kind.

    Examples
    --------
    >>> from myoperf.types import Scan, Volume
    >>> converted_name("rest", Scan(Volume(np.ones((4, 5, 6)), np.eye(4)), state="rest", orientation="short_axis"))
    'rest_static_sa_spect'
    """
    parts = [name, scan.framing]
    parts += ["sa"] if scan.orientation == "short_axis" else []
    parts.append("pet" if scan.modality == "PT" else "spect")
    parts += ["proj"] if scan.is_raw else []
    return "_".join(parts)


def write_converted(path: Path, scan: Scan, *, overwrite: bool = False) -> None:
    """Write a scan as a NIfTI file and the JSON file beside it, each whole or not at all.

    A volume becomes 3D, or 4D with its gates or time frames last. Raw projections become (columns, rows, views, gates)
    without sform and qform, so that no program takes them for a volume.

    Parameters
    ----------
    path
        Ends in ``.nii.gz`` or ``.nii``.
    overwrite
        Replace files of these names.

    Raises
    ------
    OutputExistsError
        When a file is there and is not to be replaced.
    """
    with whole_file(path, overwrite=overwrite) as image:
        if isinstance(scan.image, Projections):
            _write_views(image, scan.image)
        else:
            write_nifti(image, scan.image, description="MyoPerf conversion")
        with whole_file(sidecar_path(path), overwrite=overwrite) as text:
            text.write_text(sidecar_text(scan), encoding="utf-8")


def _write_views(path: Path, projections: Projections) -> None:
    """Write raw projections without a place in the patient's space."""
    import nibabel as nib  # takes a third of a second to load

    make: Any = nib.Nifti1Image
    array = np.asarray(projections.array)
    array = array.astype(np.int32) if array.dtype.kind in "iu" and array.dtype.itemsize == 8 else array
    image = make(array.transpose(3, 2, 1, 0), None)
    rows_mm, columns_mm = projections.pixel_mm
    image.header.set_zooms((columns_mm, rows_mm, 1.0, 1.0))
    image.header.set_xyzt_units("mm", "sec")
    image.header["descrip"] = b"MyoPerf: raw projections (columns, rows, views, gates)"
    image.set_sform(None, code=0)
    image.set_qform(None, code=0)
    nib.save(image, path)


def read_converted(path: Path, block: Mapping[str, Any], state: State | None) -> Scan:
    """Read a scan written by `write_converted`.

    Parameters
    ----------
    block
        Of its sidecar, by `read_sidecar`.
    state
        To record; None leaves it unknown.

    Raises
    ------
    InputError
        When a file is damaged or the two do not fit.
    """
    if block.get("kind") != "projections":
        return scan_of_sidecar(read_nifti(path), block, state=state, name=path.name)
    try:
        array = np.asanyarray(load_nifti(path).dataobj)
    except Exception:  # nibabel, zlib and numpy raise many types on damaged bytes
        raise InputError(f"{path.name}: not a readable NIfTI file; it is damaged or incomplete.") from None
    if not 1 <= array.ndim <= 4:
        raise InputError(f"{path.name}: raw views have columns, rows, views and gates; got {array.ndim} axes.")
    array = array.reshape(array.shape + (1,) * (4 - array.ndim))
    views = projections_of_sidecar(np.ascontiguousarray(array.transpose(3, 2, 1, 0)), block, name=path.name)
    return scan_of_sidecar(views, block, state=state, name=path.name)
