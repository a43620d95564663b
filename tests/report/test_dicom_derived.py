"""Derived volumes, pictures and texts for the archive, each read by other programs and taken by an archive."""

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pydicom
import pytest

from myoperf.dicom import PATIENT_STATE, save_dataset
from myoperf.io import read_studies
from myoperf.io.header import encode_header
from myoperf.pipeline import write_report
from myoperf.report import draw_report
from myoperf.report.cine import cine_drawing
from myoperf.report.dicom import Stamp, build_dicom_results, write_dicom_results
from myoperf.report.dicom.capture import build_cine, build_page
from myoperf.report.dicom.codes import PRIVATE_UID
from myoperf.report.dicom.derived import derived_volumes
from myoperf.report.dicom.nm import build_volume
from myoperf.report.dicom.source import read_headers
from myoperf.report.dicom.sr import build_sr
from myoperf.report.pdf import pdf_pages
from myoperf.types import Finding, Interval, Projections, Scan, Volume
from support.dicom import dciodvfy_errors, oblique_affine
from support.dicom_report import PDF, _header, full_scores, function, make_report, make_result
from support.report import make_report as drawn_report

SHAPE, GATES = (7, 8, 9), 3


def raw_result(name="stress", state="stress", *, shape=SHAPE):
    """Give a gated scan of raw views whose every voxel of the reconstruction has a value of its own."""
    header = _header("1.2.840.10008.5.1.4.1.1.20", "NM", f"raw {name}", series=name)
    header.EnergyWindowInformationSequence = []
    views = Projections(np.ones((GATES, 16, 7, 8)), angles_deg=np.arange(16) * 11.25, pixel_mm=(6.0, 6.0))
    scan = Scan(
        views,
        state=state,
        framing="gated",
        tracer="Tc-99m tetrofosmin",
        frame_duration_ms=np.full(GATES, 110.0),
        source_headers=(encode_header(header, "source"),),
    )
    values = np.random.default_rng(3).random((GATES, *shape)).astype(np.float32)
    gated = Volume(values, oblique_affine())
    result = make_result(name, scan, volume=gated, function=function())
    labels = np.stack([np.roll(result.labels.array[0], gate, axis=2) for gate in range(GATES)])
    return replace(result, gated_volume=gated, gate_labels=Volume(labels, gated.lps_from_index))


@pytest.fixture(scope="module")
def raw():
    long = Finding("hot-gut", "warning", "Activity near the inferior wall may hide or mimic a defect. " * 3)
    first = replace(raw_result(), findings=(long,))
    report = make_report([first, raw_result("rest", "rest")], scores=full_scores())
    known = {"scores": {"sss": Interval(14.0, 11.0, 18.5, 2.0, 5, "counts")}}
    return replace(report, intervals=known)


@pytest.fixture(scope="module")
def objects(raw, tmp_path_factory):
    folder = tmp_path_factory.mktemp("dicom")
    stamp = Stamp("key", datetime(2026, 1, 2, 3, 4, 5))
    built, faults = build_dicom_results(raw, stamp=stamp, gates=True)
    assert faults == ()
    paths = write_dicom_results(raw, folder, PDF, stamp=stamp, built=built)
    return {path.name: path for path in paths}


def places(dataset):
    """LPS of each slice's first pixel, by the numbers of the file alone."""
    detector = dataset.DetectorInformationSequence[0]
    across, down = np.array(detector.ImageOrientationPatient, float).reshape(2, 3)
    step = float(dataset.SpacingBetweenSlices) * np.cross(across, down)
    return np.array(detector.ImagePositionPatient, float) + (np.array(dataset.SliceVector)[:, None] - 1) * step


