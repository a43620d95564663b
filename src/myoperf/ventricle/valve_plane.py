"""Where the wall ends towards the base: the valve plane, in one image or in every gate of a beat."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from myoperf.types import Float
from myoperf.ventricle.fit import beat_basis
from myoperf.ventricle.rays import Rays


@dataclass(frozen=True, kw_only=True)
class ValveSearch:
    """How the valve plane is looked for.

    Attributes
    ----------
    usual_rings
        Rings whose counts are taken as a sector's usual ones.
    usual_percentile
        Percentile of those counts that is usual.
    lowest_mm
        The wall never ends nearer to the hub than this.
    open_sectors
        Whether a sector whose counts never fall votes for the last ring, or does not vote.
    reach_mm
        Ends farther than this from the expected height do not vote.
    ridge
        What the square of the tilt (and of each harmonic of the beat) costs.
    rounds
        Of re-weighting.
    most_tilt_mm
        The plane's height on the rim differs from that on the axis by no more than this.
    """

    usual_rings: slice
    usual_percentile: float
    lowest_mm: float
    open_sectors: bool
    reach_mm: float = np.inf
    ridge: float
    rounds: int
    most_tilt_mm: float = np.inf


def find_valve_plane(counts: Float, rays: Rays, expected_mm: Float, search: ValveSearch) -> Float:
    """Find the valve plane of every gate.

    In each sector the wall ends where its counts fall below half of that sector's usual counts, so
    that a hot septum does not shorten the lateral wall; sectors far below the whole wall's usual
    counts (a defect) do not vote. A plane is laid through the ends by least absolute deviations;
    its tilt is shared by all gates, its height follows the harmonics of `beat_basis`. MyoPerf's own
    method.

    Parameters
    ----------
    counts
        Shape (gates, rings, angles): counts at mid-wall; one gate for a static image.
    rays
        Whose tube is evenly spaced and runs past the mitral plane.
    expected_mm
        Shape (gates, angles): where the plane is expected; kept where no sector votes.

    Returns
    -------
    Shape (gates, angles): heights above the hub.
    """
    end, votes = _ends(counts, rays, search)
    votes &= np.abs(end - expected_mm) < search.reach_mm
    return lay_planes(end, votes.astype(float), expected_mm, search)


def lay_planes(end: Float, votes: Float, expected_mm: Float, search: ValveSearch) -> Float:
    """Lay a plane through the wall's ends in every gate, by least absolute deviations.

    Parameters
    ----------
    end, votes, expected_mm
        Shape (gates, angles): heights of the ends, how far each is trusted (0 or more), and the heights to keep where
        none is.
    search
        Its `ridge`, `rounds` and `most_tilt_mm` are used.

    Returns
    -------
    Shape (gates, angles): heights of the plane. Its tilt is shared by all gates.
    """
    gates, angles = end.shape
    time = beat_basis(gates)
    turn = np.arange(angles) * (2.0 * np.pi / angles)
    tilt = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    design = np.concatenate([np.repeat(time, angles, axis=0), np.tile(tilt, (gates, 1))], axis=1)
    weight, target = votes.ravel(), end.ravel()
    plane, ridge = np.zeros(design.shape[1]), np.full(design.shape[1], search.ridge)
    plane[0] = np.median(target[weight > 0]) if votes.any() else expected_mm.mean()
    # A trace of pull keeps the height where nothing votes; the constant is not penalised otherwise.
    ridge[0], pull = 1e-6, 1e-6 * plane * (np.arange(plane.size) == 0)
    for _ in range(search.rounds):
        # Weights of 1 / |gap| turn least squares into least absolute deviations, within 3 mm back into squares.
        robust = weight / np.maximum(np.abs(target - design @ plane), 3.0)
        plane = np.linalg.solve(
            design.T @ (robust[:, None] * design) + np.diag(ridge), design.T @ (robust * target) + pull
        )
    plane[-2:] *= min(1.0, search.most_tilt_mm / max(float(np.hypot(*plane[-2:])), 1e-9))
    return np.asarray((design @ plane).reshape(gates, angles))


def _ends(counts: Float, rays: Rays, search: ValveSearch) -> tuple[Float, NDArray[np.bool_]]:
    """Return where the wall ends (gates, angles), to a fraction of a ring, and which sectors vote."""
    tube, step = counts[:, rays.cap_rings :], rays.tube_step_mm
    usual = np.percentile(counts[:, search.usual_rings], search.usual_percentile, axis=1)
    gone = tube < 0.5 * usual[:, None]
    gone[:, : max(1, int(search.lowest_mm / step))] = False
    closed = gone.any(axis=1)
    first = np.where(closed, np.argmax(gone, axis=1), tube.shape[1] - 1)
    before, after = (np.take_along_axis(tube, first[:, None] - back, axis=1)[:, 0] for back in (1, 0))
    part = np.where(before > after, (before - 0.5 * usual) / np.maximum(before - after, 1e-9), 0.5)
    end = (first - 1 + np.clip(part, 0.0, 1.0)) * step
    if search.open_sectors:
        end = np.where(closed, end, (tube.shape[1] - 0.5) * step)
    return end, (closed | search.open_sectors) & (usual > 0.5 * np.percentile(usual, 75))
