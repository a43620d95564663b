"""``NAME_polar.npz`` and ``NAME_polar.png``: the polar map with everything needed to read it."""

from pathlib import Path
from typing import Any

import numpy as np

from myoperf.report.figures import polar_drawing
from myoperf.report.raster import to_png
from myoperf.segments import TERRITORIES, Territories, segment_map
from myoperf.types import ScanResult

CONVENTION = (
    "Arrays are (rings, angles). Ring 0 lies at the apex, the last at the mitral plane; ring i covers the fraction "
    "(i + 0.5) / rings of the wall. Angle 0 is anterior and rises through the septum: 90 septal, 180 inferior, 270 "
    "lateral. Positions are LPS millimetres (DICOM patient frame). segment_map holds AHA segments 1-17. Values are in "
    "the volume's own unit."
)


def polar_arrays(result: ScanResult) -> dict[str, Any]:
    """Return the arrays of ``NAME_polar.npz`` by name.

    Returns
    -------
    ``maximum``, ``mean`` (rings, angles); ``mid_wall_mm`` (rings, angles, 3); ``thickness_mm`` and
    ``segment_map`` (rings, angles); ``angles_deg`` (angles,); ``segments_percent`` (17,);
    ``apex_mm``, ``base_mm``, ``anterior`` (3,); ``convention``, a text that explains how to read them.
    """
    polar, frame = result.polar, result.frame
    return {
        "maximum": np.asarray(polar.values, dtype=np.float32),
        "mean": np.asarray(result.polar_mean.values, dtype=np.float32),
        "mid_wall_mm": np.asarray(polar.mid_wall_mm, dtype=np.float32),
        "thickness_mm": np.asarray(polar.thickness_mm, dtype=np.float32),
        "angles_deg": polar.angles_deg,
        "segment_map": segment_map(polar.rings, polar.angles).astype(np.uint8),
        "segments_percent": np.asarray(result.segments_percent, dtype=np.float64),
        "apex_mm": frame.apex_mm,
        "base_mm": frame.base_mm,
        "anterior": frame.anterior,
        "convention": np.array(CONVENTION),
    }


def write_polar(result: ScanResult, folder: Path | str, *, territories: Territories = TERRITORIES) -> tuple[Path, Path]:
    """Write ``NAME_polar.npz`` (no pickles) and ``NAME_polar.png`` into a folder; return both paths."""
    folder = Path(folder)
    arrays, picture = folder / f"{result.name}_polar.npz", folder / f"{result.name}_polar.png"
    np.savez_compressed(arrays, allow_pickle=False, **polar_arrays(result))
    picture.write_bytes(to_png(polar_drawing(result, territories=territories)))
    return arrays, picture
