"""The left ventricle: its pose, and its wall unrolled."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from myoperf.errors import AnalysisError, GeometryError, InputError
from myoperf.types.basics import Float


@dataclass(frozen=True, eq=False)
class LVFrame:
    """Where the left ventricle lies: the pose every later stage works in.

    Parameters
    ----------
    apex_mm
        LPS position of the apex: the mid-wall point at the tip of the left ventricle.
    base_mm
        LPS position of the centre of the mitral (valve) plane.
    anterior
        LPS unit vector at right angles to the long axis towards the middle of the anterior wall;
        made perpendicular and unit when given roughly.

    Notes
    -----
    Seen from the apex with anterior up, the septum lies on the viewer's left and the lateral wall
    on the right (AHA 2002, doi:10.1161/hc0402.102975).

    Examples
    --------
    >>> frame = LVFrame(apex_mm=(40, -40, 0), base_mm=(0, 0, 0), anterior=(0, 0, 1))
    >>> round(frame.length_mm, 1), frame.centre_mm.tolist()
    (56.6, [20.0, -20.0, 0.0])
    """

    apex_mm: Float
    base_mm: Float
    anterior: Float

    def __post_init__(self) -> None:
        apex, base, anterior = (np.array(v, dtype=np.float64) for v in (self.apex_mm, self.base_mm, self.anterior))
        for name, vector in (("apex_mm", apex), ("base_mm", base), ("anterior", anterior)):
            if vector.shape != (3,) or not np.isfinite(vector).all():
                raise GeometryError(f"{name} must be three finite numbers; got {vector.tolist()}.")
        length = np.linalg.norm(base - apex)
        if length < 1.0:
            raise GeometryError(f"Apex and base are {length:.2f} mm apart; a long axis needs two points.")
        axis = (base - apex) / length
        anterior = anterior - axis * (anterior @ axis)
        if np.linalg.norm(anterior) < 1e-6:
            raise GeometryError("The anterior direction is parallel to the long axis.")
        anterior = anterior / np.linalg.norm(anterior)
        for name, vector in (("apex_mm", apex), ("base_mm", base), ("anterior", anterior)):
            vector.flags.writeable = False
            object.__setattr__(self, name, vector)

    @property
    def axis(self) -> Float:
        """Unit vector from apex to base."""
        return (self.base_mm - self.apex_mm) / self.length_mm

    @property
    def length_mm(self) -> float:
        """Distance from apex to the mitral plane."""
        return float(np.linalg.norm(self.base_mm - self.apex_mm))

    @property
    def lateral(self) -> Float:
        """Unit vector towards the lateral wall: axis x anterior."""
        return np.cross(self.axis, self.anterior)

    @property
    def septal(self) -> Float:
        """Unit vector towards the septum."""
        return -self.lateral

    @property
    def centre_mm(self) -> Float:
        """Point half-way between apex and base."""
        return 0.5 * (self.apex_mm + self.base_mm)


SHIFT_SHAPE = (12, 24)
"""Rows from apex to base and columns round the axis on which a reader's limits of the wall are kept."""
MOST_SHIFT_MM = 20.0
"""By how much a limit of the wall can be moved."""


@dataclass(frozen=True, eq=False, kw_only=True)
class WallShift:
    """By how much a reader moved the limits of the wall, in mm along its outward normal.

    Parameters
    ----------
    inner_mm, outer_mm
        Shape (12, 24), outwards positive: of the endocardial and of the epicardial limit. Row i stands for the fraction
        (i + 0.5) / 12 of the arc from apex to mitral plane, column j for 15 j degrees from anterior through the septum.

    Raises
    ------
    InputError
        When a shape is another, or a value is no number or beyond 20 mm.
    """

    inner_mm: Float
    outer_mm: Float

    def __post_init__(self) -> None:
        for name in ("inner_mm", "outer_mm"):
            try:
                values = np.array(getattr(self, name), dtype=np.float64)
            except (TypeError, ValueError):
                raise InputError(f"Limits of the wall need numbers in mm; {name} holds something else.") from None
            if values.shape != SHIFT_SHAPE:
                raise InputError(f"Limits of the wall need {SHIFT_SHAPE} values; {name} has shape {values.shape}.")
            if not (np.abs(values) <= MOST_SHIFT_MM).all():
                raise InputError(f"Limits of the wall can move by up to {MOST_SHIFT_MM:.0f} mm; {name} goes beyond.")
            object.__setattr__(self, name, values)

    @property
    def farthest_mm(self) -> float:
        """Largest distance that a limit was moved by."""
        return float(max(np.abs(self.inner_mm).max(), np.abs(self.outer_mm).max()))

    def on_map(self, rings: int, angles: int) -> tuple[Float, Float]:
        """Return both shifts on the grid of a polar map (rings, angles), interpolated linearly."""
        rows, columns = SHIFT_SHAPE
        row = np.clip((np.arange(rings) + 0.5) / rings * rows - 0.5, 0.0, rows - 1.0)
        column = np.arange(angles) * (columns / angles)
        low, left = np.minimum(row.astype(int), rows - 2), column.astype(int)
        down, right = (row - low)[:, None], column - left

        def interpolated(values: Float) -> Float:
            along = values[low] * (1.0 - down) + values[low + 1] * down
            return np.asarray(along[:, left] * (1.0 - right) + along[:, (left + 1) % columns] * right)

        return interpolated(self.inner_mm), interpolated(self.outer_mm)


@dataclass(frozen=True, eq=False)
class PolarMap:
    """Values on the unrolled mid-wall of the left ventricle.

    Parameters
    ----------
    values
        Shape (rings, angles) or, gated, (frames, rings, angles). Ring 0 lies at the apex, the last
        at the mitral plane; angle 0 is anterior and rises through the septum, so a sample at
        angle a lies on the side cos(a) * anterior + sin(a) * septal.
    mid_wall_mm
        Shape (rings, angles, 3): LPS positions of the mid-wall samples.
    thickness_mm
        Shape (rings, angles): wall thickness sampled over.
    statistic
        ``"maximum"`` or ``"mean"`` over the wall.
    """

    values: Float
    mid_wall_mm: Float
    thickness_mm: Float
    statistic: Literal["maximum", "mean"] = "maximum"

    def __post_init__(self) -> None:
        values = np.asarray(self.values)
        grid = values.shape[-2:]
        if values.ndim not in (2, 3) or min(grid) < 2:
            raise InputError(f"A polar map needs (rings, angles); got shape {values.shape}.")
        if np.shape(self.mid_wall_mm) != (*grid, 3) or np.shape(self.thickness_mm) != grid:
            raise InputError("Mid-wall positions and thickness must match the polar map's grid.")
        if not np.isfinite(values).all():
            raise AnalysisError("The polar map holds NaN: the wall left the volume.")

    @property
    def rings(self) -> int:
        """Number of rings from apex to base."""
        return int(self.values.shape[-2])

    @property
    def angles(self) -> int:
        """Number of samples round a ring."""
        return int(self.values.shape[-1])

    @property
    def angles_deg(self) -> Float:
        """Angle of each column: 0 anterior, 90 septal, 180 inferior, 270 lateral."""
        return np.arange(self.angles) * (360.0 / self.angles)

    def __repr__(self) -> str:
        """Show shape and statistic, never the values."""
        return f"PolarMap(shape={self.values.shape}, statistic={self.statistic!r})"