@pytest.mark.parametrize("name", ["recon", "recon_gated", "short_axis", "short_axis_gated"])
def test_volumes_keep_values_and_places(raw, objects, name):
    dataset, result = pydicom.dcmread(objects[f"stress_{name}.dcm"]), raw.results[0]
    assert list(dataset.ImageType) == [
        "DERIVED", "PRIMARY", "RECON GATED TOMO" if "gated" in name else "RECON TOMO", "EMISSION"
    ]  # fmt: skip
    slope = float(dataset.RealWorldValueMappingSequence[0].RealWorldValueSlope)
    stored = dataset.pixel_array.astype(float) * slope
    if name.startswith("recon"):
        kept = result.gated_volume if "gated" in name else result.volume
        assert stored == pytest.approx(kept.array.reshape(-1, *SHAPE[1:]), abs=slope)
        origins = kept.lps_from_index[:3, 3] + np.arange(SHAPE[0])[:, None] * kept.lps_from_index[:3, 0]
        assert places(dataset) == pytest.approx(np.tile(origins, (kept.frames, 1)), abs=1e-3)
    else:
        assert dataset.SliceProgressionDirection == "APEX_TO_BASE"
        axis = np.diff(places(dataset)[:2], axis=0)[0]
        assert axis @ result.frame.axis > 0, "planes run from the apex to the base"
    state = dataset.AcquisitionContextSequence[0]
    assert state.ConceptNameCodeSequence[0].CodeValue == PATIENT_STATE[0]
    assert dataset.SeriesDescription.startswith("RESEARCH ")
    assert dataset.StudyInstanceUID == read_headers(result.scan)[0].StudyInstanceUID


def test_the_segmentation_lies_on_the_derived_volume_frame_by_frame(raw, objects):
    """Each frame of the SEG names the frame of the reconstruction at its own place, in one frame of reference."""
    seg, volume = (pydicom.dcmread(objects[f"stress_{name}.dcm"]) for name in ("seg", "recon"))
    turned = pydicom.dcmread(objects["stress_short_axis.dcm"])
    assert seg.FrameOfReferenceUID == volume.FrameOfReferenceUID == turned.FrameOfReferenceUID
    where, count = places(volume), 0
    for item in seg.PerFrameFunctionalGroupsSequence:
        (source,) = item.DerivationImageSequence[0].SourceImageSequence
        assert source.ReferencedSOPInstanceUID == volume.SOPInstanceUID
        assert source.SpatialLocationsPreserved == "YES"
        position = np.array(item.PlanePositionSequence[0].ImagePositionPatient, float)
        assert where[int(source.ReferencedFrameNumber) - 1] == pytest.approx(position, abs=1e-3)
        count += 1
    assert count == 2 * SHAPE[0]
    assert (seg.Rows, seg.Columns) == (volume.Rows, volume.Columns)
    spacing = seg.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing
    assert [float(v) for v in spacing] == pytest.approx([float(v) for v in volume.PixelSpacing])


@pytest.mark.parametrize("gate", range(1, GATES + 1))
def test_the_segmentation_of_a_gate_lies_on_that_gate_frame_by_frame(raw, objects, gate):
    """Each frame names that of its gate and place in the gated reconstruction, and holds that gate's labels."""
    seg, volume = (pydicom.dcmread(objects[f"stress_{name}.dcm"]) for name in (f"seg_gate-{gate:02d}", "recon_gated"))
    assert seg.FrameOfReferenceUID == volume.FrameOfReferenceUID
    assert (seg.InstanceNumber, seg.ContentLabel) == (gate, f"LV_GATE_{gate:02d}")
    assert f"gate {gate} of {GATES}" in seg.ContentDescription
    labels, where = raw.results[0].gate_labels, places(volume)
    origins = labels.lps_from_index[:3, 3] + np.arange(SHAPE[0])[:, None] * labels.lps_from_index[:3, 0]
    named = set()
    for item, pixels in zip(seg.PerFrameFunctionalGroupsSequence, seg.pixel_array, strict=True):
        (source,) = item.DerivationImageSequence[0].SourceImageSequence
        assert source.ReferencedSOPInstanceUID == volume.SOPInstanceUID
        frame = int(source.ReferencedFrameNumber) - 1
        assert volume.TimeSlotVector[frame] == gate
        position = np.array(item.PlanePositionSequence[0].ImagePositionPatient, float)
        assert where[frame] == pytest.approx(position, abs=1e-3)
        plane = int(np.linalg.norm(origins - position, axis=1).argmin())
        segment = item.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        assert (pixels.astype(bool) == (labels.array[gate - 1, plane] == segment)).all()
        named.add((frame, segment))
    assert len(named) == 2 * SHAPE[0]


