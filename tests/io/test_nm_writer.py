"""What the NM writer puts into a file: counts, angles, geometry and validity, read back with pydicom."""

from dataclasses import replace

import numpy as np
import pydicom
import pytest

from myoperf.errors import GeometryError, InputError, OutputExistsError
from myoperf.io.nm.writer import write_projections, write_volume
from myoperf.io.simulated_header import SimulatedHeader
from myoperf.types import Projections, Volume
from support.dicom import dciodvfy_errors, nm_affine, oblique_affine

HEADER = SimulatedHeader(
    "SIM-0001", sex="F", age_years=61.4, height_m=1.6532, weight_kg=71.25, state="stress", uid_key="seed-7"
)
ANGLES = (45.0 - 6.0 * np.arange(30)) % 360.0


def _projections(frames=1, *, radius=True, angles=ANGLES, seed=3):
    generator = np.random.default_rng(seed)
    views = len(angles)
    radius_mm = 240.0 + 10.0 * np.cos(np.arange(views)) if radius else None
    return Projections(
        generator.poisson(12.0, (frames, views, 7, 9)), angles, (6.8, 6.4), radius_mm, axis_lps_mm=(3.0, -8.0, 140.0)
    )


def test_static_views_keep_counts_angles_and_radius(tmp_path):
    views = _projections()
    dataset = pydicom.dcmread(write_projections(tmp_path / "a.dcm", views, HEADER))
    assert dataset.ImageType[2] == "TOMO"
    assert (dataset.pixel_array == views.array[0]).all()
    rotation = dataset.RotationInformationSequence[0]
    assert rotation.RotationDirection == "CW"
    index = np.array(dataset.AngularViewVector) - 1
    angles = (float(rotation.StartAngle) - index * float(rotation.AngularStep)) % 360
    assert angles == pytest.approx(views.angles_deg)
    assert np.array(rotation.RadialPosition, float) == pytest.approx(views.radius_mm)
    assert [int(tag) for tag in dataset.FrameIncrementPointer] == [0x540010, 0x540020, 0x540050, 0x540090]
    assert list(map(float, dataset.PixelSpacing)) == [6.8, 6.4]


def test_rising_angles_are_counter_clockwise_and_no_radius_is_left_out(tmp_path):
    views = _projections(radius=False, angles=np.arange(32) * 11.25)
    rotation = pydicom.dcmread(write_projections(tmp_path / "a.dcm", views, HEADER)).RotationInformationSequence[0]
    assert rotation.RotationDirection == "CC"
    assert float(rotation.ScanArc) == pytest.approx(360.0)
    assert "RadialPosition" not in rotation


def test_gated_views_are_ordered_by_their_vectors(tmp_path):
    views = _projections(frames=8)
    path = write_projections(tmp_path / "g.dcm", views, HEADER, frame_duration_ms=110.0)
    dataset = pydicom.dcmread(path)
    assert dataset.ImageType[2] == "GATED TOMO"
    slots, angles = np.array(dataset.TimeSlotVector), np.array(dataset.AngularViewVector)
    for frame, slot, angle in zip(dataset.pixel_array, slots, angles, strict=True):
        assert (frame == views.array[slot - 1, angle - 1]).all()
    data = dataset.GatedInformationSequence[0].DataInformationSequence[0]
    assert float(data.FrameTime) == 110.0
    assert dataset.NumberOfTimeSlots == 8


def test_two_detectors_have_their_own_starts(tmp_path):
    first = (45.0 - 3.0 * np.arange(30)) % 360.0
    views = _projections(angles=np.concatenate([first, (first - 90.0) % 360.0]))
    dataset = pydicom.dcmread(write_projections(tmp_path / "d.dcm", views, HEADER, detectors=2))
    step = float(dataset.RotationInformationSequence[0].AngularStep)
    starts = [float(item.StartAngle) for item in dataset.DetectorInformationSequence]
    head, view = np.array(dataset.DetectorVector) - 1, np.array(dataset.AngularViewVector) - 1
    assert (np.array(starts)[head] - step * view) % 360 == pytest.approx(views.angles_deg)


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("frames", [1, 3])
def test_volume_lies_where_its_affine_says(tmp_path, backwards, frames):
    array = np.random.default_rng(1).random((frames, 7, 8, 9)) * 3.7e6
    volume = Volume(array, oblique_affine(mirrored=backwards))
    path = write_volume(tmp_path / "v.dcm", volume, HEADER, frame_duration_ms=100.0)
    dataset = pydicom.dcmread(path)
    assert (float(dataset.SpacingBetweenSlices) < 0) == backwards
    assert nm_affine(dataset) == pytest.approx(volume.lps_from_index, abs=1e-6)
    slope = dataset.RealWorldValueMappingSequence[0].RealWorldValueSlope
    assert dataset.pixel_array.reshape(array.shape) * slope == pytest.approx(array, abs=0.51 * slope)
    assert slope == pytest.approx(array.max() / 65535)


