"""How many bits of a pixel's word hold its value: Bits Allocated, Bits Stored and High Bit (PS3.5 8.1)."""

import numpy as np
import pytest

from myoperf.errors import InputError
from myoperf.io import read_studies
from support.dicom import counts_of, recon_nm


def stored(save, words, *, bits, signed=False):
    """Return what is read from a file with these 16-bit words, of which `bits` are said to hold the value."""
    dataset = recon_nm(words)
    dataset.PixelData = words.astype("<u2").tobytes()
    dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = bits, bits - 1, int(signed)
    return read_studies([save(dataset)]).studies[0].scans[0].image.array


def test_values_of_twelve_bits_are_read(save):
    values = counts_of(1, 7, 8, 9)
    np.testing.assert_array_equal(stored(save, values, bits=12), values)


@pytest.mark.parametrize("signed", [False, True])
def test_values_beyond_the_bits_stored_are_refused_not_cut(save, signed):
    values = counts_of(1, 7, 8, 9)
    values[0, 3, 4, 5] = 4096 + 17  # would be read as 17: the brightest pixel becomes a dark one
    with pytest.raises(InputError, match=r"more than the 12 bits that Bits Stored"):
        stored(save, values, bits=12, signed=signed)


def test_values_at_the_upper_end_of_the_word_are_refused(save):
    dataset = recon_nm(counts_of(1, 7, 8, 9) << 4)
    dataset.BitsStored, dataset.HighBit = 12, 15
    with pytest.raises(InputError, match="Bits Stored"):
        read_studies([save(dataset)])


@pytest.mark.parametrize("extended", [True, False])
def test_a_negative_value_may_have_its_sign_in_the_bits_above(save, extended):
    values = counts_of(1, 7, 8, 9) - 2000
    words = values & (0xFFFF if extended else 0x0FFF)
    np.testing.assert_array_equal(stored(save, words, bits=12, signed=True), values)


def test_an_overlay_in_the_bits_above_is_left_out(save):
    values = counts_of(1, 7, 8, 9)
    dataset = recon_nm(values | (values % 2) << 12)
    dataset.BitsStored, dataset.HighBit = 12, 11
    dataset.add_new(0x60000100, "US", 16)
    dataset.add_new(0x60000102, "US", 12)
    np.testing.assert_array_equal(read_studies([save(dataset)]).studies[0].scans[0].image.array, values)
