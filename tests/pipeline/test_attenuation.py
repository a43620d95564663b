"""A study with a CT: a corrected scan beside the uncorrected one, and what happens where the CT cannot be used."""

from dataclasses import replace
from functools import cached_property, partial

import numpy as np
import pydicom
import pytest
from numpy.testing import assert_allclose

from myoperf.geometry import rotate_frame
from myoperf.io import find_attenuation, read_studies, write_nifti
from myoperf.io.ct_writer import write_ct
from myoperf.io.nm.writer import write_projections
from myoperf.io.simulated_header import SimulatedHeader
from myoperf.lv import LVFit
from myoperf.phantom.acquire import Protocol, acquire, attenuation_map, scanner_from_patient
from myoperf.phantom.cohort_scans import _recon_grid
from myoperf.phantom.ct import CTOptions, simulate_ct, with_breath
from myoperf.phantom.population import draw_patient
from myoperf.phantom.records import Grid, PopulationOptions
from myoperf.phantom.voxelise import label_volume
from myoperf.pipeline import Models, Options
from myoperf.pipeline.attenuation import with_corrected_scans, without_repeated_findings
from myoperf.pipeline.scan import LocatedScan, reconstruct_scan
from myoperf.recon import reconstruct
from myoperf.types import AttenuationImage, Finding, Volume
from support.report import make_result

HEADER = SimulatedHeader(patient_id="SIM-7", state="stress", sex="M", series_description="Simulated stress TOMO")
CT_HEADER = replace(HEADER, series_description="Simulated stress CT", series_number=2)


class Case:
    """One simulated patient at stress: files in a folder, and what the network would find on them."""

    def __init__(self, folder):
        self.folder, self.rng = folder, np.random.default_rng(7)
        self.patient = draw_patient(self.rng, PopulationOptions(normal=True, male=1.0))
        protocol = Protocol(gates=1, views=32, couch=True, motion_probability=0.0, scatter_windows=True)
        self.projections = acquire(self.patient, "stress", self.rng, protocol).projections
        write_projections(folder / "stress.dcm", self.projections, HEADER)
        grid = _recon_grid(self.projections)
        place = scanner_from_patient(self.patient)
        self.frame = rotate_frame(self.patient.frame, place)
        inside = Grid(grid.shape, np.linalg.inv(place) @ grid.lps_from_index)
        self.labels = Volume(label_volume(self.patient, inside, "stress"), grid.lps_from_index)
        self.models = Models(segment_lv=lambda volume, frame: (self.labels, ()))

    def ct(self, folder, **options):
        """Write a CT and return its folder."""
        volume = simulate_ct(self.patient, CTOptions(**{"length_mm": 260.0, **options}), np.random.default_rng(3))
        return write_ct(folder, volume, CT_HEADER, kvp=120.0)

    def study(self, *paths):
        return read_studies([self.folder / "stress.dcm", *paths]).studies[0]

    @cached_property
    def images(self):
        """The uncorrected scan, reconstructed once."""
        return reconstruct_scan(self.study().scans[0], Options(), name="stress")

    def located(self, study):
        images = replace(self.images, acquired=study.scans[0], corrected=study.scans[0])
        return LocatedScan(**vars(images), fit=LVFit(self.frame, self.labels, 1.0, ()))

    def corrected(self, *paths, given=None, edit=lambda study: study):
        """Return the scans after correction, by name."""
        study = edit(self.study(*paths))
        options = Options() if given is None else Options(attenuation=given)
        return with_corrected_scans({"stress": self.located(study)}, study, self.models, options)

    def wall(self, volume):
        """Return the uptake in the true wall."""
        return volume.array[0][self.labels.array[0] == 1].astype(np.float64)


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    return Case(tmp_path_factory.mktemp("case"))


def codes(scan):
    return [finding.code for finding in scan.corrected.findings]


