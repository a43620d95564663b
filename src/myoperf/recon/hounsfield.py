"""Hounsfield units of a CT to linear attenuation at the energy of Tc-99m's photons (140.5 keV).

Two straight lines meet at water: below it tissue is water and air, above it water and bone, and bone attenuates the
X-rays of a CT far more than photons of 140 keV, the more the lower the voltage (Burger et al., Eur J Nucl Med
2002;29:922, doi:10.1007/s00259-002-0796-3). The slopes are those that PyTomography (Polson et al. 2025,
doi:10.1016/j.softx.2024.102020) holds for scanners and voltages; they were not measured again here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myoperf.errors import InputError

WATER_PER_CM = 0.1538
"""Narrow-beam attenuation of water at 140.5 keV, 1/cm."""

_Slopes = Mapping[float, tuple[float, float]]
_SCANNERS: Mapping[str, _Slopes] = MappingProxyType(
    {
        "Siemens Symbia": {80.0: (1.625e-4, 0.759e-4), 110.0: (1.634e-4, 0.978e-4), 130.0: (1.636e-4, 1.090e-4)},
        "GE Optima": {100.0: (1.694e-4, 0.959e-4), 120.0: (1.658e-4, 1.039e-4), 140.0: (1.655e-4, 1.130e-4)},
        "GE Infinia": {140.0: (1.631e-4, 1.155e-4)},
    }
)
"""Scanner -> voltage in kV -> slopes below and above water, 1/cm a Hounsfield unit."""
_NAMES = {"symbia": "Siemens Symbia", "optima": "GE Optima", "infinia": "GE Infinia", "hawkeye": "GE Infinia"}
_VOLTAGES_KV = (70.0, 150.0)
"""Of diagnostic CT; another number is an error of the file."""


@dataclass(frozen=True, kw_only=True)
class HounsfieldLine:
    """The two slopes that turn Hounsfield units into attenuation, and what they hold for.

    Attributes
    ----------
    scanner
        Name in the table; None where the scanner is not in it.
    kvp
        Voltage in kV.
    below, above
        Slope below and above water, 1/cm a Hounsfield unit.
    """

    scanner: str | None
    kvp: float
    below: float
    above: float


def hounsfield_line(scanner: str | None, kvp: float) -> HounsfieldLine:
    """Return the slopes for a scanner and its voltage, interpolated between the voltages of the table.

    A scanner that is not in the table gets the definition of the Hounsfield unit below water (air has no attenuation),
    and the mean of all scanners above it.

    Parameters
    ----------
    scanner
        Manufacturer and model as a file names them; None where it names none.
    kvp
        Peak voltage of the tube, kV.

    Raises
    ------
    InputError
        When the voltage is none of a CT.

    Examples
    --------
    >>> hounsfield_line("SIEMENS Symbia T2", 130.0).above
    0.000109
    >>> hounsfield_line("Other", 120.0).below == WATER_PER_CM / 1000.0
    True
    """
    if not _VOLTAGES_KV[0] <= kvp <= _VOLTAGES_KV[1]:
        raise InputError(f"A CT's voltage lies from {_VOLTAGES_KV[0]:g} to {_VOLTAGES_KV[1]:g} kV; got {kvp:g}.")
    known = next((name for mark, name in _NAMES.items() if mark in (scanner or "").lower()), None)
    if known is None:
        rows = sorted((kv, above) for slopes in _SCANNERS.values() for kv, (_, above) in slopes.items())
        voltages = np.unique([kv for kv, _ in rows])
        means = [np.mean([above for kv, above in rows if kv == voltage]) for voltage in voltages]
        above = float(np.interp(kvp, voltages, means))
        return HounsfieldLine(scanner=None, kvp=kvp, below=WATER_PER_CM / 1000.0, above=above)
    slopes = _SCANNERS[known]
    below, above = (float(np.interp(kvp, list(slopes), [pair[side] for pair in slopes.values()])) for side in (0, 1))
    return HounsfieldLine(scanner=known, kvp=kvp, below=below, above=above)


def attenuation_per_cm(hounsfield: NDArray[Any], line: HounsfieldLine) -> NDArray[np.float32]:
    """Return the linear attenuation of Hounsfield units at 140.5 keV, 1/cm, never negative.

    Examples
    --------
    >>> line = hounsfield_line("Symbia", 130.0)
    >>> [round(float(mu), 4) for mu in attenuation_per_cm(np.array([-2000, -1000, -500, 0, 1000]), line)]
    [0.0, 0.0, 0.072, 0.1538, 0.2628]
    """
    values = np.asarray(hounsfield, dtype=np.float32)
    slope = np.where(values > 0, np.float32(line.above), np.float32(line.below))
    return np.asarray(np.maximum(np.float32(WATER_PER_CM) + slope * values, 0.0), dtype=np.float32)
