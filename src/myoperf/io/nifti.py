"""NIfTI volumes: RAS and (x, y, z) in the file, LPS and (plane, row, column) in MyoPerf."""

import gzip
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myoperf.errors import GeometryError, InputError, UnsupportedInputError, silent_libraries
from myoperf.geometry import lps_from_ras
from myoperf.io.files import LARGEST_FILE, open_file
from myoperf.io.plausible import MOST_VALUES, check_spacing
from myoperf.types import Finding, Float, Volume

_NIFTI2_HEADER = 540
_GZIP = b"\x1f\x8b"
_LARGEST_VALUE = 1e30
"""Far above any count, and far enough below the largest single-precision number to be summed."""
_AFFINES_APART_MM = 1.0
_SCALE = {"meter": 1000.0, "mm": 1.0, "micron": 0.001, "unknown": 1.0}


def is_nifti(path: Path) -> bool:
    """Whether a file's name ends in .nii or .nii.gz."""
    return re.search(r"\.nii(\.gz)?$", path.name, re.IGNORECASE) is not None


def refuse_zstd(path: Path) -> None:
    """Refuse NIfTI compressed by zstd, which few programs read.

    Raises
    ------
    UnsupportedInputError
        With what to do.
    """
    if re.search(r"\.nii\.zst$", path.name, re.IGNORECASE):
        raise UnsupportedInputError(
            f"{path.name}: NIfTI compressed by zstd; unpack it (zstd -d) or compress it by gzip."
        )


def name_without_suffix(path: Path) -> str:
    """Return a file's name up to .nii."""
    return path.name.split(".nii")[0]


def read_nifti(path: str | Path) -> Volume:
    """Read a 3D or 4D NIfTI file.

    Voxel (i, j, k) of the file becomes (plane k, row j, column i); the fourth axis becomes frames.
    Values keep the file's type where it has no scaling.

    Raises
    ------
    InputError
        When the file is damaged, announces implausibly many values, or contains NaN or infinite values.
    UnsupportedInputError
        When it is a 2D picture or has more than four axes.
    GeometryError
        When neither sform nor qform gives an affine, or one is the mirror image of the other.
    """
    return read_nifti_with_findings(path)[0]


def read_nifti_with_findings(path: str | Path) -> tuple[Volume, tuple[Finding, ...]]:
    """Read a NIfTI file as `read_nifti`, with a finding where its two affines differ."""
    path = Path(path)
    try:
        with silent_libraries():  # nibabel prints what it mends in a header
            image = load_nifti(path)
            _check_size(image.shape, path.name)
            array = np.asanyarray(image.dataobj)
            header = image.header
            coded = _affines(header)
            unit = header.get_xyzt_units()[0]
    except InputError:
        raise
    except Exception:  # nibabel, zlib and numpy raise many types on damaged bytes
        raise InputError(f"{path.name}: not a readable NIfTI file; {_why_unreadable(path)}.") from None
    while array.ndim > 3 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.ndim not in (3, 4) or min(array.shape[:3]) < 2:
        raise UnsupportedInputError(f"{path.name}: shape {array.shape}; expected a 3D volume or a 4D series of them.")
    if array.dtype.kind not in "iufb" or array.dtype.names:
        raise UnsupportedInputError(f"{path.name}: values of type {array.dtype}; expected real numbers.")
    if not coded:
        raise GeometryError(f"{path.name}: neither sform nor qform is set; an affine is never invented.")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise InputError(f"{path.name}: the volume contains NaN or infinite values.")
    if max(abs(float(array.max())), abs(float(array.min()))) > _LARGEST_VALUE:
        raise InputError(f"{path.name}: values up to {np.abs(array).max():g}; at most {_LARGEST_VALUE:g} is expected.")
    affine, *others = coded
    affine[:3] *= _SCALE.get(unit, 1.0)
    for other in others:
        other[:3] *= _SCALE.get(unit, 1.0)
    if not np.isfinite(affine).all():
        raise GeometryError(f"{path.name}: its affine holds values that are not finite; export the file again.")
    frames = array[None] if array.ndim == 3 else np.moveaxis(array, 3, 0)
    try:
        volume = Volume(np.ascontiguousarray(frames.transpose(0, 3, 2, 1)), _reversed(lps_from_ras(affine)))
    except GeometryError as error:
        check_spacing("the distance between voxels", np.linalg.norm(affine[:3, :3], axis=0).tolist(), path.name)
        raise GeometryError(f"{path.name}: {error}") from None
    return volume, _compare_affines(affine, others, array.shape[:3], path.name)