def test_the_gates_segmentations_are_one_series_and_track_the_same_wall(objects):
    segs = [pydicom.dcmread(path) for name, path in objects.items() if name.startswith("stress_seg_gate")]
    summed = pydicom.dcmread(objects["stress_seg.dcm"])
    assert len({seg.SOPInstanceUID for seg in segs}) == GATES
    assert len({seg.SeriesInstanceUID for seg in segs}) == 1
    assert segs[0].SeriesInstanceUID != summed.SeriesInstanceUID
    assert len({seg.SegmentSequence[0].TrackingUID for seg in (*segs, summed)}) == 1


@pytest.mark.parametrize(("formats", "gates"), [(("dicom",), 0), (("seg-gated",), GATES)])
def test_the_gates_are_segmented_only_where_they_are_asked_for(raw, tmp_path, formats, gates):
    write_report(replace(raw, results=raw.results[:1]), tmp_path / "out", formats=formats)
    names = {path.name for path in (tmp_path / "out" / "dicom").iterdir()}
    assert len([name for name in names if "_seg_gate-" in name]) == gates
    assert {"stress_seg.dcm", "stress_recon_gated.dcm", "sr.dcm"} < names


def test_a_derived_volume_is_read_again_as_what_it_is(tmp_path):
    large = raw_result(shape=(24, 26, 28))
    (one,) = (derived for derived in derived_volumes(large) if derived.name == "short_axis")
    headers = read_headers(large.scan)
    study = make_report([large]).study
    made = build_volume(large, one, headers, study=study, stamp=Stamp("key"), number=1, shared="2.25.1")
    save_dataset(made, tmp_path / "sa.dcm")
    (study,) = read_studies([tmp_path]).studies
    (scan,) = study.scans
    assert (scan.state, scan.modality, scan.is_raw) == ("stress", "NM", False)
    assert scan.image.array[0] == pytest.approx(large.short_axis.summed().array[0], abs=1e-3)


def test_without_the_length_of_a_gate_no_gated_volume_is_made(raw, tmp_path):
    scan = replace(raw.results[0].scan, frame_duration_ms=None)
    report = make_report([replace(raw.results[0], scan=scan)])
    names = {path.name for path in write_dicom_results(report, tmp_path, PDF)}
    assert {"stress_recon.dcm", "stress_short_axis.dcm"} < names
    assert not any("gated" in name for name in names)


def walk(item):
    """Yield every content item below one, in the order of the report."""
    for child in item.get("ContentSequence", ()):
        yield child
        yield from walk(child)


def texts(dataset):
    return [
        (child.ConceptNameCodeSequence[0].CodeMeaning, child.TextValue)
        for child in walk(dataset)
        if child.ValueType == "TEXT"
    ]


def test_texts_are_whole_and_the_device_has_its_own_identity(raw, objects):
    """A finding's message was cut to 64 characters, and the observer's UID was that of the coding scheme."""
    sr = pydicom.dcmread(objects["sr.dcm"])
    told = texts(sr)
    message = raw.results[0].findings[0].message
    assert ("Comment", f"Stress: {message}".strip()) in told
    assert next(text for name, text in told if name == "Conclusion")
    (uid,) = (
        item.UID for item in sr.ContentSequence if item.ConceptNameCodeSequence[0].CodeMeaning == "Device Observer UID"
    )
    assert uid != PRIVATE_UID