def test_short_axis_says_so(tmp_path):
    volume = Volume(np.ones((7, 8, 9)), oblique_affine())
    dataset = pydicom.dcmread(write_volume(tmp_path / "s.dcm", volume, HEADER, orientation="short_axis"))
    assert dataset.DetectorInformationSequence[0].ViewCodeSequence[0].CodeValue == "103340004"
    assert dataset.SliceProgressionDirection == "APEX_TO_BASE"
    assert (dataset.pixel_array == 1).all()


@pytest.mark.parametrize("state", ["stress", "rest", None])
def test_every_kind_passes_dciodvfy(tmp_path, state):
    header = SimulatedHeader("SIM-0002", state=state)
    paths = [
        write_projections(tmp_path / "tomo.dcm", _projections(), header),
        write_projections(tmp_path / "bare.dcm", _projections(radius=False), header),
        write_projections(tmp_path / "gated.dcm", _projections(frames=8), header, frame_duration_ms=100.0),
        write_volume(tmp_path / "recon.dcm", Volume(np.ones((7, 8, 9)), oblique_affine()), header),
        write_volume(
            tmp_path / "sa.dcm",
            Volume(np.ones((8, 7, 8, 9)), oblique_affine(mirrored=True)),
            HEADER,
            orientation="short_axis",
            frame_duration_ms=62.5,
        ),
    ]
    assert [dciodvfy_errors(path, "NMImage") for path in paths] == [[]] * len(paths)


def test_same_header_same_bytes_and_other_seed_other_identifiers(tmp_path):
    views = _projections()
    first = write_projections(tmp_path / "1.dcm", views, HEADER).read_bytes()
    again = write_projections(tmp_path / "2.dcm", views, HEADER).read_bytes()
    assert first == again
    other = pydicom.dcmread(
        write_projections(tmp_path / "3.dcm", views, SimulatedHeader("SIM-0001", state="stress", uid_key="seed-8"))
    )
    same = pydicom.dcmread(tmp_path / "1.dcm")
    for name in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID"):
        assert getattr(other, name) != getattr(same, name)


def test_stress_and_rest_share_the_study_only(tmp_path):
    views = _projections()
    stress, rest = (
        pydicom.dcmread(write_projections(tmp_path / f"{s}.dcm", views, SimulatedHeader("SIM-0003", state=s)))
        for s in ("stress", "rest")
    )
    assert stress.StudyInstanceUID == rest.StudyInstanceUID
    assert stress.SeriesInstanceUID != rest.SeriesInstanceUID
    assert stress.FrameOfReferenceUID != rest.FrameOfReferenceUID


def test_refuses_what_it_cannot_hold(tmp_path):
    path = tmp_path / "x.dcm"
    with pytest.raises(InputError, match="0 to 65535"):
        write_projections(path, Projections(np.full((1, 30, 7, 9), -1.0), ANGLES, (6.8, 6.8)), HEADER)
    with pytest.raises(GeometryError, match="evenly spaced"):
        write_projections(path, _projections(angles=np.array([0.0, 6.0, 20.0])), HEADER)
    with pytest.raises(GeometryError, match="cannot be shared"):
        write_projections(path, _projections(), HEADER, detectors=4)
    with pytest.raises(InputError, match="frame_duration_ms"):
        write_projections(path, _projections(frames=8), HEADER)
    with pytest.raises(InputError, match="negative"):
        write_volume(path, Volume(np.full((2, 2, 2), -1.0), np.eye(4)), HEADER)
    sheared = np.eye(4)
    sheared[0, 1] = 0.5
    with pytest.raises(GeometryError, match="right angles"):
        write_volume(path, Volume(np.ones((2, 2, 2)), sheared), HEADER)
    with pytest.raises(InputError, match="tracer"):
        SimulatedHeader("a", tracer="water")
    assert list(tmp_path.iterdir()) == []


