"""What the photons of a tracer do in the body and in a gamma camera: attenuation, scatter, blur, counts."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from myoperf.phantom.records import Tracer
from myoperf.types import State


@dataclass(frozen=True, kw_only=True)
class Photons:
    """How a tracer's photons are attenuated, scattered and counted.

    Attributes
    ----------
    attenuation_per_mm
        Tissue -> linear attenuation coefficient, 1/mm; "soft" is every organ not named.
    scatter_share
        As `myoperf.phantom.physics.Scatter.share`.
    intrinsic
        Intrinsic resolution of the detector over that at 140.5 keV; it grows as one over the root of the energy.
    counts
        Median counts of all views over 180 degrees at full dose.
    """

    attenuation_per_mm: Mapping[str, float]
    scatter_share: float
    intrinsic: float
    counts: Mapping[State, float]


PHOTONS: Mapping[Tracer, Photons] = MappingProxyType(
    {
        "Tc-99m": Photons(
            attenuation_per_mm={"soft": 0.0153, "lungs": 0.0042, "spine": 0.0205},
            scatter_share=0.25,
            intrinsic=1.0,
            counts={"stress": 4.5e6, "rest": 2.2e6},
        ),
        "Tl-201": Photons(
            attenuation_per_mm={"soft": 0.0191, "lungs": 0.0052, "spine": 0.0338},
            scatter_share=0.33,
            intrinsic=1.4,
            counts={"stress": 1.5e6, "rest": 1.0e6},
        ),
    }
)
"""Tc-99m: 140.5 keV; counts of a one-day protocol, low dose first (the public GE stress acquisition that the simulation
is compared with holds 3.9e6 in its 30 views). Tl-201: mercury x-rays of 69 to 80 keV; coefficients at 72 keV by the
mass attenuation of soft tissue and cortical bone (Hubbell and Seltzer, NISTIR 5632, 1995) and the densities that the
values at 140.5 keV imply. One injection: rest is redistribution. Its share of scatter and its counts are assumed."""


def photons_of(tracer: Tracer) -> Photons:
    """Return what holds for a tracer; for positron emitters, which no gamma camera images here, that of Tc-99m."""
    return PHOTONS.get(tracer, PHOTONS["Tc-99m"])
