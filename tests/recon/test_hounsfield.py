"""Hounsfield units to attenuation: the table, its interpolation, and what never comes out."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from myoperf.errors import InputError
from myoperf.recon import attenuation_per_cm, hounsfield_line
from myoperf.recon.hounsfield import WATER_PER_CM


@pytest.mark.parametrize(
    ("scanner", "kvp", "below", "above"),
    [
        ("SIEMENS Symbia T2", 80.0, 1.625e-4, 0.759e-4),
        ("Siemens Symbia Intevo 16", 110.0, 1.634e-4, 0.978e-4),
        ("SIEMENS Symbia T16", 130.0, 1.636e-4, 1.090e-4),
        ("GE MEDICAL SYSTEMS Optima CT540", 100.0, 1.694e-4, 0.959e-4),
        ("GE Optima 540", 120.0, 1.658e-4, 1.039e-4),
        ("GE Optima 540", 140.0, 1.655e-4, 1.130e-4),
        ("GE Infinia Hawkeye", 140.0, 1.631e-4, 1.155e-4),
    ],
)
def test_a_scanner_of_the_table_has_its_own_slopes(scanner, kvp, below, above):
    line = hounsfield_line(scanner, kvp)
    assert (line.below, line.above) == (below, above)
    assert line.scanner is not None
    values = attenuation_per_cm(np.array([0.0, -100.0, 100.0]), line)
    assert_allclose(values, [0.1538, 0.1538 - 100 * below, 0.1538 + 100 * above], rtol=1e-5)


def test_between_voltages_bone_is_interpolated_and_brighter_at_lower_ones():
    between = hounsfield_line("Symbia", 120.0).above
    assert_allclose(between, 0.5 * (0.978e-4 + 1.090e-4))
    slopes = [hounsfield_line(None, kvp).above for kvp in (80, 100, 110, 120, 130, 140)]
    assert slopes == sorted(slopes)


def test_an_unknown_scanner_follows_the_definition_of_the_unit_below_water():
    line = hounsfield_line("Somebody's CT", 120.0)
    assert line.scanner is None
    assert_allclose(attenuation_per_cm(np.array([-1000.0, -500.0]), line), [0.0, 0.5 * WATER_PER_CM], atol=1e-6)


def test_air_and_padding_attenuate_nothing_and_never_less():
    for scanner in ("Symbia", "Optima", None):
        values = attenuation_per_cm(np.array([-3024.0, -1024.0, -1000.0]), hounsfield_line(scanner, 130.0))
        assert values.min() >= 0.0
        assert values.max() < 1e-3


@pytest.mark.parametrize("kvp", [0.0, 20.0, 511.0])
def test_a_voltage_of_no_ct_is_refused(kvp):
    with pytest.raises(InputError, match="voltage"):
        hounsfield_line("Symbia", kvp)