def test_never_overwrites(tmp_path):
    path = write_volume(tmp_path / "v.dcm", Volume(np.ones((2, 3, 4)), np.eye(4)), HEADER)
    with pytest.raises(OutputExistsError, match=r"v\.dcm"):
        write_volume(path, Volume(np.zeros((2, 3, 4)), np.eye(4)), HEADER)
    assert (pydicom.dcmread(path).pixel_array == 1).all()


def _read(*paths):
    from myoperf.io import read_studies

    result = read_studies(list(paths))
    assert result.skipped == ()
    (study,) = result.studies
    return study


@pytest.mark.parametrize("frames", [1, 8])
@pytest.mark.parametrize("rising", [False, True])
def test_projections_round_trip_through_the_reader(tmp_path, frames, rising):
    angles = (-135.0 + 6.0 * np.arange(30)) % 360.0 if rising else ANGLES
    views = replace(_projections(frames, angles=angles), axis_lps_mm=(0.0, 0.0, 140.0))
    path = write_projections(tmp_path / "a.dcm", views, HEADER, frame_duration_ms=110.0 if frames > 1 else None)
    study = _read(path)
    (scan,) = study.scans
    assert (scan.state, scan.framing, scan.modality, scan.tracer) == (
        "stress",
        "gated" if frames > 1 else "static",
        "NM",
        "Tc-99m sestamibi",
    )
    assert scan.image.angles_deg == pytest.approx(views.angles_deg)
    assert scan.image.radius_mm == pytest.approx(views.radius_mm)
    assert scan.image.pixel_mm == views.pixel_mm
    assert scan.image.axis_lps_mm == pytest.approx(views.axis_lps_mm)
    assert (scan.image.array == views.array).all()
    if frames > 1:
        assert scan.frame_duration_ms == pytest.approx([110.0] * frames)
    assert (study.patient_id, study.sex, study.age_years) == ("SIM-0001", "F", 61.0)
    assert (study.height_m, study.weight_kg) == (1.6532, 71.25)
    assert [f.code for f in scan.findings if f.severity != "info"] == []


def test_two_detectors_round_trip_through_the_reader(tmp_path):
    first = (45.0 - 3.0 * np.arange(30)) % 360.0
    views = _projections(angles=np.concatenate([first, (first - 90.0) % 360.0]))
    image = _read(write_projections(tmp_path / "d.dcm", views, HEADER, detectors=2)).scans[0].image
    assert image.angles_deg == pytest.approx(views.angles_deg)
    assert (image.array == views.array).all()
    assert image.radius_mm == pytest.approx(views.radius_mm)


@pytest.mark.parametrize("backwards", [False, True])
def test_volumes_round_trip_through_the_reader(tmp_path, backwards):
    array = np.random.default_rng(1).random((3, 14, 15, 12)) * 1234.5
    affine = np.eye(4)
    affine[:3, :3] = np.diag([3.5, 3.0, -4.0 if backwards else 4.0])[:, ::-1]
    affine[:3, 3] = (-101.5, 55.5, 1402.25)
    transaxial = write_volume(tmp_path / "t.dcm", Volume(array, affine), HEADER, frame_duration_ms=100.0)
    oblique = Volume(array[:1], oblique_affine(mirrored=backwards))
    rest = replace(HEADER, state="rest")
    short_axis = write_volume(tmp_path / "s.dcm", oblique, rest, orientation="short_axis")
    scans = {scan.state: scan for scan in _read(transaxial, short_axis).scans}
    for state, (volume, orientation) in {
        "stress": (Volume(array, affine), "transaxial"),
        "rest": (oblique, "short_axis"),
    }.items():
        assert scans[state].orientation == orientation
        assert scans[state].image.lps_from_index == pytest.approx(volume.lps_from_index, abs=1e-6)
        assert scans[state].image.array == pytest.approx(volume.array, abs=0.011)
