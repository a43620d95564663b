"""Derived volumes of PET: classic slices that other programs and MyoPerf read, and a Segmentation that lies on them."""

from dataclasses import replace
from datetime import datetime

import numpy as np
import pydicom
import pytest

from myoperf.geometry import transform_points
from myoperf.io import read_studies
from myoperf.report.dicom import Stamp, write_dicom_results
from myoperf.types import Finding, LVFrame, Scan, Volume
from support.dicom import dciodvfy_errors
from support.dicom_report import PDF, make_report, pet_result

SHAPE = (24, 26, 28)
LATE = Finding("late-frames-summed", "info", "The ventricle was located on time frames 2 to 3 of 3.")


def static():
    """Give a PET scan whose every voxel has a value of its own."""
    result, _ = pet_result(SHAPE)
    values = np.random.default_rng(4).random(SHAPE).astype(np.float32)
    volume = result.volume.with_array(values)
    middle = transform_points(volume.lps_from_index, np.array([12.0, 13.0, 14.0]))
    frame = LVFrame(middle - 30.0 * np.eye(3)[0], middle + 30.0 * np.eye(3)[0], (0, 0, 1))
    return replace(result, volume=volume, short_axis=volume, frame=frame)


def dynamic():
    """Give a dynamic scan, of which the mean of the late time frames was analysed."""
    result = static()
    frames = Volume(np.repeat(result.volume.array, 3, axis=0), result.volume.lps_from_index)
    headers = result.scan.source_headers * 3
    scan = Scan(frames, state="stress", modality="PT", framing="dynamic", source_headers=headers)
    return replace(result, scan=scan, findings=(LATE,))


def gated():
    result = static()
    gates = result.volume.with_array(np.stack([result.volume.array[0] * (1 + gate) for gate in range(3)]))
    scan = replace(result.scan, image=gates, framing="gated", frame_duration_ms=np.full(3, 120.0))
    return replace(result, scan=scan, gated_volume=gates)


def written(result, folder):
    stamp = Stamp("key", datetime(2026, 1, 2, 3, 4, 5))
    return {path.name: path for path in write_dicom_results(make_report([result]), folder, PDF, stamp=stamp)}


@pytest.mark.parametrize(
    ("make", "kinds"),
    [
        (static, {"short_axis": SHAPE[0]}),
        (gated, {"short_axis": SHAPE[0], "short_axis_gated": None}),
        (dynamic, {"late": SHAPE[0], "short_axis": SHAPE[0]}),
    ],
)
def test_what_the_archive_has_not_got_is_written_as_pet_slices(tmp_path, make, kinds):
    paths = written(make(), tmp_path)
    seg, series = pydicom.dcmread(paths["stress_seg.dcm"]), {}
    for name, path in paths.items():
        if name[-7:-4].isdigit():
            series.setdefault(name[len("stress_") : -len("_001.dcm")], []).append(path)
    assert series.keys() == kinds.keys()
    for kind, slices in series.items():
        assert kinds[kind] in (len(slices), None)
        assert dciodvfy_errors(slices[0], "PETImage") == []
        datasets = [pydicom.dcmread(path) for path in slices]
        assert len({d.SeriesInstanceUID for d in datasets}) == 1
        assert len({d.SOPInstanceUID for d in datasets}) == len(datasets)
        assert {d.FrameOfReferenceUID for d in datasets} == {seg.FrameOfReferenceUID}
        assert all(d.SeriesDescription.startswith("RESEARCH ") for d in datasets)


@pytest.mark.parametrize(("make", "kind"), [(static, "short_axis"), (dynamic, "late")])
def test_a_derived_pet_volume_is_read_again_as_what_it_is(tmp_path, make, kind):
    result = make()
    for name, path in written(result, tmp_path / "all").items():
        if name.startswith(f"stress_{kind}_"):
            (tmp_path / "series").mkdir(exist_ok=True)
            path.rename(tmp_path / "series" / name)
    (study,) = read_studies([tmp_path / "series"]).studies
    (scan,) = study.scans
    volume = result.short_axis if kind == "short_axis" else result.volume
    assert (scan.state, scan.modality, scan.framing) == ("stress", "PT", "static")
    order = 1 if np.allclose(scan.image.lps_from_index, volume.lps_from_index, atol=1e-3) else -1
    assert scan.image.array[0, ::order] == pytest.approx(volume.array[0], abs=1e-3)


def test_gates_of_pet_follow_each_other_and_have_their_times(tmp_path):
    slices = [pydicom.dcmread(p) for name, p in written(gated(), tmp_path).items() if "short_axis_gated" in name]
    planes = int(slices[0].NumberOfSlices)
    assert len(slices) == 3 * planes
    assert [float(one.TriggerTime) for one in slices[::planes]] == [0.0, 120.0, 240.0]
    means = [float(one.RescaleSlope) * one.pixel_array.mean() for one in slices]
    first, second, third = (np.sum(means[i * planes : (i + 1) * planes]) for i in range(3))
    assert (second / first, third / first) == pytest.approx((2.0, 3.0), rel=0.01)


def test_the_segmentation_of_a_dynamic_scan_lies_on_the_mean_of_its_late_frames(tmp_path):
    """It named every time frame at the place, and no image that shows what was segmented."""
    result = dynamic()
    paths = written(result, tmp_path)
    seg = pydicom.dcmread(paths["stress_seg.dcm"])
    late = {d.SOPInstanceUID: d for name, p in paths.items() if "late" in name for d in [pydicom.dcmread(p)]}
    assert next(iter(late.values())).ImageComments.endswith(LATE.message)
    for item in seg.PerFrameFunctionalGroupsSequence:
        (source,) = item.DerivationImageSequence[0].SourceImageSequence
        position = np.array(item.PlanePositionSequence[0].ImagePositionPatient, float)
        assert np.array(late[source.ReferencedSOPInstanceUID].ImagePositionPatient, float) == pytest.approx(position)
        assert source.SpatialLocationsPreserved == "YES"
    sources = {len(one.SourceImageSequence) for one in late.values()}
    assert sources == {3}, "the three time frames at the place"


def test_turned_slices_name_their_sources_where_these_are_few(tmp_path, monkeypatch):
    """A dynamic scan of 1,000 images would be named in every slice anew."""
    few = written(static(), tmp_path / "few")
    assert len(pydicom.dcmread(few["stress_short_axis_001.dcm"]).SourceImageSequence) == SHAPE[0]
    monkeypatch.setattr("myoperf.report.dicom.pet._MOST_SOURCES", SHAPE[0] ** 2 - 1)
    many = written(static(), tmp_path / "many")
    assert "SourceImageSequence" not in pydicom.dcmread(many["stress_short_axis_001.dcm"])
