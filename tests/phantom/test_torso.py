"""Where the trunk shadows the heart."""

from dataclasses import replace

import numpy as np

from myoperf.geometry import sample
from myoperf.phantom.anatomy import diaphragm_mm
from myoperf.phantom.fast import half_turn_attenuation
from myoperf.phantom.population import draw_patient
from myoperf.phantom.prone import lay_prone
from myoperf.phantom.records import Grid, PatientModel, PopulationOptions
from myoperf.phantom.surroundings import add_surroundings
from myoperf.phantom.voxelise import attenuation
from myoperf.types import Float, Volume

SPACING_MM = 10.0


def _woman(seed: int) -> PatientModel:
    return draw_patient(np.random.default_rng(seed), PopulationOptions(normal=True, male=0.0))


def _transmitted(patient: PatientModel) -> Float:
    """Return the share of photons that leave the anterior and the inferior wall, mean over half a turn."""
    grid = Grid.centred((40, 44, 48), SPACING_MM)
    field = half_turn_attenuation(attenuation(patient, grid), SPACING_MM)
    frame = patient.frame
    walls = frame.centre_mm + np.array([[30.0], [-30.0]]) * frame.anterior
    return np.asarray(sample(Volume(field, grid.lps_from_index), walls)[0], dtype=np.float64)


def test_breasts_darken_the_anterior_wall_more_than_the_inferior() -> None:
    left = []
    for seed in range(6):
        woman = _woman(seed)
        solids = {organ: shapes for organ, shapes in woman.torso.solids.items() if organ != "breasts"}
        without = replace(woman, torso=replace(woman.torso, solids=solids))
        left.append(_transmitted(woman) / _transmitted(without))
    anterior, inferior = np.mean(left, axis=0)
    assert anterior < inferior - 0.02
    assert anterior > 0.6


def test_prone_the_inferior_wall_of_all_and_the_anterior_wall_of_women_are_shadowed_less() -> None:
    gained = []
    for seed in range(6):
        woman = _woman(seed)
        gained.append(_transmitted(lay_prone(woman, np.random.default_rng(seed))) / _transmitted(woman))
    anterior, inferior = np.mean(gained, axis=0)
    assert inferior > 1.03
    assert anterior > 1.01


def test_the_couch_lies_before_who_lies_prone() -> None:
    torso, grid = _woman(1).torso, Grid.centred((2, 44, 48), SPACING_MM)
    nothing = np.zeros(grid.shape, dtype=np.float32)
    supine = add_surroundings(nothing, torso, grid, couch=True)
    prone = add_surroundings(nothing, torso, grid, couch=True, position="prone")
    rows = np.flatnonzero(supine.any(axis=(0, 2)))
    assert rows.min() > 22
    assert np.array_equal(np.flatnonzero(prone.any(axis=(0, 2))), 43 - rows[::-1])


def test_the_diaphragm_is_highest_behind_the_heart() -> None:
    torso = _woman(1).torso
    left_mm = 0.44 * torso.half_width_mm
    front, below, behind = diaphragm_mm(
        torso, np.array([[left_mm, -60.0, 0.0], [left_mm, -20.0, 0.0], [left_mm, 30.0, 0.0]])
    )
    assert behind > below > front