@pytest.mark.parametrize(
    ("stressors", "expected"),
    [
        ((), []),
        (("exercise",), [("Stress Protocol", "165079009")]),
        (("regadenoson",), [("Stress Protocol", "424064009"), ("Drug administered", "432062000")]),
        (("exercise", "adenosine"), [("Stress Protocol", "428813002"), ("Drug administered", "108502004")]),
    ],
)
def test_the_stressor_stands_in_the_structured_report(raw, stressors, expected):
    """By codes, and in words: regadenoson has the code of its class."""
    stress = replace(raw.results[0], scan=replace(raw.results[0].scan, stressors=stressors))
    sr = build_sr(replace(raw, results=(stress,)), [read_headers(stress.scan)], stamp=Stamp("key"))
    coded = [
        (child.ConceptNameCodeSequence[0].CodeMeaning, child.ConceptCodeSequence[0].CodeValue)
        for child in walk(sr)
        if child.ValueType == "CODE" and child.ConceptNameCodeSequence[0].CodeValue in ("109056", "122083")
    ]
    assert coded == expected
    ((_, procedure),) = [entry for entry in texts(sr) if entry[0] == "Procedure Description"]
    assert all(stressor in procedure for stressor in stressors)
    assert ("stress by" in procedure) == bool(stressors)


