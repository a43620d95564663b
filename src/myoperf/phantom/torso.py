"""Draw a trunk for a patient's build, place the heart in it, and draw the activity of every organ.

All sizes are plausible ranges set by hand, not measured ones; activities relative to myocardium span what
sestamibi, ammonia and rubidium show in practice (Tc-99m: liver high at rest and after vasodilators, lower
after exercise; bright bowel in some).
"""

from dataclasses import replace

import numpy as np

from myoperf.phantom.anatomy import diaphragm_mm, outside_cage_mm
from myoperf.phantom.heart import wall_at
from myoperf.phantom.parts import Clinical, EllipsoidShape, Torso, Tube, Vector, Ventricle
from myoperf.phantom.records import Tracer
from myoperf.types import Float, LVFrame, State


def draw_torso(rng: np.random.Generator, clinical: Clinical) -> Torso:
    """Draw the trunk, its size from body mass and height; `place_heart` puts the organs into it."""
    excess, tall = clinical.bmi - 26.0, clinical.height_m - 1.70
    male = clinical.sex == "M"
    width = np.clip((172.0 if male else 160.0) + 3.6 * excess + 50.0 * tall + rng.normal(0.0, 6.0), 130.0, 235.0)
    depth = np.clip((116.0 if male else 108.0) + 3.2 * excess + 20.0 * tall + rng.normal(0.0, 5.0), 88.0, 185.0)
    wall = np.clip(22.0 + 1.3 * excess + rng.normal(0.0, 2.0), 13.0, 48.0)
    return Torso(
        half_width_mm=float(width),
        half_depth_mm=float(depth),
        outline_power=float(rng.uniform(2.2, 2.7)),
        waist_per_mm=float(rng.normal(0.0, 0.0003)),
        wall_mm=float(wall),
        diaphragm_left_mm=0.0,
        diaphragm_right_mm=float(rng.uniform(4.0, 20.0)),
        spine_mm=(0.0, float(depth - wall - rng.uniform(14.0, 20.0)), 0.0),
        spine_radius_mm=float(rng.uniform(16.0, 21.0)),
        aorta_mm=(float(rng.uniform(14.0, 26.0)), float(depth - wall - rng.uniform(44.0, 52.0)), 0.0),
        aorta_radius_mm=float(rng.uniform(10.0, 14.0)),
        solids={},
        loops=(),
    )


def wall_points_mm(ventricle: Ventricle, frame: LVFrame) -> Float:
    """Return points of the outer surface of the left ventricle, (n, 3) LPS mm."""
    q, angle = np.linspace(0.02, 1.0, 12)[:, None], np.arange(0.0, 360.0, 20.0)[None]
    wall = wall_at(ventricle, q, angle)
    across, along = wall.outer_mm * np.sin(wall.theta), wall.outer_mm * np.cos(wall.theta)
    turn = np.deg2rad(angle)
    parts = np.stack([across * np.cos(turn), across * np.sin(turn), along], axis=-1).reshape(-1, 3)
    return np.asarray(frame.base_mm + parts @ np.stack([frame.anterior, frame.septal, -frame.axis]))


def place_heart(
    rng: np.random.Generator, torso: Torso, ventricle: Ventricle, frame: LVFrame, clinical: Clinical
) -> tuple[LVFrame, Torso]:
    """Bring the heart inside the rib cage, the diaphragm under it, and the organs around.

    The heart keeps its direction; it moves towards the body's axis only as far as its wall would leave
    the cage.
    """
    points = wall_points_mm(ventricle, frame)
    goal = np.array([12.0, 12.0, 0.0])
    for _ in range(60):
        worst = float(outside_cage_mm(torso, points).max())
        if worst <= -1.0:
            break
        away = goal - frame.centre_mm
        away[2] = 0.0
        step = away * (min(1.0, 3.0 / max(float(np.linalg.norm(away)), 1e-6)))
        frame = LVFrame(frame.apex_mm + step, frame.base_mm + step, frame.anterior)
        points = points + step
    room = float((points[:, 2] - diaphragm_mm(torso, points)).min())
    fall = float(room - rng.uniform(0.5, 7.0))
    torso = replace(
        torso,
        diaphragm_left_mm=torso.diaphragm_left_mm + fall,
        diaphragm_right_mm=torso.diaphragm_right_mm + fall,
    )
    solids = _organs(rng, torso, points, frame, clinical)
    return frame, replace(torso, solids=solids, loops=_bowel(rng, torso))


