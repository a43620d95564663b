"""Every gate of a gated scan labelled in the summed frame, and written where volumes are written."""

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from myoperf.pipeline import Options, analyze, load_models, write_report
from myoperf.types import LVFrame, Scan, Study, Volume
from support.ventricle import grid_about, points_of, thick_ventricle

FRAME = thick_ventricle().frame


def beating(gates=8, side=40, spacing=4.0):
    """Give a half ellipsoid whose wall moves in and thickens over the beat."""
    affine, frames = grid_about((0.0, 0.0, 0.0), (side,) * 3, spacing), []
    for gate in range(gates):
        squeeze = 0.5 * (1 - np.cos(2 * np.pi * gate / gates))
        ventricle = thick_ventricle(30.0, middle=1.0 - 0.15 * squeeze, half=0.16 + 0.05 * squeeze)
        wall = ventricle.labels(points_of(affine, (side,) * 3)) == 1
        frames.append(ndimage.gaussian_filter(100.0 * wall, 0.6))
    return Volume(np.stack(frames).astype(np.float32), affine)


@pytest.fixture(scope="module")
def report():
    study = Study((Scan(beating(), state="stress", framing="gated"),))
    return analyze(study, load_models(), Options(frame=FRAME, interval_draws=0, gate_labels=True))


def test_every_gate_has_labels_of_its_own_and_the_pool_shrinks(report):
    labels = report.results[0].gate_labels
    assert labels.array.shape == (8, 40, 40, 40)
    assert labels.array.dtype == np.uint8
    pool = (labels.array == 2).sum(axis=(1, 2, 3))
    assert pool.argmax() in (7, 0, 1)
    assert pool.argmin() in (3, 4, 5)
    assert pool.min() < 0.8 * pool.max()


def test_volumes_labelled_in_one_batch_are_those_labelled_one_by_one():
    models, volume = load_models(diagnosis=False), beating(gates=2)
    away = LVFrame((900.0, 900.0, 900.0), (940.0, 940.0, 930.0), (0.0, -0.5, 0.8))
    moved = LVFrame(FRAME.apex_mm + 4.0, FRAME.base_mm + 2.0, FRAME.anterior)
    gates = [volume.with_array(gate) for gate in volume.array]
    first, outside, second = models.label([(gates[0], FRAME), (gates[1], away), (gates[1], moved)])
    assert outside is None
    for batched, alone in ((first, (gates[0], FRAME)), (second, (gates[1], moved))):
        assert (batched.array != models.segment_lv(*alone)[0].array).mean() < 1e-4  # a batch changes the last digit


def test_they_are_written_beside_the_others(report, tmp_path):
    write_report(report, tmp_path / "out", formats=("nifti",))
    whole = nib.load(tmp_path / "out" / "stress_lv_labels.nii.gz")
    gates = nib.load(tmp_path / "out" / "stress_lv_labels_gated.nii.gz")
    assert gates.shape == (*whole.shape, 8)
    assert np.allclose(gates.affine, whole.affine)


def test_they_cost_nothing_where_they_are_not_asked_for():
    study = Study((Scan(beating(), state="stress", framing="gated"),))
    (result,) = analyze(study, load_models(), Options(frame=FRAME, interval_draws=0)).results
    assert result.gate_labels is None
