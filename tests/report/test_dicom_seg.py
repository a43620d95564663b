"""The Segmentation read back: every voxel, every place, every reference."""

import io
import warnings
from dataclasses import replace
from datetime import datetime

import highdicom as hd
import numpy as np
import pydicom
import pytest

from myoperf.dicom import quiet_pydicom
from myoperf.errors import AnalysisError, OutputExistsError
from myoperf.report.dicom import Stamp
from myoperf.report.dicom.seg import build_seg
from myoperf.report.dicom.source import read_headers
from myoperf.types import Scan, Study, Volume
from support.dicom import nm_affine, oblique_affine
from support.dicom_report import (
    gated_nm_result,
    ge_result,
    make_report,
    make_result,
    nifti_report,
    pet_result,
    physionet_result,
    write_seg,
)
from support.real import real_folder


def _read_back(path, labels):
    """Put every frame where the file says it lies; give the label array found on the labels' own grid."""
    seg = pydicom.dcmread(path)
    found = np.zeros(labels.grid_shape, np.uint8)
    inverse = np.linalg.inv(labels.lps_from_index)
    pixels = seg.pixel_array
    shared = seg.SharedFunctionalGroupsSequence[0]
    down, across = map(float, shared.PixelMeasuresSequence[0].PixelSpacing)
    seen = set()
    for frame, item in zip(pixels, seg.PerFrameFunctionalGroupsSequence, strict=True):
        orientation = (item if "PlaneOrientationSequence" in item else shared).PlaneOrientationSequence[0]
        row_vector, column_vector = np.array(orientation.ImageOrientationPatient, float).reshape(2, 3)
        position = np.array(item.PlanePositionSequence[0].ImagePositionPatient, float)
        segment = item.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        inside = np.nonzero(frame)
        rows, columns = (np.append((0, n - 1), where) for n, where in zip(frame.shape, inside, strict=True))
        points = position + rows[:, None] * down * column_vector + columns[:, None] * across * row_vector
        index = points @ inverse[:3, :3].T + inverse[:3, 3]
        assert index == pytest.approx(np.rint(index), abs=1e-3)
        plane, row, column = np.rint(index).astype(int).T
        seen.add((segment, int(plane[0])))
        values = frame[rows, columns]
        found[plane[values > 0], row[values > 0], column[values > 0]] = segment
    assert len(seen) == 2 * labels.grid_shape[0]
    return found


def _check(path, result):
    assert (_read_back(path, result.labels) == result.labels.array[0]).all()
    volume = hd.seg.segread(path).get_volume(combine_segments=True)
    grid = volume.affine
    index = np.argwhere(volume.array > 0)
    world = index @ grid[:3, :3].T + grid[:3, 3]
    expected = np.argwhere(result.labels.array[0] > 0)
    affine = result.labels.lps_from_index
    expected_world = expected @ affine[:3, :3].T + affine[:3, 3]
    order, expected_order = (np.lexsort(np.round(w, 1).T) for w in (world, expected_world))
    assert world[order] == pytest.approx(expected_world[expected_order], abs=1e-3)
    return pydicom.dcmread(path)


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("seed", [5, 11])
def test_labels_come_back_on_oblique_grids(tmp_path, mirrored, seed):
    volume = Volume(np.ones((7, 8, 9), np.float32), oblique_affine(mirrored=mirrored, seed=seed))
    result = make_result("scan-1", Scan(volume))
    seg = _check(write_seg(result, tmp_path / "s.dcm", study=Study((result.scan,))), result)
    assert [s.SegmentNumber for s in seg.SegmentSequence] == [1, 2]


def test_segments_are_coded_and_marked_as_research(tmp_path):
    report = nifti_report()
    seg = pydicom.dcmread(write_seg(report.results[0], tmp_path / "s.dcm", study=report.study))
    assert seg.SegmentationType == "BINARY"
    myocardium, blood = seg.SegmentSequence
    assert myocardium.SegmentedPropertyTypeCodeSequence[0].CodeValue == "49848007"
    assert blood.SegmentedPropertyTypeCodeSequence[0].CodeValue == "87612001"
    assert {s.AnatomicRegionSequence[0].CodeValue for s in (myocardium, blood)} == {"87878005"}
    assert seg.SeriesDescription.startswith("RESEARCH")
    assert seg.Manufacturer == "MyoPerf"