def test_a_ct_gives_a_further_scan_in_the_same_pose_that_the_true_map_would_give(case, tmp_path):
    scans = case.corrected(case.ct(tmp_path / "ct"))
    assert list(scans) == ["stress", "stress-ac"]
    plain, fixed = scans["stress"], scans["stress-ac"]
    assert fixed.corrected.attenuation_corrected
    assert not plain.corrected.attenuation_corrected
    assert fixed.fit.frame is plain.fit.frame
    assert fixed.corrected.framing == "static"
    assert codes(fixed) == ["attenuation-corrected"]
    assert "120 kV" in fixed.corrected.findings[0].message
    truth = replace(plain.corrected.image, attenuation=attenuation_map(case.patient, case.projections))
    expected = case.wall(reconstruct(truth).volume)
    assert np.linalg.norm(case.wall(fixed.summed) - expected) < 0.05 * np.linalg.norm(expected)
    assert case.wall(fixed.summed).mean() > 2.0 * case.wall(plain.summed).mean()


def test_the_ct_says_what_the_true_map_says(case, tmp_path):
    scans = case.corrected(case.ct(tmp_path / "ct", couch=False))
    got = scans["stress-ac"].corrected.image.attenuation
    truth = attenuation_map(case.patient, case.projections)
    expected = truth.array[0][::-1]  # the map's planes run from the feet, the reconstruction's from the head
    assert_allclose(got.lps_from_index[:2, 3], truth.lps_from_index[:2, 3], atol=1e-6)
    planes = slice(16, 48)  # of the CT, which is shorter than the views
    body = expected[planes] > 0.1
    assert_allclose(got.array[0][planes][body].mean(), expected[planes][body].mean(), rtol=0.02)
    assert np.abs(got.array[0] - expected)[planes].mean() < 0.006


@pytest.mark.parametrize("shift", [(18.0, -14.0, 0.0), (-12.0, 0.0, 18.0)])
@pytest.mark.slow
def test_a_misplaced_ct_is_moved_back_and_the_shift_is_reported(case, tmp_path, shift):
    scans = case.corrected(case.ct(tmp_path / "ct", shift_lps_mm=shift))
    fixed = scans["stress-ac"]
    assert "attenuation-moved" in codes(fixed)
    truth = attenuation_map(case.patient, case.projections).array[0][::-1]
    still = case.corrected(case.ct(tmp_path / "still"))["stress-ac"].corrected.image.attenuation.array[0]
    near = np.zeros(truth.shape, dtype=bool)
    index = np.argwhere(case.labels.array[0] > 0)
    near[tuple(slice(a - 6, b + 7) for a, b in zip(index.min(axis=0), index.max(axis=0), strict=True))] = True
    got = fixed.corrected.image.attenuation.array[0]
    displaced = np.abs(
        np.roll(truth, [round(s / 6.6) for s in (-shift[2], shift[1], shift[0])], axis=(0, 1, 2)) - truth
    )
    assert np.abs(got - still)[near].mean() < 0.6 * displaced[near].mean()


def edited(folder, edit):
    for path in folder.iterdir():
        dataset = pydicom.dcmread(path)
        edit(dataset)
        dataset.save_as(path)
    return folder


def without_slice(folder):
    sorted(folder.iterdir())[40].unlink()
    return folder


UNUSABLE = {
    "contrast": (lambda folder: edited(folder, lambda d: setattr(d, "ContrastBolusAgent", "Iodine")), "contrast"),
    "other frame": (
        lambda folder: edited(folder, lambda d: setattr(d, "FrameOfReferenceUID", "1.2.3")),
        "frame of ref",
    ),
    "missing slice": (without_slice, "missing"),
    "no voltage": (lambda folder: edited(folder, lambda d: delattr(d, "KVP")), "voltage"),
}


