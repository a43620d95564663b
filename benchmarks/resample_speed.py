"""Processor time of linear resampling against scipy and SimpleITK, one thread each, alternating in one process.

    python benchmarks/resample_speed.py

Writes ``docs/results/resample_speed.csv``. Processor time, not the clock, so
that other work on the machine counts little; ratios are taken round by round.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk  # noqa: N813
from scipy import ndimage
from scipy.spatial.transform import Rotation

from myoperf.geometry import affine_from_axes, index_from_lps, reslice, sample, transform_points
from myoperf.types import Volume

ROOT = Path(__file__).parents[1]
INNER = {"reorient 64 x 64 x 64": (slice(8, -8),) * 3, "polar map 128 x 64, 16 deep": ()}
"""Where values are compared: programs may differ in the last voxel before a volume's edge."""


def oblique(shape: tuple[int, int, int], spacing: float) -> np.ndarray:
    """Return an affine turned by some 40 degrees about the middle of a grid."""
    axes = Rotation.from_euler("zyx", (20, -35, 15), degrees=True).as_matrix()
    return affine_from_axes(-axes.T @ (spacing * 0.5 * (np.array(shape) - 1)), axes, spacing)


def wall_points(rings: int, angles: int, samples: int) -> np.ndarray:
    """Lay points through the wall of half an ellipsoid."""
    tilt = (np.arange(rings) + 0.5)[:, None, None] * (0.5 * np.pi / rings)
    turn = np.arange(angles)[:, None] * (2 * np.pi / angles)
    radius = 30.0 + np.linspace(-6, 6, samples)
    across = radius * np.sin(tilt)
    out = np.stack(np.broadcast_arrays(across * np.cos(turn), across * np.sin(turn), -1.6 * radius * np.cos(tilt)), -1)
    return np.ascontiguousarray(out)


def write_table(rows: list[dict[str, Any]]) -> None:
    """Write the CSV."""
    with (ROOT / "docs/results/resample_speed.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=200)
    rows = measure(parser.parse_args().rounds)
    write_table(rows)
    print(*rows, sep="\n")


def jobs() -> dict[str, dict[str, Callable[[], Any]]]:
    """Return the work, each by each program."""
    rng = np.random.default_rng(5)
    image = Volume(rng.random((1, 64, 64, 64), dtype=np.float32), oblique((64, 64, 64), 6.4))
    grid = affine_from_axes((-126.0,) * 3, np.eye(3), 4.0)
    matrix = index_from_lps(image.lps_from_index)
    points = wall_points(128, 64, 16)
    itk = sitk.GetImageFromArray(image.array[0])
    itk.SetSpacing((6.4,) * 3)
    axes = image.lps_from_index[:3, :3] / 6.4
    itk.SetDirection(axes[:, ::-1].ravel().tolist())
    itk.SetOrigin(image.lps_from_index[:3, 3].tolist())
    asked = sitk.ResampleImageFilter()
    asked.SetSize((64, 64, 64))
    asked.SetOutputSpacing((4.0,) * 3)
    asked.SetOutputDirection(np.eye(3)[:, ::-1].ravel().tolist())
    asked.SetOutputOrigin((-126.0,) * 3)
    asked.SetInterpolator(sitk.sitkLinear)
    asked.SetDefaultPixelValue(0.0)
    asked.SetNumberOfThreads(1)
    both = matrix @ grid
    out = np.empty((64, 64, 64), np.float32)

    def by_scipy() -> np.ndarray:
        ndimage.affine_transform(image.array[0], both[:3, :3], both[:3, 3], output=out, order=1, mode="grid-constant")
        return out

    def polar_scipy() -> np.ndarray:
        index = np.moveaxis(transform_points(matrix, points), -1, 0)
        values = np.empty(points.shape[:-1], np.float32)
        ndimage.map_coordinates(image.array[0], index, output=values, order=1, mode="grid-constant")
        return values

    return {
        "reorient 64 x 64 x 64": {
            "myoperf": lambda: reslice(image, grid, (64, 64, 64)).array[0],
            "scipy": by_scipy,
            "SimpleITK": lambda: sitk.GetArrayViewFromImage(asked.Execute(itk)),
        },
        "polar map 128 x 64, 16 deep": {"myoperf": lambda: sample(image, points)[0], "scipy": polar_scipy},
    }


def measure(rounds: int) -> list[dict[str, Any]]:
    """Time each job's programs in turn and take the median of the rounds' ratios."""
    rows = []
    for job, programs in jobs().items():
        values = {name: np.array(run(), copy=True) for name, run in programs.items()}
        seconds: dict[str, list[float]] = {name: [] for name in programs}
        for _ in range(rounds):
            for name, run in programs.items():
                start = time.process_time()
                run()
                seconds[name].append(time.process_time() - start)
        for name in programs:
            if name == "myoperf":
                continue
            ratio = np.array(seconds[name]) / np.array(seconds["myoperf"])
            apart = np.abs(values[name] - values["myoperf"])[INNER[job]]
            row = {"job": job, "peer": name, "rounds": rounds}
            row |= {"myoperf_ms": f"{1e3 * np.median(seconds['myoperf']):.2f}"}
            row |= {"peer_ms": f"{1e3 * np.median(seconds[name]):.2f}", "ratio": f"{np.median(ratio):.1f}"}
            row |= {
                "ratio_quarter": f"{np.percentile(ratio, 25):.1f}",
                "ratio_three_quarters": f"{np.percentile(ratio, 75):.1f}",
            }
            rows.append(
                row | {"largest_difference": f"{apart.max():.1e}", "share_alike": f"{(apart < 1e-5).mean():.4f}"}
            )
    return rows


if __name__ == "__main__":
    main()
