"""Geometry: round trips on oblique, anisotropic affines; the frame's handedness."""

import subprocess
import sys

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial.transform import Rotation

from myoperf import geometry
from myoperf.errors import GeometryError, InputError
from myoperf.types import LVFrame, Volume


@pytest.fixture
def oblique() -> Volume:
    """A volume of unequal axes on an oblique, anisotropic affine, linear in world position."""
    axes = Rotation.from_euler("zyx", (20, -35, 50), degrees=True).as_matrix()
    affine = geometry.affine_from_axes((-40.0, 12.0, 100.0), axes, (3.0, 2.0, 2.5))
    index = np.stack(np.meshgrid(*map(np.arange, (7, 8, 9)), indexing="ij"), -1)
    world = geometry.transform_points(affine, index)
    return Volume(world @ np.array([1.0, -2.0, 0.5]) + 500.0, affine)


def frame() -> LVFrame:
    return LVFrame((30.0, -40.0, -10.0), (-5.0, 5.0, 20.0), (0.4, -0.4, 0.8))


def test_frame_is_right_handed_with_the_lateral_wall_on_the_viewers_right_from_the_apex():
    f = frame()
    assert np.allclose(np.cross(f.axis, f.anterior), f.lateral)
    assert f.lateral[0] > 0  # an ordinary heart's lateral wall looks to the patient's left
    assert f.lateral[1] > 0  # and to the back


def test_lps_ras_is_its_own_inverse(oblique):
    ras = geometry.lps_from_ras(oblique.lps_from_index)
    assert ras[0, 3] == -oblique.lps_from_index[0, 3]
    assert np.allclose(geometry.lps_from_ras(ras), oblique.lps_from_index)


def test_sampling_a_linear_field_is_exact(oblique):
    points = geometry.transform_points(oblique.lps_from_index, [[2.3, 4.1, 5.7], [0.5, 6.9, 0.1]])
    expected = points @ np.array([1.0, -2.0, 0.5]) + 500.0
    assert np.allclose(geometry.sample(oblique, points)[0], expected, rtol=1e-5)


def test_reslice_to_own_grid_is_identity(oblique):
    same = geometry.reslice(oblique, oblique.lps_from_index, oblique.grid_shape)
    assert np.allclose(same.array, oblique.array, rtol=1e-5)


def test_nothing_beyond_the_image_is_read_where_round_off_reaches_its_last_plane():
    """The memory behind the image holds NaN here; read with a share of zero it still makes NaN."""
    from myoperf.geometry.kernels import sample_grid

    memory = np.full(480, np.nan, np.float32)
    memory[:240] = 1.0
    image = memory[:240].reshape(1, 4, 5, 12)
    rng = np.random.default_rng(0)
    for _ in range(300):
        matrix, out = np.eye(4), np.zeros_like(image)
        matrix[0, 2] = rng.choice([-1, 1]) * 10.0 ** rng.uniform(-17, -15)
        matrix[0, 3] = rng.choice([0, -1, 1]) * 10.0 ** rng.uniform(-16.5, -14.5)
        sample_grid(image, matrix, out)
        np.testing.assert_allclose(out, 1.0, rtol=1e-6)


def test_long_axis_views_hold_the_same_voxels_in_the_same_places(oblique):
    sa = oblique
    for view in (geometry.vertical_long_axis(sa), geometry.horizontal_long_axis(sa)):
        index = np.stack(np.meshgrid(*map(np.arange, view.grid_shape), indexing="ij"), -1)
        world = geometry.transform_points(view.lps_from_index, index)
        assert np.allclose(world @ np.array([1.0, -2.0, 0.5]) + 500.0, view.array[0], rtol=1e-6)


def test_short_axis_rows_run_from_anterior_and_planes_from_apex():
    f = frame()
    affine, shape = geometry.short_axis_grid(f, spacing_mm=4.0)
    steps = affine[:3, :3] / 4.0
    assert np.allclose(steps[:, 0], f.axis)
    assert np.allclose(steps[:, 1], -f.anterior)
    assert np.allclose(steps[:, 2], f.lateral)
    index = geometry.transform_points(geometry.index_from_lps(affine), f.apex_mm)
    assert np.allclose(index[1:], (np.array(shape[1:]) - 1) / 2)


@pytest.mark.parametrize("bad", [np.zeros((4, 4)), np.eye(3), np.full((4, 4), np.nan)])
def test_an_impossible_affine_is_refused(bad):
    with pytest.raises(GeometryError):
        Volume(np.ones((2, 3, 4)), bad)


def test_a_volume_with_nan_is_refused():
    with pytest.raises(InputError, match="NaN"):
        Volume(np.full((2, 3, 4), np.nan), np.eye(4))