@pytest.mark.parametrize("kind", UNUSABLE)
def test_a_ct_that_cannot_be_used_is_named_and_the_study_goes_on(case, tmp_path, kind):
    spoil, words = UNUSABLE[kind]
    scans = case.corrected(spoil(case.ct(tmp_path / "ct")))
    assert list(scans) == ["stress"]
    (finding,) = [f for f in scans["stress"].corrected.findings if f.code == "attenuation-unusable"]
    assert finding.severity == "warning"
    assert words in finding.message


def test_a_ct_that_does_not_reach_the_heart_is_not_used(case, tmp_path):
    scans = case.corrected(case.ct(tmp_path / "ct", shift_lps_mm=(0.0, 0.0, 300.0)))
    assert "attenuation-unusable" in codes(scans["stress"])


def test_another_patients_ct_is_not_used(case, tmp_path):
    folder = case.ct(tmp_path / "ct")
    image = replace(find_attenuation(folder), patient_id="somebody else")
    scans = case.corrected(given=image)
    assert "another patient" in scans["stress"].corrected.findings[-1].message


def test_only_technetium_is_corrected(case, tmp_path):
    def thallium(study):
        return replace(study, scans=(replace(study.scans[0], tracer="Tl-201 chloride"),))

    scans = case.corrected(case.ct(tmp_path / "ct"), edit=thallium)
    assert "Tc-99m" in scans["stress"].corrected.findings[-1].message


def test_none_leaves_the_ct_alone(case, tmp_path):
    scans = case.corrected(case.ct(tmp_path / "ct"), given="none")
    assert list(scans) == ["stress"]
    assert "attenuation-unusable" not in codes(scans["stress"])


def test_a_map_as_nifti_is_used_where_it_is_given(case, tmp_path):
    path = tmp_path / "given.nii.gz"
    truth = attenuation_map(case.patient, case.projections)
    write_nifti(path, truth.with_array(truth.array.astype(np.float32)))
    scans = case.corrected(given=find_attenuation(path))
    got = scans["stress-ac"].corrected.image.attenuation.array[0]
    assert_allclose(got[1:-1], truth.array[0][::-1][1:-1], atol=1e-4)
    assert "attenuation map" in scans["stress-ac"].corrected.findings[0].message


def test_a_scan_that_the_camera_corrected_is_not_corrected_again(case, tmp_path):
    def corrected(study):
        return replace(study, scans=(study.scans[0], replace(study.scans[0], attenuation_corrected=True)))

    assert list(case.corrected(case.ct(tmp_path / "ct"), edit=corrected)) == ["stress"]


def test_arms_beside_the_trunk_are_cut_off_and_filled(case, tmp_path):
    scans = case.corrected(case.ct(tmp_path / "ct", arms_down=True))
    assert "stress-ac" in scans


def narrowed(folder, radius_mm):
    """Cut a CT to a circle: outside it stands the padding of scanners, air."""

    def cut(dataset):
        raw = dataset.pixel_array.copy()
        place = [(np.arange(n) - (n - 1) / 2.0) * mm for n, mm in zip(raw.shape, dataset.PixelSpacing, strict=True)]
        raw[np.hypot(*np.meshgrid(*place, indexing="ij")) > radius_mm] = raw.min()
        dataset.PixelData = raw.tobytes()

    return edited(folder, cut)


def test_a_ct_whose_field_cuts_the_body_is_filled_where_the_emission_shows_it(case, tmp_path):
    whole = case.corrected(case.ct(tmp_path / "whole"))["stress-ac"]
    cut = case.corrected(narrowed(case.ct(tmp_path / "cut"), 140.0))["stress-ac"]
    assert "attenuation-truncated" not in codes(whole)
    assert "attenuation-truncated" in codes(cut)


