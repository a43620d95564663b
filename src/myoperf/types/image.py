"""Images: volumes, and projections before reconstruction."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from myoperf.errors import GeometryError, InputError
from myoperf.types.basics import Array, Float


@dataclass(frozen=True, eq=False)
class Volume:
    """A stack of images in the patient's space.

    Parameters
    ----------
    array
        Shape (frames, planes, rows, columns); a 3D array becomes one frame. Finite.
    lps_from_index
        Shape (4, 4), maps (plane, row, column, 1) to LPS millimetres; invertible.

    Raises
    ------
    InputError
        When the array is empty, of another dimension or not finite.
    GeometryError
        When the affine is not a finite, invertible 4 x 4 matrix.

    Examples
    --------
    >>> volume = Volume(np.zeros((8, 10, 20, 30)), np.diag([4.0, 2.0, 2.0, 1.0]))  # 8 gates
    >>> volume.frames, volume.grid_shape, round(volume.voxel_ml, 3)
    (8, (10, 20, 30), 0.016)
    """

    array: Array
    lps_from_index: Float

    def __post_init__(self) -> None:
        array = np.asarray(self.array)
        if array.ndim == 3:
            array = array[None]
        if array.ndim != 4 or array.size == 0:
            raise InputError(f"A volume needs 3 or 4 non-empty axes; got shape {array.shape}.")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise InputError("The volume holds NaN or infinite values.")
        affine = np.asarray(self.lps_from_index, dtype=np.float64)
        if affine.shape != (4, 4) or not np.isfinite(affine).all():
            raise GeometryError(f"An affine must be a finite 4 x 4 matrix; got shape {affine.shape}.")
        if abs(np.linalg.det(affine[:3, :3])) < 1e-9 or not np.allclose(affine[3], (0, 0, 0, 1)):
            raise GeometryError("The affine cannot be inverted: a spacing is zero or two axes coincide.")
        view = array.view()
        view.flags.writeable = False
        affine = affine.copy()
        affine.flags.writeable = False
        object.__setattr__(self, "array", view)
        object.__setattr__(self, "lps_from_index", affine)

    @property
    def frames(self) -> int:
        """Number of gates or dynamic frames; 1 for a static volume."""
        return int(self.array.shape[0])

    @property
    def grid_shape(self) -> tuple[int, int, int]:
        """(planes, rows, columns)."""
        planes, rows, columns = self.array.shape[1:]
        return int(planes), int(rows), int(columns)

    @property
    def spacing_mm(self) -> Float:
        """Distance between neighbours along (planes, rows, columns), always positive."""
        return np.asarray(np.linalg.norm(self.lps_from_index[:3, :3], axis=0))

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel in millilitres."""
        return float(abs(np.linalg.det(self.lps_from_index[:3, :3])) / 1000.0)

    def label_ml(self, label: int) -> float:
        """Volume in millilitres of the voxels that hold a label, over all frames."""
        return float(np.count_nonzero(self.array == label)) * self.voxel_ml

    def with_array(self, array: Array) -> Self:
        """Return a volume on the same grid with other values."""
        return replace(self, array=array)

    def summed(self) -> Self:
        """Return the static volume: the sum over frames (itself where there is one frame)."""
        if self.frames == 1:
            return self
        return self.with_array(self.array.sum(axis=0, dtype=np.float64).astype(np.float32))

    def __repr__(self) -> str:
        """Show shape and spacing, never the values."""
        spacing = " x ".join(f"{s:.2f}" for s in self.spacing_mm)
        return f"Volume(shape={self.array.shape}, spacing_mm={spacing}, dtype={self.array.dtype})"


@dataclass(frozen=True, eq=False, kw_only=True)
class ScatterWindow:
    """Counts in an energy window beside the photopeak, of the same views.

    Attributes
    ----------
    counts
        Shape (views, rows, columns), as `Projections.array`, summed over gates.
    limits_kev
        (lower, upper) edge of the window.
    """

    counts: Array
    limits_kev: tuple[float, float]

    @property
    def width_kev(self) -> float:
        """Width of the window."""
        return self.limits_kev[1] - self.limits_kev[0]