def _affines(header: Any) -> list[Float]:
    """Return sform and qform, those of them whose code says that they hold; a damaged qform is left out after sform."""
    sform, code = header.get_sform(coded=True)
    found: list[Float] = [np.array(sform, dtype=np.float64)] if code else []
    try:
        qform, code = header.get_qform(coded=True)
    except Exception:  # nibabel's quaternions and header raise several types
        if not found:
            raise
        return found
    return [*found, np.array(qform, dtype=np.float64)] if code else found


def _compare_affines(sform: Float, others: Sequence[Float], shape: tuple[int, ...], name: str) -> tuple[Finding, ...]:
    """Return a finding where qform puts a corner of the volume elsewhere than sform; refuse a mirror image."""
    corners = np.stack(np.meshgrid(*[(0, side - 1) for side in shape], [1], indexing="ij"), axis=-1).reshape(-1, 4)
    for qform in others:
        if np.linalg.det(sform[:3, :3]) * np.linalg.det(qform[:3, :3]) < 0:
            raise GeometryError(
                f"{name}: by sform and by qform, left and right are opposite; set the one that is wrong to code 0, or "
                "convert the file again."
            )
        apart = float(np.linalg.norm((corners @ (sform - qform).T)[:, :3], axis=1).max())
        if not apart <= _AFFINES_APART_MM:
            message = f"The file's two affines, sform and qform, differ by up to {apart:.0f} mm; sform was used."
            return (Finding("affines-differ", "warning", message),)
    return ()


def _why_unreadable(path: Path) -> str:
    """Return why a file cannot be read as what its name says."""
    named_gzip = path.name.lower().endswith(".gz")
    with open_file(path) as stream:
        packed = stream.read(2) == _GZIP
    if packed and not named_gzip:
        return "it is compressed by gzip, so its name must end in .nii.gz"
    if named_gzip and not packed:
        return "it is not compressed by gzip, so its name must end in .nii"
    return "it is damaged or incomplete"


def load_nifti(path: Path) -> Any:
    """Return nibabel's image of a file, its values not read yet; one in an archive is unpacked in memory."""
    import nibabel as nib  # takes a third of a second to load, and most studies are DICOM

    with open_file(path) as stream:
        if path.is_file():
            return nib.load(path)
        packed = path.name.lower().endswith(".gz")
        data = gzip.GzipFile(fileobj=stream).read(LARGEST_FILE) if packed else stream.read()
    make: Any = nib.Nifti2Image if int.from_bytes(data[:4], "little") == _NIFTI2_HEADER else nib.Nifti1Image
    return make.from_bytes(data)


def _check_size(shape: tuple[int, ...], name: str) -> None:
    """Refuse a file whose header announces more values than a heart study has, before they are read."""
    values = math.prod(max(int(side), 1) for side in shape)
    if values > MOST_VALUES:
        raise InputError(f"{name}: shape {shape} has {values} values; at most {MOST_VALUES} are expected.")


def write_nifti(path: str | Path, volume: Volume, *, description: str = "") -> None:
    """Write a volume as NIfTI-1 (.nii or .nii.gz) in mm; several frames become the fourth axis.

    The same volume gives the same bytes, compressed or not.

    Parameters
    ----------
    description
        At most 79 characters for the header.

    Raises
    ------
    InputError
        When NIfTI cannot hold the values: text, complex numbers, integers beyond 32 bits.
    """
    import nibabel as nib

    array = volume.array.transpose(0, 3, 2, 1)
    array = array[0] if volume.frames == 1 else np.moveaxis(array, 0, 3)
    make: Any = nib.Nifti1Image
    image = make(np.asarray(_storable(array)), lps_from_ras(_reversed(volume.lps_from_index)))
    image.header.set_xyzt_units("mm", "sec")
    image.header["descrip"] = description.encode()
    image.set_sform(image.affine, code=1)
    image.set_qform(image.affine, code=1)
    nib.save(image, path)


def _storable(array: NDArray[Any]) -> NDArray[Any]:
    """Return the values in a type that other programs read: no booleans, half floats or 64-bit integers."""
    kind, size = array.dtype.kind, array.dtype.itemsize
    if kind == "b":
        return array.astype(np.uint8)
    if kind == "f" and size == 2:
        return array.astype(np.float32)
    if kind in "iu" and size == 8:
        if array.min() < -(2**31) or array.max() >= 2**31:
            raise InputError("Integers beyond 32 bits cannot be written as NIfTI.")
        return array.astype(np.int32)
    if kind not in "iuf":
        raise InputError(f"Values of type {array.dtype} cannot be written as NIfTI.")
    return array


def _reversed(affine: NDArray[Any]) -> NDArray[np.float64]:
    """Return an affine with its index order reversed, (i, j, k) to (k, j, i)."""
    return np.asarray(affine, dtype=np.float64)[:, [2, 1, 0, 3]]