def test_a_map_whose_lung_holds_the_heart_is_in_doubt(case, tmp_path):
    truth = attenuation_map(case.patient, case.projections)
    array = truth.array.astype(np.float32)
    wall = np.argwhere(case.labels.array[0][::-1] > 0)
    low, high = wall.min(axis=0) - 4, wall.max(axis=0) + 5
    array[0][tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = 0.04
    write_nifti(tmp_path / "lung.nii.gz", truth.with_array(array))
    scans = case.corrected(given=find_attenuation(tmp_path / "lung.nii.gz"))
    assert "attenuation-doubt" in codes(scans["stress-ac"])


def test_a_ct_of_another_position_is_in_doubt_and_left_where_it_is(case, tmp_path):
    """60 mm away: farther than is searched; the fit at the end of the search is no place that it belongs to."""
    fixed = case.corrected(case.ct(tmp_path / "ct", shift_lps_mm=(60.0, 0.0, 0.0)))["stress-ac"]
    assert "attenuation-moved" not in codes(fixed)
    (doubt,) = [f for f in fixed.corrected.findings if f.code == "attenuation-doubt"]
    assert "30 mm" in doubt.message
    done = fixed.corrected.findings[0].message
    assert "scored first" not in done, "a scan in doubt is not scored first"


def test_of_two_cts_the_one_that_can_be_used_is_used(case, tmp_path):
    """A coronary angiogram with contrast in the same study does not stand in the way of the CT for correction."""
    angiogram = edited(case.ct(tmp_path / "a"), lambda d: setattr(d, "ContrastBolusAgent", "Iodine"))
    usual = write_ct(
        tmp_path / "b",
        simulate_ct(case.patient, CTOptions(length_mm=260.0), np.random.default_rng(3)),
        replace(CT_HEADER, series_number=5),
        kvp=120.0,
    )
    scans = case.corrected(angiogram, usual)
    assert list(scans) == ["stress", "stress-ac"]
    message = scans["stress-ac"].corrected.findings[0].message
    assert "series 5" in message
    assert "contrast" in message


@pytest.mark.parametrize(("shift", "expected"), [(0.0, []), (24.0, ["pet-ct-misregistered"])])
def test_a_pet_image_off_its_ct_is_named(case, tmp_path, shift, expected):
    def as_pet(study):
        scan = replace(study.scans[0], modality="PT", image=case.images.summed, findings=())
        return replace(study, scans=(scan,))

    scans = case.corrected(case.ct(tmp_path / "ct", shift_lps_mm=(shift, 0.0, 0.0)), edit=as_pet)
    assert list(scans) == ["stress"]
    assert codes(scans["stress"]) == expected


def test_the_choice_prefers_the_scans_own_state_and_frame():
    from myoperf.pipeline.attenuation import _images_for
    from myoperf.types import Scan, Study

    scan = Scan(Volume(np.ones((4, 5, 6)), np.eye(4)), state="rest", tracer="Tc-99m", frame_of_reference="1.2")
    image = partial(AttenuationImage, "ct", ())
    images = [
        image(state="stress", frame_of_reference="1.2"),
        image(state=None, frame_of_reference=None),
        image(state="rest", frame_of_reference="1.2"),
        image(state="rest", frame_of_reference="9.9"),
    ]
    assert _images_for(scan, images, Study((scan,)), given=False) == ([images[2], images[1]], "")
    assert _images_for(scan, images[:1], Study((scan,)), given=False) == ([], "")


def test_a_breath_in_lowers_heart_and_diaphragm_and_leaves_the_spine(case):
    breathed = with_breath(case.patient, -12.0)
    assert_allclose(breathed.frame.centre_mm[2], case.patient.frame.centre_mm[2] - 12.0)
    assert breathed.torso.diaphragm_left_mm == case.patient.torso.diaphragm_left_mm - 12.0
    assert breathed.torso.spine_mm == case.patient.torso.spine_mm


def test_findings_stand_once():
    same, own = Finding("low-counts", "info", "few"), Finding("attenuation-corrected", "info", "done")
    plain = replace(make_result("stress", depth=0.3, state="stress"), findings=(same,))
    fixed = replace(plain, name="stress-ac", findings=(same, own))
    kept = without_repeated_findings({"stress": plain, "stress-ac": fixed})
    assert [result.findings for result in kept] == [(same,), (own,)]