@dataclass(frozen=True, eq=False)
class Projections:
    """Raw tomographic views of a rotating parallel-hole camera, detectors already joined.

    Parameters
    ----------
    array
        Counts, shape (frames, views, rows, columns). Row 0 is nearest the patient's head; columns
        run along (-cos a, sin a, 0) in LPS, as the detector sees the patient: the view from the
        front (180 degrees) has the patient's right at column 0.
    angles_deg
        Shape (views,). Position of the detector around the patient, DICOM PS3.3 (0054,0200): 0
        behind the back, 90 at the patient's left, 180 in front, 270 at the right. The unit vector
        from the axis to the detector is (sin a, cos a, 0) in LPS.
    pixel_mm
        (row spacing along the axis, column spacing across it).
    radius_mm
        Shape (views,), axis to collimator face, or None where the file gives none.
    axis_lps_mm
        World position of the axis of rotation at the middle row: (x, y, z). The reconstruction
        puts its grid's centre here.
    axis_offset_mm
        Shape (views,), where the axis of rotation is seen: its distance from the middle of the detector along the
        columns (centre of rotation offset); None where it is the middle.
    heads
        Shape (views,), number of the detector that took each view; None where one took all. The views of one head
        stand in the order in which they were taken, and all heads take theirs at the same time.
    collimator
        Its name in the file ("LEHR"); None where the file gives none.
    window_kev
        (lower, upper) edge of the photopeak's energy window; None where the file gives none.
    scatter_windows
        Windows beside the photopeak, acquired with it to estimate scatter; empty where there are none.
    attenuation
        Map that a reconstruction of these views corrects attenuation with: linear attenuation in 1/cm at the energy of
        the photons, in the patient's space. None for no correction.
    """

    array: Array
    angles_deg: Float
    pixel_mm: tuple[float, float]
    radius_mm: Float | None = None
    axis_lps_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    axis_offset_mm: Float | None = None
    heads: NDArray[np.int64] | None = None
    collimator: str | None = None
    window_kev: tuple[float, float] | None = None
    scatter_windows: tuple[ScatterWindow, ...] = ()
    attenuation: Volume | None = None

    def __post_init__(self) -> None:
        array = np.asarray(self.array)
        if array.ndim == 3:
            array = array[None]
        if array.ndim != 4 or array.size == 0:
            raise InputError(f"Projections need (frames, views, rows, columns); got shape {array.shape}.")
        if not np.isfinite(array).all():
            raise InputError("The projections hold NaN or infinite counts.")
        angles = np.array(self.angles_deg, dtype=np.float64)
        if angles.shape != (array.shape[1],) or not np.isfinite(angles).all():
            raise GeometryError(f"{array.shape[1]} views need as many angles; got {angles.size}.")
        if len(self.pixel_mm) != 2 or min(self.pixel_mm) <= 0:
            raise GeometryError(f"Pixel spacing must be two positive lengths; got {self.pixel_mm}.")
        angles.flags.writeable = False
        view = array.view()
        view.flags.writeable = False
        object.__setattr__(self, "array", view)
        object.__setattr__(self, "angles_deg", angles)
        if self.radius_mm is not None:
            radius = np.array(self.radius_mm, dtype=np.float64)
            if radius.shape != angles.shape or not (radius > 0).all():
                raise GeometryError("The radius must be positive and given for every view.")
            radius.flags.writeable = False
            object.__setattr__(self, "radius_mm", radius)
        if self.axis_offset_mm is not None:
            offset = np.array(self.axis_offset_mm, dtype=np.float64)
            if offset.shape != angles.shape or not np.isfinite(offset).all():
                raise GeometryError("The axis' offset must be finite and given for every view.")
            offset.flags.writeable = False
            object.__setattr__(self, "axis_offset_mm", offset)
        if self.heads is not None:
            heads = np.array(self.heads, dtype=np.int64)
            if heads.shape != angles.shape:
                raise GeometryError("The head must be given for every view.")
            heads.flags.writeable = False
            object.__setattr__(self, "heads", heads)
        for window in self.scatter_windows:
            if np.shape(window.counts) != array.shape[1:]:
                raise InputError(f"A scatter window needs shape {array.shape[1:]}; got {np.shape(window.counts)}.")

    @property
    def frames(self) -> int:
        """Number of gates; 1 for an ungated acquisition."""
        return int(self.array.shape[0])

    @property
    def views(self) -> int:
        """Number of angles."""
        return int(self.array.shape[1])

    def __repr__(self) -> str:
        """Show shape and angles, never the values."""
        first, last = self.angles_deg[[0, -1]]
        return f"Projections(shape={self.array.shape}, angles_deg={first:.1f}..{last:.1f}, pixel_mm={self.pixel_mm})"

    def summed(self) -> Self:
        """Return the ungated projections: the sum over frames."""
        if self.frames == 1:
            return self
        return replace(self, array=self.array.sum(axis=0, dtype=np.float64).astype(np.float32))
