"""One image in several files is one scan; one file of two radionuclides is two."""

import copy
from io import BytesIO

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pydicom import dcmread
from pydicom.sequence import Sequence
from pydicom.uid import generate_uid

from myoperf.dicom import code_item
from myoperf.errors import InputError
from myoperf.io import read_studies
from support.dicom import counts_of, item, pet_slices, raw_nm, recon_nm


def codes(scan):
    return [finding.code for finding in scan.findings]


def only_scan(path):
    (scan,) = read_studies([path]).studies[0].scans
    return scan


def single_slices(values, *, gated=False):
    """Return a reconstruction of shape (gates, slices, rows, columns) as one dataset a slice, in mixed order."""
    whole = recon_nm(values)
    series, out = generate_uid(), []
    for gate, plane in np.ndindex(*values.shape[:2]):
        one = copy.deepcopy(whole)
        one.SOPInstanceUID, one.SeriesInstanceUID = generate_uid(), series
        one.NumberOfFrames = 1
        one.SliceVector = [1]
        one.PixelData = values[gate, plane].astype("<u2").tobytes()
        position = [-50.0, -190.0, 600.0 - 6.0 * plane]
        one.DetectorInformationSequence[0].ImagePositionPatient = position
        del one.SpacingBetweenSlices
        if gated:
            one.TimeSlotVector = [gate + 1]
        out.append(one)
    return [out[i] for i in np.random.default_rng(4).permutation(len(out))]


@pytest.mark.parametrize("gates", [1, 3])
def test_single_frame_slices_are_stacked_by_position(save, tmp_path, gates):
    values = counts_of(gates, 7, 8, 9)
    for number, dataset in enumerate(single_slices(values, gated=gates > 1)):
        save(dataset, f"{number:03d}.dcm")
    scan = only_scan(tmp_path)
    assert (scan.framing, len(scan.source)) == ("gated" if gates > 1 else "static", 7 * gates)
    assert_array_equal(scan.image.array, values[:, ::-1])  # planes follow the normal, upwards
    assert_allclose(scan.image.lps_from_index[:3, 3], [-50.0, -190.0, 564.0])
    assert_allclose(scan.image.spacing_mm, [6.0, 6.5, 6.0])


@pytest.mark.parametrize(
    ("name", "gates", "framing"),
    [("Stress {}/8", 5, "gated"), ("G{}", 4, "gated"), ("Stress {}", 3, "static"), ("Stress 1 day", 5, "static")],
)
def test_gates_that_only_a_count_in_their_names_tells_apart(save, tmp_path, name, gates, framing):
    values = counts_of(gates, 7, 8, 9)
    for gate in reversed(range(gates)):
        dataset = recon_nm(values[gate : gate + 1])
        dataset.SOPInstanceUID, dataset.SeriesInstanceUID = generate_uid(), generate_uid()
        dataset.ImageType = ["DERIVED", "PRIMARY", "RECON GATED TOMO", "EMISSION"]
        dataset.TimeSlotVector, dataset.SeriesDescription = [1] * 7, name.format(gate + 1)
        dataset.AcquisitionContextSequence = []
        dataset.ImageID = "STRESS"
        save(dataset, f"{9 - gate}.dcm")
    scans = read_studies([tmp_path]).studies[0].scans
    assert {scan.framing for scan in scans} == {framing}
    assert len(scans) == (1 if framing == "gated" else gates)
    if framing == "gated":
        assert_array_equal(scans[0].image.array.sum(axis=(1, 2, 3)), values.sum(axis=(1, 2, 3)))


def test_single_frame_slices_keep_their_own_scale(save, tmp_path):
    values = counts_of(1, 7, 8, 9)
    for number, dataset in enumerate(single_slices(values)):
        height = round((600.0 - dataset.DetectorInformationSequence[0].ImagePositionPatient[2]) / 6.0)
        dataset.RescaleSlope, dataset.RescaleIntercept = 1.0 + height, 0.0
        save(dataset, f"{number:03d}.dcm")
    expected = values[0] * (1.0 + np.arange(7))[:, None, None]
    assert_allclose(only_scan(tmp_path).image.array[0], expected[::-1])


def test_a_single_slice_is_no_volume(save, tmp_path):
    path = save(single_slices(counts_of(1, 7, 8, 9))[0])
    with pytest.raises(InputError, match="a single slice is not a volume; give the whole series"):
        read_studies([path])


