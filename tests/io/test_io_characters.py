"""Text whose header states no character set, or a wrong one."""

from io import BytesIO

import pytest
from pydicom import dcmread

from myoperf.errors import InputError
from myoperf.io import read_studies
from support.dicom import counts_of, recon_nm


def scan_named(save, text, charset=None):
    """Return the scan of a file whose Series Description has these bytes."""
    dataset = recon_nm(counts_of(1, 7, 8, 9))
    dataset.AcquisitionContextSequence = []
    if charset is not None:
        dataset.SpecificCharacterSet = charset
    text += b" " * (len(text) % 2)
    dataset.ImageID, dataset.SeriesDescription = "", "@" * len(text)
    path = save(dataset)
    path.write_bytes(path.read_bytes().replace(b"@" * len(text), text))
    (scan,) = read_studies([path]).studies[0].scans
    return scan


def codes(scan):
    return [finding.code for finding in scan.findings]


@pytest.mark.parametrize("charset", [None, "ISO_IR 6", "ISO_IR 100", "ISO_IR 144"])
@pytest.mark.parametrize(("text", "state"), [("нагрузка", "stress"), ("Wysiłek", "stress"), ("安静時", "rest")])
def test_utf8_is_read_whatever_the_header_states(save, charset, text, state):
    scan = scan_named(save, text.encode(), charset)
    assert scan.state == state
    assert "character-set" not in codes(scan)
    header = dcmread(BytesIO(scan.source_headers[0]))
    assert header.SeriesDescription == text  # results that copy from it have the right letters too


def test_long_axis_and_maps_are_known_in_utf8_without_a_character_set(save):
    with pytest.raises(InputError, match="long-axis"):
        scan_named(save, "oś długa spoczynek".encode())
    with pytest.raises(InputError, match="attenuation map"):
        scan_named(save, "карта ослабления".encode())


@pytest.mark.parametrize(("charset", "text"), [("ISO_IR 144", "Покой"), ("ISO_IR 101", "spoczynek, ściana")])
def test_a_character_set_that_fits_is_kept(save, charset, text):
    python = {"ISO_IR 144": "iso8859_5", "ISO_IR 101": "iso8859_2"}[charset]
    scan = scan_named(save, text.encode(python), charset)
    assert scan.state == "rest"
    assert codes(scan) == []


def test_letters_of_an_unknown_set_are_said(save):
    scan = scan_named(save, "покой".encode("cp1251"))
    assert scan.state is None
    assert "character-set" in codes(scan)
