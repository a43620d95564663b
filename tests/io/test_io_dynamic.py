"""Dynamic PET series: when each frame began, decay, counts, and what of a series is in doubt."""

import numpy as np
import pytest
from pydicom.sequence import Sequence

from myoperf.errors import InputError
from myoperf.io import read_studies
from myoperf.io.pet.dynamic import activity_factors, frame_starts_ms
from support.dicom import counts_of, item, pet_slices

DURATION = np.array([5000.0, 5000.0, 10000.0, 30000.0])
START = np.array([0.0, 5000.0, 10000.0, 20000.0])
HALF_LIFE_S = 76.4


def series(**changes):
    """Give slices of four time frames; a change is a value, one a frame, or None to leave it out."""
    slices = pet_slices(counts_of(4, 7, 8, 9), kind="DYNAMIC")
    for number, dataset in enumerate(slices):
        frame = number // 7
        dataset.ActualFrameDuration = DURATION[frame]
        dataset.FrameReferenceTime = START[frame] + 0.5 * DURATION[frame]
        dataset.RescaleSlope = 1.0
        tracer = item(RadionuclideHalfLife=HALF_LIFE_S, Radiopharmaceutical="Rubidium Rb-82")
        dataset.RadiopharmaceuticalInformationSequence = Sequence([tracer])
        for name, value in changes.items():
            given = value[frame] if isinstance(value, list | np.ndarray) else value
            if given is None:
                dataset.pop(name, None)
            else:
                setattr(dataset, name, given)
    return slices


def read(save, tmp_path, slices, folder="pet"):
    for number, dataset in enumerate(slices):
        save(dataset, f"{number:03d}.dcm", tmp_path / folder)
    (scan,) = read_studies([tmp_path / folder]).studies[0].scans
    return scan


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"FrameReferenceTime": START},
        {"FrameReferenceTime": START + 77.0},
        {"AcquisitionTime": ["101500.000", "101505.000", "101510.000", "101520.000"], "FrameReferenceTime": None},
        {
            "AcquisitionDate": ["20200102", "20200102", "20200103", "20200103"],
            "AcquisitionTime": ["235950", "235955", "000000", "000010"],
        },
    ],
    ids=["middle", "start", "start-shifted", "acquisition-time", "over-midnight"],
)
def test_starts_come_from_what_fits_the_durations(save, tmp_path, changes):
    scan = read(save, tmp_path, series(**changes))
    assert scan.framing == "dynamic"
    np.testing.assert_allclose(scan.frame_start_ms, START, atol=1)
    np.testing.assert_allclose(scan.frame_duration_ms, DURATION)


def test_without_durations_or_times_there_are_no_starts(save, tmp_path):
    scan = read(save, tmp_path, series(ActualFrameDuration=None))
    assert scan.frame_start_ms is None
    headers = series(FrameReferenceTime=None)[::3]
    assert frame_starts_ms(headers, DURATION) is None


def decay(start_ms, duration_ms):
    rate = np.log(2) / (1000 * HALF_LIFE_S)
    return np.array(
        [d / np.exp(-rate * np.linspace(s, s + d, 4001)).mean() / d for s, d in zip(start_ms, duration_ms, strict=True)]
    )


def test_frames_not_corrected_for_decay_are_corrected(save, tmp_path):
    plain = read(save, tmp_path, series(), "a")
    scan = read(save, tmp_path, series(DecayCorrection="NONE"), "b")
    np.testing.assert_allclose(
        scan.image.array, plain.image.array * decay(START, DURATION)[:, None, None, None], rtol=1e-4
    )
    assert [f.code for f in scan.findings if f.code == "frames-converted"]


def test_counts_become_rates(save, tmp_path):
    plain = read(save, tmp_path, series(), "a")
    scan = read(save, tmp_path, series(Units="CNTS"), "b")
    np.testing.assert_allclose(scan.image.array, plain.image.array / (DURATION / 1000)[:, None, None, None], rtol=1e-5)
    assert [f.message for f in scan.findings if f.code == "frames-converted"] == [
        "The time frames were divided by their durations."
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"DecayCorrection": "START", "DecayFactor": np.ones(4)},
        {"CorrectedImage": "ATTN"},
        {"DecayCorrection": "NONE", "RadiopharmaceuticalInformationSequence": None},
    ],
    ids=["factors-flat", "nothing-told", "no-half-life"],
)
def test_doubt_about_decay_is_said_and_nothing_changed(save, tmp_path, changes):
    plain = read(save, tmp_path, series(), "a")
    scan = read(save, tmp_path, series(**changes), "b")
    np.testing.assert_array_equal(scan.image.array, plain.image.array)
    assert "decay-doubtful" in {f.code for f in scan.findings}