def test_nifti_begins_a_study_and_refers_to_nothing(tmp_path):
    report = nifti_report()
    seg = pydicom.dcmread(write_seg(report.results[0], tmp_path / "s.dcm", study=report.study))
    assert "ReferencedSeriesSequence" not in seg
    assert all("DerivationImageSequence" not in item for item in seg.PerFrameFunctionalGroupsSequence)
    assert (seg.PatientID, str(seg.PatientName), seg.PatientSex) == ("SIM-1", "", "F")
    assert "without DICOM headers" in seg.StudyDescription


@pytest.mark.real
@pytest.mark.parametrize("name", ["P17_ReconStress_gate.dcm", "P46_ReconRest_prone.dcm"])
def test_real_reconstruction(tmp_path, name):
    result = physionet_result(name)
    source = pydicom.dcmread(real_folder() / "physionet_mps/dicom" / name)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        seg = _check(write_seg(result, tmp_path / "s.dcm", study=Study((result.scan,))), result)
    for attribute in ("PatientID", "PatientName", "StudyInstanceUID", "FrameOfReferenceUID"):
        assert getattr(seg, attribute) == getattr(source, attribute)
    assert seg.SeriesInstanceUID != source.SeriesInstanceUID
    affine = nm_affine(source)
    for item in seg.PerFrameFunctionalGroupsSequence:
        image = item.DerivationImageSequence[0].SourceImageSequence[0]
        assert image.ReferencedSOPInstanceUID == source.SOPInstanceUID
        assert image.SpatialLocationsPreserved == "YES"
        plane = source.SliceVector[image.ReferencedFrameNumber - 1] - 1
        position = np.array(item.PlanePositionSequence[0].ImagePositionPatient, float)
        assert position == pytest.approx(affine[:3, 3] + plane * affine[:3, 0], abs=1e-3)


@pytest.mark.real
def test_real_projections_get_a_frame_of_their_own(tmp_path):
    source = pydicom.dcmread(real_folder() / "ge_projections/stress_tomo.dcm", stop_before_pixels=True)
    result = ge_result()
    seg = _check(write_seg(result, tmp_path / "s.dcm", study=Study((result.scan,))), result)
    assert seg.StudyInstanceUID == source.StudyInstanceUID
    assert seg.FrameOfReferenceUID != source.FrameOfReferenceUID
    image = seg.PerFrameFunctionalGroupsSequence[0].DerivationImageSequence[0].SourceImageSequence[0]
    assert image.ReferencedSOPInstanceUID == source.SOPInstanceUID
    assert image.SpatialLocationsPreserved == "NO"
    assert "ReferencedFrameNumber" not in image
    series = seg.ReferencedSeriesSequence[0]
    assert series.SeriesInstanceUID == source.SeriesInstanceUID
    assert series.ReferencedInstanceSequence[0].ReferencedSOPInstanceUID == source.SOPInstanceUID


def test_a_grid_elsewhere_than_the_headers_say_shares_no_frame_with_them(tmp_path):
    result = gated_nm_result()
    moved = result.labels.lps_from_index.copy()
    moved[0, 3] += 20.0
    result = replace(result, labels=Volume(result.labels.array, moved))
    source = pydicom.dcmread(io.BytesIO(result.scan.source_headers[0]))
    seg = _check(write_seg(result, tmp_path / "s.dcm", study=Study((result.scan,))), result)
    assert seg.FrameOfReferenceUID != source.FrameOfReferenceUID
    image = seg.PerFrameFunctionalGroupsSequence[0].DerivationImageSequence[0].SourceImageSequence[0]
    assert (image.ReferencedSOPInstanceUID, image.SpatialLocationsPreserved) == (source.SOPInstanceUID, "NO")


def test_every_gate_of_a_plane_is_referred_to(tmp_path):
    result = gated_nm_result(frames=3)
    seg = _check(write_seg(result, tmp_path / "s.dcm", study=Study((result.scan,))), result)
    planes = result.labels.grid_shape[0]
    origins = result.labels.lps_from_index[:3, 3] + np.arange(planes)[:, None] * result.labels.lps_from_index[:3, 0]
    for item in seg.PerFrameFunctionalGroupsSequence:
        position = np.array(item.PlanePositionSequence[0].ImagePositionPatient, float)
        plane = int(np.linalg.norm(origins - position, axis=1).argmin())
        frames = [image.ReferencedFrameNumber for image in item.DerivationImageSequence[0].SourceImageSequence]
        assert frames == [gate * planes + plane + 1 for gate in range(3)]
        (derivation,) = item.DerivationImageSequence[0].DerivationCodeSequence
        assert (derivation.CodeValue, derivation.CodingSchemeDesignator) == ("113076", "DCM")  # PS3.16, CID 7203