def test_single_slices_without_positions_are_refused(save, tmp_path):
    for number, dataset in enumerate(single_slices(counts_of(1, 7, 8, 9))):
        del dataset.DetectorInformationSequence[0].ImagePositionPatient
        save(dataset, f"{number:03d}.dcm")
    with pytest.raises(InputError, match="Image Position is missing in a slice"):
        read_studies([tmp_path])


def gate_files(values, mark, *, raw=False):
    """Return one dataset a gate; `mark` sets what tells the gates apart."""
    out = []
    for gate in range(len(values)):
        dataset = raw_nm(values[gate : gate + 1]) if raw else recon_nm(values[gate : gate + 1])
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "GATED TOMO" if raw else "RECON GATED TOMO", "EMISSION"]
        dataset.ImageID = "SGATE"
        mark(dataset, gate)
        out.append(dataset)
    return out


MARKS = {
    "slot": lambda d, gate: setattr(d, "TimeSlotVector", [gate + 1] * int(d.NumberOfFrames)),
    "trigger time": lambda d, gate: setattr(d, "TriggerTime", str(100 * gate)),
    "name": lambda d, gate: setattr(d, "SeriesDescription", f"Stress gate {gate + 1} of 4"),
    "share of the cycle": lambda d, gate: setattr(d, "SeriesDescription", f"Stress phase {gate * 12.5:g} % RR"),
    "letter": lambda d, gate: setattr(d, "SeriesDescription", f"Stress Gate {'ABCD'[gate]}"),
    "letter of a bin": lambda d, gate: setattr(d, "SeriesDescription", f"BIN_{'ABCD'[gate]} SPECT"),
    "letter alone": lambda d, gate: setattr(d, "SeriesDescription", f"Stress MIBI {'ABCD'[gate]}"),
    "letter in Image ID": lambda d, gate: setattr(d, "ImageID", f"SGATE_{'ABCD'[gate]}"),
}


@pytest.mark.parametrize("mark", MARKS)
@pytest.mark.parametrize("raw", [False, True])
def test_gates_split_over_files_are_one_scan(save, tmp_path, mark, raw):
    values = counts_of(4, 1, 9, 7, 8) if raw else counts_of(4, 7, 8, 9)
    files = gate_files(values, MARKS[mark], raw=raw)
    for number in (2, 0, 3, 1):
        save(files[number], f"{'abcd'[3 - number]}.dcm")
    scan = only_scan(tmp_path)
    assert scan.framing == "gated"
    assert_array_equal(scan.image.array, values[:, 0] if raw else values)
    assert "gates-geometry-differs" not in codes(scan)
    sources = [dcmread(BytesIO(header)) for header in scan.source_headers]
    assert [source.SOPInstanceUID for source in sources] == [dcmread(tmp_path / f).SOPInstanceUID for f in scan.source]
    assert {int(source.NumberOfFrames) for source in sources} == {9 if raw else 7}  # the files' own headers


@pytest.mark.parametrize(("gates", "joined"), [(8, True), (2, False)])
def test_gates_are_known_by_their_names_where_image_type_says_nothing(save, tmp_path, gates, joined):
    values = counts_of(gates, 7, 8, 9)
    for gate in reversed(range(gates)):
        dataset = recon_nm(values[gate : gate + 1])
        dataset.SOPInstanceUID, dataset.SeriesInstanceUID = generate_uid(), generate_uid()
        dataset.ImageID = f"STRESS Gate {gate + 1}"
        save(dataset, f"{9 - gate}.dcm")
    scans = read_studies([tmp_path]).studies[0].scans
    assert [scan.framing for scan in scans] == (["gated"] if joined else ["static"] * gates)
    if joined:
        assert_array_equal(scans[0].image.array, values)


def test_gates_of_two_scans_that_letters_name_stay_two_scans(save, tmp_path):
    """A letter may name the scan, while the slots tell its gates."""
    values = counts_of(4, 7, 8, 9)
    for letter, factor in (("A", 1), ("B", 2)):
        for gate, dataset in enumerate(gate_files(values * factor, MARKS["slot"])):
            dataset.SeriesDescription = f"MIBI {letter}"
            save(dataset, f"{letter}{gate}.dcm")
    scans = read_studies([tmp_path]).studies[0].scans
    assert [scan.image.array.sum() for scan in scans] == [values.sum(), 2 * values.sum()]
    assert {scan.framing for scan in scans} == {"gated"}


