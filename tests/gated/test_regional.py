"""Motion and thickening of segments follow the tissue of a model wall whose surfaces are known."""

import numpy as np
import pytest

from myoperf.gated.regional import regional, wall_surfaces
from myoperf.gated.thickness import SPECT_BLUR
from myoperf.gated.tracking import Tracking
from myoperf.types import LVFrame
from myoperf.ventricle.rays import lay_rays
from myoperf.ventricle.synthesis import Shell

FRAME = LVFrame((0.0, 0.0, 0.0), (0.0, 0.0, 80.0), (0.0, -1.0, 0.0))
RAYS = lay_rays(FRAME)
GATES = 16
TIME = (np.arange(GATES) + 0.5) / GATES
CONTRACTED = np.sinc(1 / GATES) * 0.5 * (1 - np.cos(2 * np.pi * TIME)) + 0.5 * (1 - np.sinc(1 / GATES))
"""Mean over each gate of a beat that is relaxed at 0 and contracted at 0.5."""


def tracking(*, radius=0.0, descent=0.0, thicker=0.0, local=None):
    """Return a beat of a bullet of 40 mm that narrows by `radius` mm while its valve comes down by `descent` mm."""
    shape = (GATES, *RAYS.direction.shape[:2])
    share = CONTRACTED[:, None, None]
    middle = np.broadcast_to(40.0 - radius * share, shape)
    shell = Shell(
        middle_mm=middle,
        thickness_mm=np.broadcast_to(8.0 + thicker * share, shape),
        rim_mm=np.broadcast_to(40.0 - descent * share[..., 0], (GATES, RAYS.angles)),
        uptake=np.ones(shape[1:]),
    )
    counts = np.ones(shape) * (8.0 + thicker * share if local is None else local)
    return Tracking(rays=RAYS, shell=shell, blur=SPECT_BLUR, peak=counts, local_mm=counts, residual_mm=0.0)


def test_a_wall_that_only_narrows_moves_by_that_and_half_its_thickening():
    motion, _ = regional(tracking(radius=6.0, thicker=4.0), 0.0, 0.5)
    assert motion[:12] == pytest.approx(np.full(12, 8.0), abs=0.1)


def test_descent_of_the_base_is_no_inward_motion_but_thickens_the_wall():
    motion, thickening = regional(tracking(descent=12.0), 0.0, 0.5)
    assert np.abs(motion[:6]) == pytest.approx(np.zeros(6), abs=0.3)
    # The tissue loses length, and the counts of this model do not change.
    arc = 40.0 * np.pi / 2 + 40.0
    assert thickening[:6] == pytest.approx(np.full(6, 50.0 * (arc / (arc - 12.0) - 1.0)), abs=0.3)


def test_counts_and_area_have_an_equal_say_in_thickening():
    _, thickening = regional(tracking(radius=6.0, thicker=4.0), 0.0, 0.5)
    arc = 40.0 * np.pi / 2 + 40.0
    by_area, by_counts = 100.0 * (40.0 / 34.0 * arc / (arc - 6.0 * np.pi / 2) - 1.0), 50.0
    assert thickening[:6] == pytest.approx(np.full(6, 0.5 * (by_area + by_counts)), abs=0.5)


def test_a_segment_without_counts_does_not_thicken_without_bound():
    local = np.ones((GATES, *RAYS.direction.shape[:2]))
    local[:, :, :6] = 1e-9 * (1.0 + CONTRACTED[:, None, None])
    _, thickening = regional(tracking(local=local), 0.0, 0.5)
    assert np.isfinite(thickening).all()
    assert np.abs(thickening).max() < 60.0


def test_surfaces_run_from_apex_to_valve_plane_in_the_patients_space():
    wall = tracking(radius=6.0, descent=12.0, thicker=4.0)
    surfaces = wall_surfaces(wall)
    assert surfaces.mid_wall_mm.shape == (GATES, 24, RAYS.angles, 3)
    ends = surfaces.mid_wall_mm[0, [0, -1], :, 2].mean(axis=1)
    assert ends == pytest.approx([0.0, 80.0], abs=2.5)
    inside = np.linalg.norm(surfaces.mid_wall_mm - surfaces.endocardium_mm, axis=-1)
    assert inside[0, 12:] == pytest.approx(np.full((12, RAYS.angles), 4.0), abs=0.2)