@pytest.mark.parametrize(("slots", "gates"), [(True, [2]), (False, [1, 2, 3])])
def test_the_segmentation_of_a_gate_refers_to_its_own_time_slot(slots, gates):
    """A file without time slots does not tell which frame is whose: all at the place are named."""
    result = gated_nm_result(frames=3)
    labels = Volume(np.repeat(result.labels.array, 3, axis=0), result.labels.lps_from_index)
    header = read_headers(result.scan)[0]
    if not slots:
        del header.TimeSlotVector
    study = Study((result.scan,))
    seg = build_seg(replace(result, gate_labels=labels), (header,), study=study, stamp=Stamp(), gate=2)
    planes = labels.grid_shape[0]
    for item in seg.PerFrameFunctionalGroupsSequence:
        frames = [image.ReferencedFrameNumber for image in item.DerivationImageSequence[0].SourceImageSequence]
        assert [(frame - 1) // planes + 1 for frame in frames] == gates
        assert len({(frame - 1) % planes for frame in frames}) == 1


def test_gates_that_are_not_labelled_have_no_segmentation():
    result = gated_nm_result()
    with pytest.raises(AnalysisError, match="not labelled"):
        build_seg(result, (), study=Study((result.scan,)), stamp=Stamp(), gate=1)


def test_pet_slices_are_matched_by_place_not_by_order(tmp_path):
    result, uid_of_plane = pet_result()
    seg = _check(write_seg(result, tmp_path / "s.dcm", study=Study((result.scan,))), result)
    origins = result.labels.lps_from_index[:3, 3] + np.arange(7)[:, None] * result.labels.lps_from_index[:3, 0]
    for item in seg.PerFrameFunctionalGroupsSequence:
        position = np.array(item.PlanePositionSequence[0].ImagePositionPatient, float)
        plane = int(np.linalg.norm(origins - position, axis=1).argmin())
        images = item.DerivationImageSequence[0].SourceImageSequence
        assert [image.ReferencedSOPInstanceUID for image in images] == [uid_of_plane[plane]]
        assert "ReferencedFrameNumber" not in images[0]
    assert len(seg.ReferencedSeriesSequence[0].ReferencedInstanceSequence) == 7


def test_same_stamp_same_bytes_and_no_stamp_new_uids(tmp_path):
    report, stamp = nifti_report(), Stamp(key="k", when=datetime(2026, 1, 2, 3, 4, 5))
    first, again = (write_seg(report.results[0], tmp_path / f"{n}.dcm", study=report.study, stamp=stamp) for n in "ab")
    assert first.read_bytes() == again.read_bytes()
    fresh = pydicom.dcmread(write_seg(report.results[0], tmp_path / "c.dcm", study=report.study))
    assert fresh.SOPInstanceUID != pydicom.dcmread(first).SOPInstanceUID


def test_refuses_a_sheared_grid_and_an_existing_file(tmp_path):
    sheared = np.eye(4)
    sheared[0, 1] = 0.4
    result = make_result("scan-1", Scan(Volume(np.ones((7, 8, 9)), sheared)))
    with pytest.raises(AnalysisError, match="right angles"):
        write_seg(result, tmp_path / "s.dcm", study=Study((result.scan,)))
    assert list(tmp_path.iterdir()) == []
    report = make_report([make_result("scan-1", Scan(Volume(np.ones((7, 8, 9)), np.eye(4))))])
    (tmp_path / "s.dcm").write_bytes(b"kept")
    with pytest.raises(OutputExistsError, match=r"s\.dcm"):
        write_seg(report.results[0], tmp_path / "s.dcm", study=report.study)
    assert (tmp_path / "s.dcm").read_bytes() == b"kept"


@pytest.mark.parametrize("given", ["1..2", "1.2.3\\1.2.4", "x", "1." * 40])
def test_a_frame_of_reference_that_breaks_the_rules_is_replaced(tmp_path, given):
    """It stood in every derived object, which archives then refuse."""
    result = gated_nm_result()
    header = pydicom.dcmread(io.BytesIO(result.scan.source_headers[0]), force=True)
    frames = set()
    with quiet_pydicom():
        header.FrameOfReferenceUID = given
        buffer = io.BytesIO()
        header.save_as(buffer)
        result = replace(result, scan=replace(result.scan, source_headers=(buffer.getvalue(),)))
        for name in ("one.dcm", "two.dcm"):
            seg = pydicom.dcmread(write_seg(result, tmp_path / name, study=Study((result.scan,))))
            frames.add(seg.FrameOfReferenceUID)
    (frame,) = frames
    assert frame.is_valid
    assert frame != given