@pytest.mark.parametrize("shape", [(7, 8, 9), (1, 8, 9), (2, 1, 9)])
@pytest.mark.parametrize("outside", [0.0, -3.5])
def test_linear_sampling_agrees_with_scipy_within_on_and_beyond_the_edge(shape, outside):
    rng = np.random.default_rng(4)
    axes = Rotation.from_euler("zyx", (20, -35, 50), degrees=True).as_matrix()
    volume = Volume(
        rng.normal(100, 30, (2, *shape)), geometry.affine_from_axes((-40.0, 12.0, 100.0), axes, (3, 2, 2.5))
    )
    corners = np.stack(np.meshgrid(*([-1.0, -0.4, 0.0, n - 1.0, n - 0.3, n] for n in shape), indexing="ij"), -1)
    index = np.concatenate([corners.reshape(-1, 3), rng.uniform(-2, 10, (400, 3)), np.zeros((3, 3)) + 1e9])
    points = geometry.transform_points(volume.lps_from_index, index).reshape(-1, 1, 3)
    found = geometry.sample(volume, points, outside=outside)
    places = geometry.transform_points(geometry.index_from_lps(volume.lps_from_index), points)[:, 0].T
    for frame, values in zip(volume.array, found, strict=True):
        wanted = ndimage.map_coordinates(
            frame.astype(np.float32), places, order=1, mode="grid-constant", cval=outside, output=np.float64
        )
        assert values[:, 0] == pytest.approx(wanted, rel=1e-6, abs=1e-5)


@pytest.mark.parametrize(
    "euler", [(20, -35, 50), (0, 0, 0), (90, 0, 0), (0, 90, 0), (180, 0, 0)], ids=lambda e: "-".join(map(str, e))
)
def test_linear_reslicing_agrees_with_scipy(euler):
    rng = np.random.default_rng(6)
    axes = Rotation.from_euler("zyx", euler, degrees=True).as_matrix()
    volume = Volume(
        rng.integers(0, 900, (2, 7, 8, 9)).astype(np.uint16),
        geometry.affine_from_axes(-axes.T @ (9.0, 7.0, 10.0), axes, (3, 2, 2.5)),
    )
    grid = geometry.affine_from_axes((-12.0, -11.0, -14.0), np.eye(3), (2.0, 2.0, 0.7))
    found = geometry.reslice(volume, grid, (11, 12, 40)).array
    matrix = geometry.index_from_lps(volume.lps_from_index) @ grid
    for frame, values in zip(volume.array, found, strict=True):
        wanted = ndimage.affine_transform(
            frame.astype(np.float64),
            matrix[:3, :3],
            matrix[:3, 3],
            output_shape=(11, 12, 40),
            order=1,
            mode="grid-constant",
        )
        assert values == pytest.approx(wanted, rel=1e-6, abs=1e-4)
    assert 0.2 < (found != 0).mean() < 0.9


def test_every_frame_is_sampled_at_its_own_points():
    rng = np.random.default_rng(3)
    volume = Volume(rng.random((3, 7, 8, 9), dtype=np.float32), np.diag([2.0, 3.0, 4.0, 1.0]))
    points = rng.uniform(-4.0, 30.0, (3, 5, 2, 3))  # some beyond the grid
    each = geometry.sample_each(volume, points, outside=0.5)
    alone = [geometry.sample(volume, points[k], outside=0.5)[k] for k in range(3)]
    assert np.array_equal(each, alone)
    assert (each == 0.5).any()


def test_numba_is_not_loaded_before_something_is_resampled():
    code = "import sys, myoperf.geometry, myoperf.cli.main; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("axis", [(-0.58, 0.70, 0.42), (0.9, 0.1, -0.3), (0.0, 0.0, 2.0)])
def test_anterior_direction_is_the_projected_direction_to_the_head(axis):
    up = geometry.anterior_direction(axis)
    assert np.linalg.norm(up) == pytest.approx(1.0)
    assert up @ np.array(axis) == pytest.approx(0.0, abs=1e-12)
    if axis[:2] == (0.0, 0.0):  # an upright heart: the anterior wall faces the chest
        np.testing.assert_allclose(up, (0.0, -1.0, 0.0))
    else:
        assert up[2] == pytest.approx(np.sqrt(1.0 - geometry.unit(axis)[2] ** 2))


def test_largest_piece_counts_corners_only_when_wanted():
    mask = np.zeros((4, 5, 6), dtype=np.uint8)
    mask[0, 0, 0] = mask[1, 1, 1] = 2  # touch at a corner: together two voxels
    mask[3, 4, 0:2] = 1
    mask[3, 0, 5] = 1
    mask[2, 2, 2] = 1  # a third voxel of the diagonal chain
    assert np.argwhere(geometry.largest_piece(mask)).tolist() == [[0, 0, 0], [1, 1, 1], [2, 2, 2]]
    assert np.argwhere(geometry.largest_piece(mask, corners=False)).tolist() == [[3, 4, 0], [3, 4, 1]]
    assert not geometry.largest_piece(np.zeros((2, 3))).any()