def test_a_missing_gate_among_letters_is_named(save, tmp_path):
    for gate, dataset in enumerate(gate_files(counts_of(5, 7, 8, 9), MARKS["slot"])):
        if gate != 1:
            dataset.TimeSlotVector, dataset.SeriesDescription = [1] * 7, f"Gate {'ABCDE'[gate]}"
            save(dataset, f"{gate}.dcm")
    with pytest.raises(InputError, match="gate B is not among"):
        read_studies([tmp_path])


@pytest.mark.parametrize("mark", ["slot", "name", "number of slots"])
def test_a_missing_gate_is_named(save, tmp_path, mark):
    files = gate_files(counts_of(5, 7, 8, 9), MARKS.get(mark, MARKS["trigger time"]))
    del files[2]
    for number, dataset in enumerate(files):
        dataset.NumberOfTimeSlots = 5 if mark == "number of slots" else 1
        save(dataset, f"{number}.dcm")
    with pytest.raises(InputError, match="not all of 5 gates are among" if "number" in mark else "gate 3 is not among"):
        read_studies([tmp_path])


def test_gates_in_another_place_are_joined_with_a_warning(save, tmp_path):
    files = gate_files(counts_of(4, 7, 8, 9), MARKS["slot"])
    files[2].DetectorInformationSequence[0].ImagePositionPatient = [-50.0, -185.0, 600.0]
    for number, dataset in enumerate(files):
        save(dataset, f"{number}.dcm")
    scan = only_scan(tmp_path)
    assert scan.image.frames == 4
    assert "gates-geometry-differs" in codes(scan)


def test_two_ungated_files_marked_as_gated_stay_apart(save, tmp_path):
    for number, dataset in enumerate(gate_files(counts_of(2, 7, 8, 9), lambda dataset, gate: None)):
        save(dataset, f"{number}.dcm")
    scans = [scan for study in read_studies([tmp_path]).studies for scan in study.scans]
    assert all(scan.image.frames == 1 for scan in scans)
    assert "gated-single" in codes(scans[0])