def _vector(values: Float) -> Vector:
    x, y, z = (float(value) for value in values)
    return x, y, z


def _vary(rng: np.random.Generator, centre: Vector, spread_mm: float) -> Vector:
    """Move a point by a normal deviate along each axis."""
    return _vector(np.asarray(centre) + rng.normal(0.0, spread_mm, size=3))


def _sizes(rng: np.random.Generator, radii: Vector, spread: float) -> Vector:
    """Scale each semi-axis by a log-normal deviate."""
    return _vector(np.asarray(radii) * np.exp(rng.normal(0.0, spread, size=3)))


def _organs(
    rng: np.random.Generator, torso: Torso, heart: Float, frame: LVFrame, clinical: Clinical
) -> dict[str, tuple[EllipsoidShape, ...]]:
    """Place the organs by the trunk's size and the diaphragm's height."""
    a, b = torso.half_width_mm - torso.wall_mm, torso.half_depth_mm - torso.wall_mm
    left, right = torso.diaphragm_left_mm, torso.diaphragm_right_mm
    liver = (
        EllipsoidShape(_vary(rng, (-0.52 * a, 0.0, right - 72.0), 5.0), _sizes(rng, (0.62 * a, 0.95 * b, 84.0), 0.06)),
        EllipsoidShape(
            _vary(rng, (rng.uniform(-0.1, 0.22) * a, -0.35 * b, left - 30.0), 5.0),
            _sizes(rng, (0.48 * a, 0.5 * b, 36.0), 0.1),
            roll_deg=float(rng.uniform(0.0, 20.0)),
        ),
    )
    lungs = (
        EllipsoidShape((-0.52 * a, 0.05 * b, right + 70.0), (0.62 * a, 1.05 * b, 165.0)),
        EllipsoidShape((0.52 * a, 0.05 * b, left + 75.0), (0.62 * a, 1.05 * b, 165.0)),
    )
    low, high = heart.min(axis=0), heart.max(axis=0)
    middle, reach = 0.5 * (low + high), _vector(0.5 * (high - low) + 5.0)
    hollow = (
        EllipsoidShape(_vector(middle), reach),
        EllipsoidShape(_vector(middle + 34.0 * frame.septal), reach),  # room for the right heart
        EllipsoidShape((-2.0, 22.0, 60.0), (float(rng.uniform(26.0, 36.0)), 0.75 * b, 230.0)),
    )
    solids = {
        "liver": liver,
        "lungs": lungs,
        "mediastinum": hollow,
        "stomach": (
            EllipsoidShape(
                _vary(rng, (0.45 * a, 0.0, left - 48.0), 8.0), _sizes(rng, (40.0, 44.0, 38.0), 0.15), roll_deg=20.0
            ),
        ),
        "spleen": (
            EllipsoidShape(
                _vary(rng, (0.72 * a, 0.5 * b, left - 58.0), 5.0), _sizes(rng, (24.0, 34.0, 46.0), 0.12), roll_deg=15.0
            ),
        ),
        "gallbladder": (
            EllipsoidShape(
                _vary(rng, (-0.32 * a, -0.45 * b, right - 105.0), 8.0), _sizes(rng, (14.0, 14.0, 28.0), 0.15)
            ),
        ),
        "kidneys": tuple(
            EllipsoidShape(_vary(rng, (side * 58.0, 0.5 * b, left - 135.0), 5.0), _sizes(rng, (26.0, 24.0, 52.0), 0.08))
            for side in (-1.0, 1.0)
        ),
    }
    if clinical.sex == "F":
        solids["breasts"] = _breasts(rng, torso, clinical)
    return solids


def _breasts(rng: np.random.Generator, torso: Torso, clinical: Clinical) -> tuple[EllipsoidShape, ...]:
    """Place two breasts on the chest of a woman lying on her back."""
    size = float(np.clip(1.0 + 0.035 * (clinical.bmi - 26.0) + rng.normal(0.0, 0.15), 0.5, 1.8))
    height = float(rng.uniform(0.0, 50.0))
    return tuple(
        EllipsoidShape(
            (side * 0.5 * torso.half_width_mm, -0.84 * torso.half_depth_mm, height),
            (62.0 * size, 30.0 * size + 12.0, 60.0 * size),
            yaw_deg=side * 18.0,
        )
        for side in (-1.0, 1.0)
    )


