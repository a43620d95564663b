"""Reconstruction of raw projections: OSEM with collimator response and attenuation, and a Butterworth filter."""

from myoperf.recon.collimator import GE_LEHR, SIEMENS_LEHR, CollimatorResponse, parallel_hole_response
from myoperf.recon.filters import butterworth
from myoperf.recon.osem import interleaved_subsets, osem
from myoperf.recon.projector import Projector
from myoperf.recon.reconstruction import ReconOptions, Reconstruction, reconstruct
from myoperf.recon.system import SystemGeometry, system_matrix

__all__ = [
    "GE_LEHR",
    "SIEMENS_LEHR",
    "CollimatorResponse",
    "Projector",
    "ReconOptions",
    "Reconstruction",
    "SystemGeometry",
    "butterworth",
    "interleaved_subsets",
    "osem",
    "parallel_hole_response",
    "reconstruct",
    "system_matrix",
]