def test_pet_gates_split_over_series_are_one_scan(save, tmp_path):
    values = counts_of(4, 7, 8, 9)
    slices = pet_slices(values, kind="GATED")
    uids = [generate_uid() for _ in range(4)]
    for number, dataset in enumerate(slices):
        dataset.SeriesInstanceUID = uids[number // 7]
        dataset.SeriesDescription = f"Stress gated bin {number // 7 + 1}"
        save(dataset, f"{number:03d}.dcm")
    scan = only_scan(tmp_path)
    slope = 1.0 + 0.5 * np.arange(7)[:, None, None]
    assert_allclose(scan.image.array, values * slope)
    assert scan.framing == "gated"


def two_isotopes(*, agents=True, limits=True):
    """Return raw views of Tl-201 and Tc-99m in one file, and their counts."""
    thallium, technetium = counts_of(1, 1, 9, 7, 8, seed=1), counts_of(1, 1, 9, 7, 8, seed=2)
    dataset = raw_nm(np.concatenate([thallium, technetium], axis=1))
    dataset.EnergyWindowVector = list(dataset.DetectorVector)
    dataset.DetectorVector = [1] * 18
    windows = []
    for low, high, name in ((63.0, 77.0, "Tl201"), (126.0, 154.0, "Tc99m_EM")):
        window = item(EnergyWindowName=name)
        if limits:
            window.EnergyWindowRangeSequence = Sequence([item(EnergyWindowLowerLimit=low, EnergyWindowUpperLimit=high)])
        windows.append(window)
    dataset.EnergyWindowInformationSequence = Sequence(windows)
    del dataset.RadiopharmaceuticalInformationSequence
    if agents:
        thallous = item(RadionuclideCodeSequence=Sequence([code_item("C-138A9", "SRT", "^201^Thallium")]))
        sestamibi = item(RadionuclideCodeSequence=Sequence([code_item("C-163A8", "SRT", "^99m^Technetium")]))
        dataset.RadiopharmaceuticalInformationSequence = Sequence([thallous, sestamibi])
    return dataset, thallium[0, 0], technetium[0, 0]


@pytest.mark.parametrize(("agents", "limits"), [(True, True), (False, True), (True, False)])
def test_two_radionuclides_of_one_file_are_two_scans(save, tmp_path, agents, limits):
    dataset, thallium, technetium = two_isotopes(agents=agents, limits=limits)
    (study,) = read_studies([save(dataset)]).studies
    by_tracer = {scan.tracer: scan.image.array[0] for scan in study.scans}
    assert set(by_tracer) == {"Tl-201", "Tc-99m"}
    assert_array_equal(by_tracer["Tl-201"], thallium)
    assert_array_equal(by_tracer["Tc-99m"], technetium)


def test_a_scatter_window_is_no_scan(save):
    dataset, *_ = two_isotopes()
    dataset.EnergyWindowInformationSequence[0].EnergyWindowName = "scatter"
    limits = dataset.EnergyWindowInformationSequence[0].EnergyWindowRangeSequence[0]
    limits.EnergyWindowLowerLimit, limits.EnergyWindowUpperLimit = 90.0, 125.0
    dataset.RadiopharmaceuticalInformationSequence = dataset.RadiopharmaceuticalInformationSequence[1:]
    (study,) = read_studies([save(dataset)]).studies
    assert len(study.scans) == 1


def stored_as_pet(save, tmp_path, **names):
    """Save a series of PET slices without a radiopharmaceutical, with these descriptions; return its scan."""
    for number, dataset in enumerate(pet_slices(counts_of(1, 7, 8, 9))):
        for keyword, value in ({"SeriesDescription": ""} | names).items():
            setattr(dataset, keyword, value)
        save(dataset, f"{number}.dcm")
    return only_scan(tmp_path)


@pytest.mark.parametrize(
    ("text", "tracer"),
    [
        *(("Stress MIBI", "Tc-99m sestamibi"), ("REST_SESTAMIBI_AC", "Tc-99m sestamibi"), ("Cardiolite rest", None)),
        *(("Tetrofosmin stress", "Tc-99m tetrofosmin"), ("Stress Myoview 2D", None), ("99mTc stress", "Tc-99m")),
        *(("Tl-201 redistribution", "Tl-201"), ("Thallium stress", "Tl-201"), ("TL201 STRESS", "Tl-201")),
        *(("Stress SPECT", ""), ("Myocardial SPECT recon", "")),
    ],
)
@pytest.mark.parametrize("keyword", ["SeriesDescription", "ProtocolName", "StudyDescription"])
def test_spect_stored_as_pet_is_known_by_its_description(save, tmp_path, keyword, text, tracer):
    scan = stored_as_pet(save, tmp_path, **{keyword: text})
    assert scan.modality == "NM"
    assert "spect-stored-as-pet" in codes(scan)
    if tracer is not None:
        assert (scan.tracer or "") == tracer


@pytest.mark.parametrize(
    "names",
    [
        {"SeriesDescription": "Stress Rb-82", "StudyDescription": "MIBI SPECT and Rb PET"},
        {"SeriesDescription": "FDG viability", "StudyDescription": "Myocardial MIBI SPECT"},
        {"SeriesDescription": "N-13 ammonia stress"},
        {"StudyDescription": "MIBI SPECT / FDG PET"},
        {"SeriesDescription": "Scan 13 rest"},
        {"SeriesDescription": "PET stress"},
        {"SeriesDescription": "SPECT vs PET"},
        {"SeriesDescription": "Prospect"},
        {"SeriesDescription": "Stress perfusion"},
    ],
)
def test_pet_stays_pet_whatever_else_its_study_holds(save, tmp_path, names):
    scan = stored_as_pet(save, tmp_path, **names)
    assert scan.modality == "PT"
    assert "spect-stored-as-pet" not in codes(scan)


def test_spect_stored_as_pet_is_spect(save, tmp_path):
    for number, dataset in enumerate(pet_slices(counts_of(1, 7, 8, 9))):
        tracer = item(RadionuclideCodeSequence=Sequence([code_item("C-163A8", "SRT", "^99m^Technetium")]))
        dataset.RadiopharmaceuticalInformationSequence = Sequence([tracer])
        dataset.CorrectedImage = ["DECY"]
        save(dataset, f"{number}.dcm")
    scan = only_scan(tmp_path)
    assert scan.modality == "NM"
    assert "SPECT" in scan.description
    assert "spect-stored-as-pet" in codes(scan)
    assert "pet-uncorrected" not in codes(scan)