def _bowel(rng: np.random.Generator, torso: Torso) -> tuple[Tube, ...]:
    """Wind loops of bowel under the left dome; now and then one hot and close under the inferior wall."""
    a, b, top = torso.half_width_mm - torso.wall_mm, torso.half_depth_mm - torso.wall_mm, torso.diaphragm_left_mm
    loops = []
    for index in range(int(rng.integers(3, 6))):
        radius = float(rng.uniform(9.0, 16.0))
        near = index == 0 and rng.random() < 0.4
        depth = radius + (rng.uniform(3.0, 12.0) if near else rng.uniform(25.0, 110.0))
        point = np.array([rng.uniform(0.05, 0.6) * a, rng.uniform(-0.6, 0.1) * b, top - depth])
        points = [point]
        for _ in range(int(rng.integers(3, 6))):
            step = rng.normal(0.0, 1.0, size=3) * np.array([1.0, 0.8, 0.45])
            point = points[-1] + 32.0 * step / np.linalg.norm(step)
            point[2] = min(point[2], top - radius - 3.0)
            points.append(point)
        bright = float(np.clip(np.exp(rng.normal(0.0, 0.35)), 0.4, 1.8))
        loops.append(Tube(tuple(_vector(point) for point in points), radius, bright))
    return tuple(loops)


_RANGES: dict[Tracer, dict[str, tuple[float, float]]] = {
    "Tc-99m": {
        "blood": (0.03, 0.08), "right_ventricle": (0.13, 0.60), "lungs": (0.016, 0.07), "liver": (0.11, 0.95),
        "gallbladder": (0.2, 2.6), "stomach": (0.06, 0.35), "bowel": (0.14, 1.5), "spleen": (0.2, 0.5),
        "kidneys": (0.5, 1.1), "spine": (0.04, 0.11), "body": (0.021, 0.073),
    },
    "Tl-201": {
        "blood": (0.04, 0.10), "right_ventricle": (0.15, 0.55), "lungs": (0.025, 0.09), "liver": (0.12, 0.55),
        "gallbladder": (0.08, 0.25), "stomach": (0.08, 0.4), "bowel": (0.1, 0.5), "spleen": (0.2, 0.6),
        "kidneys": (0.6, 1.3), "spine": (0.06, 0.14), "body": (0.03, 0.09),
    },
    "N-13": {
        "blood": (0.03, 0.10), "right_ventricle": (0.4, 0.65), "lungs": (0.05, 0.14), "liver": (0.4, 0.85),
        "gallbladder": (0.1, 0.3), "stomach": (0.1, 0.4), "bowel": (0.15, 0.5), "spleen": (0.4, 0.9),
        "kidneys": (0.5, 1.0), "spine": (0.15, 0.3), "body": (0.05, 0.11),
    },
    "Rb-82": {
        "blood": (0.12, 0.28), "right_ventricle": (0.4, 0.65), "lungs": (0.10, 0.24), "liver": (0.3, 0.8),
        "gallbladder": (0.1, 0.3), "stomach": (0.4, 1.2), "bowel": (0.3, 0.8), "spleen": (0.6, 1.6),
        "kidneys": (0.9, 1.8), "spine": (0.12, 0.25), "body": (0.08, 0.16),
    },
}  # fmt: skip


def draw_uptake(rng: np.random.Generator, clinical: Clinical, tracer: Tracer) -> dict[State, dict[str, float]]:
    """Draw every organ's concentration relative to normal myocardium, at stress and at rest.

    The two states share two thirds of their variation. Exercise takes 20 to 88 % of what liver and gut hold
    against the heart, with the effort; vasodilators do not.
    """
    names = list(_RANGES[tracer])
    low, high = np.array([_RANGES[tracer][name] for name in names]).T
    common, at_stress, at_rest = rng.normal(size=(3, len(names)))
    effort = float(rng.uniform(0.12, 0.80))
    out: dict[State, dict[str, float]] = {}
    for state, separate in (("stress", at_stress), ("rest", at_rest)):
        z = np.clip(0.5 + 0.27 * (np.sqrt(0.67) * common + np.sqrt(0.33) * separate), 0.0, 1.0)
        level = low * (high / low) ** z
        values = {name: float(value) for name, value in zip(names, level, strict=True)}
        if state == "stress" and clinical.stressor != "dipyridamole":
            for organ in ("liver", "spleen", "bowel", "stomach", "gallbladder"):
                values[organ] *= effort
        values["myocardium"] = 1.0
        out["stress" if state == "stress" else "rest"] = values
    return out