def test_decay_factors_that_rise_as_decay_does_are_no_doubt():
    headers = series(DecayCorrection="ADMIN", DecayFactor=3.0 * decay(START, DURATION))[::7]
    factors, findings = activity_factors(headers, START, DURATION)
    np.testing.assert_array_equal(factors, 1.0)
    assert findings == ()


def test_missing_time_frames_are_said(save, tmp_path):
    scan = read(save, tmp_path, series(NumberOfTimeSlices=6))
    assert [f.message for f in scan.findings if f.code == "time-frames-missing"] == [
        "The dynamic series should have 6 time frames; it has 4."
    ]


def test_a_gap_between_time_frames_is_said(save, tmp_path):
    slices = series()
    scan = read(save, tmp_path, slices[:7] + slices[14:])
    assert [f.message for f in scan.findings if f.code == "time-frames-missing"] == [
        "There is a gap of 5 s between time frames 1 and 2 of the dynamic series; frames may be missing."
    ]


def test_a_dynamic_series_is_kept_beside_the_static_one(save, tmp_path):
    for number, dataset in enumerate(series()):
        save(dataset, f"dynamic{number}.dcm", tmp_path)
    for number, dataset in enumerate(pet_slices(counts_of(1, 7, 8, 9, seed=9))):
        save(dataset, f"static{number}.dcm", tmp_path)
    (study,) = read_studies([tmp_path]).studies
    assert [(scan.state, scan.framing) for scan in study.scans] == [("stress", "static"), ("stress", "dynamic")]


def test_two_static_series_that_call_themselves_dynamic_are_no_flow_series(save, tmp_path):
    for series_number in (1, 2):
        for number, dataset in enumerate(pet_slices(counts_of(1, 7, 8, 9, seed=series_number), kind="DYNAMIC")):
            save(dataset, f"{series_number}-{number}.dcm", tmp_path)
    (study,) = read_studies([tmp_path]).studies
    assert [scan.framing for scan in study.scans] == ["static", "static"]
    assert len({scan.source for scan in study.scans}) == 2  # neither repeats the other, so both are analysed
    assert "scans-set-aside" not in {f.code for f in study.findings}


CLOCK = ["235955.000", "235959.000", "000003.000", "000007.000"]
TURNED = ["20200102", "20200102", "20200103", "20200103"]


@pytest.mark.parametrize(
    "changes",
    [
        {"AcquisitionDate": TURNED, "AcquisitionTime": CLOCK},
        {"AcquisitionDate": "20200102", "AcquisitionTime": CLOCK},
        {"AcquisitionDate": None, "AcquisitionTime": CLOCK},
        {"AcquisitionDateTime": [day + time for day, time in zip(TURNED, CLOCK, strict=True)]},
    ],
    ids=["date-turns", "only-the-clock-turns", "no-date", "date-time"],
)
def test_frames_over_midnight_are_in_order_without_reference_times(save, tmp_path, changes):
    scan = read(save, tmp_path, series(FrameReferenceTime=None, ActualFrameDuration=4000, **changes)[::-1])
    np.testing.assert_allclose(scan.frame_start_ms, [0.0, 4000.0, 8000.0, 12000.0])
    values = counts_of(4, 7, 8, 9)
    np.testing.assert_allclose(scan.image.array / scan.image.array[0, 0, 0, 0] * values[0, 0, 0, 0], values, rtol=1e-5)


def test_frames_spread_over_a_day_are_refused(save, tmp_path):
    slices = series(FrameReferenceTime=None, AcquisitionTime=["010000", "080000", "150000", "220000"])
    for number, dataset in enumerate(slices):
        save(dataset, f"{number:03d}.dcm")
    with pytest.raises(InputError, match="nothing to order them by"):
        read_studies([tmp_path])
