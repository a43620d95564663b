"""From stored values to counts or activity: Rescale, Real World Value Mapping, and Philips' own factors."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from myoperf.errors import InputError
from myoperf.io.header import items, stated_number, text_of

PHILIPS_GROUP, _PHILIPS_CREATOR = 0x7053, "Philips PET Private Group"
_LARGEST_SCALE = 1e20
"""Far above the factors of any scanner; beyond it, counts would not fit into single precision."""
_ACTIVITY_FACTOR, _SUV_FACTOR = 0x09, 0x00


class ValueScale(NamedTuple):
    """Slope and intercept: value = stored x slope + intercept."""

    slope: float
    intercept: float

    def apply(self, stored: NDArray[np.generic]) -> NDArray[np.float32]:
        """Return the values of stored pixels."""
        if self == (1.0, 0.0):
            return np.asarray(stored, dtype=np.float32)
        return np.asarray(stored.astype(np.float64) * self.slope + self.intercept, dtype=np.float32)


def value_scale(dataset: Dataset, name: str) -> ValueScale:
    """Return how a file's stored values become counts or activity, for projections, SPECT and PET alike.

    Rescale Slope and Intercept (PS3.3 C.11.1) where they change the values, else the first linear Real World Value
    Mapping (PS3.3 C.7.6.16.2.11): each of the two starts from the stored values, so only one applies. Philips PET in
    counts is multiplied by `philips_factor` as well.

    Raises
    ------
    InputError
        When a slope is negative, slope or intercept is implausibly large, or a value is there but cannot be understood.
    """
    slope, intercept = _rescale(dataset, name)
    if (slope, intercept) == (1.0, 0.0):
        slope, intercept = _real_world(dataset, name)
    if slope < 0:
        raise InputError(f"{name}: the slope from stored values to counts is negative; export the file again.")
    factor = philips_factor(dataset, name) or 1.0
    scale = ValueScale(slope * factor, intercept * factor)
    if max(scale.slope, abs(scale.intercept)) > _LARGEST_SCALE:
        raise InputError(
            f"{name}: stored values become counts by a slope of {scale.slope:g} and an intercept of "
            f"{scale.intercept:g}; at most {_LARGEST_SCALE:g} is expected. Correct Rescale Slope and Intercept."
        )
    return scale


def philips_factor(dataset: Dataset, name: str) -> float | None:
    """Return Philips' factor from counts to activity (7053,1009), else to SUV (7053,1000); None where neither applies.

    Philips PET with Units CNTS keeps the factor in private attributes (QIBA Profile FDG-PET/CT, appendix on Philips).
    Where Units is anything else the stored values are in that unit already.
    """
    if text_of(dataset, "Units").upper() not in ("", "CNTS", "PROPCNTS"):
        return None
    for element in (_ACTIVITY_FACTOR, _SUV_FACTOR):
        value = _philips_value(dataset, element)
        if value is None:
            continue
        try:
            factor = float(value.decode("ascii").strip(" \0") if isinstance(value, bytes) else str(value))
        except ValueError:
            factor = float("nan")
        if not np.isfinite(factor) or factor < 0:
            raise InputError(f"{name}: the factor to activity (7053,10{element:02x}) cannot be used; export it again.")
        if factor:
            return factor
    return None


def _philips_value(dataset: Dataset, element: int) -> object:
    """Return a value of Philips' private block; without its creator, as de-identified, from where it usually stands."""
    try:
        return dataset.private_block(PHILIPS_GROUP, _PHILIPS_CREATOR)[element].value
    except KeyError:
        pass
    usual = (PHILIPS_GROUP << 16) + 0x1000 + element
    has_creator = (PHILIPS_GROUP << 16) + 0x10 in dataset
    return dataset[usual].value if usual in dataset and not has_creator else None


def _rescale(dataset: Dataset, name: str) -> ValueScale:
    """Return Rescale Slope and Intercept; a slope of 0, which some writers leave, counts as absent."""
    slope = stated_number(dataset, "RescaleSlope", name)
    return ValueScale(slope, stated_number(dataset, "RescaleIntercept", name) or 0.0) if slope else ValueScale(1.0, 0.0)


def _real_world(dataset: Dataset, name: str) -> ValueScale:
    """Return slope and intercept of the first Real World Value Mapping that has a slope."""
    for mapping in items(dataset, "RealWorldValueMappingSequence"):
        slope = stated_number(mapping, "RealWorldValueSlope", name)
        if slope:
            return ValueScale(slope, stated_number(mapping, "RealWorldValueIntercept", name) or 0.0)
    return ValueScale(1.0, 0.0)