def test_intervals_and_tracer_stand_in_the_structured_report(objects):
    sr = pydicom.dcmread(objects["sr.dcm"])
    evaluations, numbers = [], {}

    for child in walk(sr):
        name = child.ConceptNameCodeSequence[0].CodeMeaning if "ConceptNameCodeSequence" in child else ""
        if child.ValueType == "CODE":
            evaluations.append((name, child.ConceptCodeSequence[0].CodeMeaning))
        if child.ValueType == "NUM" and name == "Summed stress score":
            around = [
                float(part.MeasuredValueSequence[0].NumericValue)
                for part in child.get("ContentSequence", ())
                if part.ValueType == "NUM"
            ]
            numbers.setdefault(float(child.MeasuredValueSequence[0].NumericValue), around)
    assert ("Radiopharmaceutical", "Technetium Tc^99m^Tetrofosmin") in evaluations
    assert sorted(numbers[14.0]) == [3.0, 4.5], "18.5 above and 11 below"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Write the first page and the cine of a drawn report."""
    report, folder = drawn_report(), tmp_path_factory.mktemp("pictures")
    result, stamp = report.results[0], Stamp("key", datetime(2026, 1, 2, 3, 4, 5))
    page = build_page(pdf_pages(report, draw_report(report))[0], report.study, (), stamp=stamp)
    moving = build_cine(cine_drawing(result), "stress", report.study, (), stamp=stamp, number=1, gate_ms=100.0)
    numbered = build_cine(cine_drawing(result), "s", report.study, (), stamp=stamp, number=2, gate_ms=None)
    return [save_dataset(d, folder / f"{i}.dcm") for i, d in enumerate((page, moving, numbered))]


def test_the_first_page_and_the_cine_are_pictures_of_what_is_drawn(pictures):
    page, moving, numbered = (pydicom.dcmread(path) for path in pictures)
    pixels = page.pixel_array
    assert pixels.shape[2] == 3
    assert pixels.shape[1] / pixels.shape[0] == pytest.approx(297 / 210, abs=0.01)
    assert tuple(pixels[5, 5]) == (0xFF, 0xD8, 0x4D), "the band that says research"
    assert moving.pixel_array.shape[0] == 8
    assert float(moving.FrameTime) == 100.0
    assert all((a != b).any() for a, b in zip(moving.pixel_array, moving.pixel_array[1:], strict=False))
    assert list(numbered.PageNumberVector) == list(range(1, 9))
    assert "FrameTime" not in numbered


def test_other_programs_find_no_error(objects, pictures):
    kinds = {"sr.dcm": "Comprehensive3DSR", "report_pdf.dcm": "EncapsulatedPDF"}
    for name, path in objects.items():
        iod = kinds.get(name, "Segmentation" if "seg" in name else "NMImage")
        assert (name, dciodvfy_errors(path, iod)) == (name, [])
    for path, iod in zip(pictures, ("SCImage", *["MultiframeTrueColorSCImage"] * 2), strict=True):
        assert dciodvfy_errors(path, iod) == []


@pytest.fixture
def archive(tmp_path):
    """Run Orthanc on this machine alone, with an empty storage of its own."""
    program = shutil.which("Orthanc") or shutil.which("Orthanc", path="/usr/sbin")
    if program is None:
        if os.environ.get("CI"):
            pytest.fail("Orthanc is missing: install Debian's orthanc (make tools does).")
        pytest.skip("needs Debian's orthanc")
    ports = []
    for _ in range(2):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            ports.append(free.getsockname()[1])
    settings = {
        "StorageDirectory": str(tmp_path / "storage"),
        "IndexDirectory": str(tmp_path / "storage"),
        "HttpServerEnabled": True,
        "HttpPort": ports[0],
        "HttpBindAddresses": ["127.0.0.1"],
        "DicomServerEnabled": False,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "Plugins": [],
    }
    (tmp_path / "orthanc.json").write_text(json.dumps(settings))
    server = subprocess.Popen(
        [program, str(tmp_path / "orthanc.json")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    address = f"http://127.0.0.1:{ports[0]}"
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"{address}/system").close()
                break
            except OSError:
                assert server.poll() is None
                time.sleep(0.1)
        yield address
    finally:
        server.terminate()
        server.wait()


def ask(address, data=None):
    with urllib.request.urlopen(urllib.request.Request(address, data=data)) as answer:
        return answer.read()


@pytest.mark.slow
def test_orthanc_takes_lists_and_gives_back_every_object(archive, objects, pictures):
    paths = [*objects.values(), *pictures]
    for path in paths:
        assert json.loads(ask(f"{archive}/instances", path.read_bytes()))["Status"] == "Success"
    listed = [json.loads(ask(f"{archive}/instances/{one}")) for one in json.loads(ask(f"{archive}/instances"))]
    sent = {pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID: path for path in paths}
    assert {one["MainDicomTags"]["SOPInstanceUID"] for one in listed} == set(sent)
    for one in listed:
        path = sent[one["MainDicomTags"]["SOPInstanceUID"]]
        assert ask(f"{archive}/instances/{one['ID']}/file") == path.read_bytes()
    of_patient = [uid for uid, path in sent.items() if path in objects.values()]
    assert len(of_patient) == len(objects) == 12 + 2 * GATES


@pytest.fixture
def receiver(tmp_path):
    """Run dcmtk's storescp on this machine alone; yield its port and the folder that it fills."""
    sender, folder = shutil.which("dcmsend"), tmp_path / "received"
    if sender is None:
        if os.environ.get("CI"):
            pytest.fail("dcmsend is missing: install Debian's dcmtk (make tools does).")
        pytest.skip("needs Debian's dcmtk")
    folder.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # +B: keep what comes as it comes; +xa: accept every transfer syntax
    program = str(Path(sender).with_name("storescp"))  # pynetdicom brings another program of this name
    words = [program, "+B", "+xa", "-aet", "ARCHIVE", "-od", str(folder), str(port)]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield port, folder
    finally:
        process.terminate()
        process.wait()


@pytest.mark.slow
def test_dcmtk_sends_and_takes_every_object(receiver, objects, pictures):
    port, folder = receiver
    paths = [*objects.values(), *pictures]
    words = ["dcmsend", "-nh", "--no-uid-checks", "-aec", "ARCHIVE", "127.0.0.1", str(port), *map(str, paths)]
    for _ in range(100):
        sent = subprocess.run(words, capture_output=True, text=True, check=False)
        if sent.returncode == 0:
            break
        time.sleep(0.2)
    assert sent.returncode == 0, sent.stderr
    received = {one.SOPInstanceUID: one for one in map(pydicom.dcmread, folder.iterdir())}
    assert len(received) == len(paths)
    for path in paths:
        original = pydicom.dcmread(path)
        assert received[original.SOPInstanceUID] == original
