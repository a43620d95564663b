"""Reconstruction of raw projections: OSEM with collimator response and attenuation, and a Butterworth filter."""

from myoperf.recon.alignment import Alignment, align_attenuation
from myoperf.recon.collimator import GE_LEHR, SIEMENS_LEHR, CollimatorResponse, known_response, parallel_hole_response
from myoperf.recon.filters import butterworth
from myoperf.recon.hounsfield import HounsfieldLine, attenuation_per_cm, hounsfield_line
from myoperf.recon.motion import LEAST_MOTION_VIEWS, Motion, correct_motion, estimate_motion
from myoperf.recon.osem import interleaved_subsets, osem
from myoperf.recon.projector import Projector
from myoperf.recon.reconstruction import ReconOptions, Reconstruction, reconstruct
from myoperf.recon.resolution import ImageResolution, image_resolution
from myoperf.recon.system import SystemGeometry, system_matrix

__all__ = [
    "GE_LEHR",
    "LEAST_MOTION_VIEWS",
    "SIEMENS_LEHR",
    "Alignment",
    "CollimatorResponse",
    "HounsfieldLine",
    "ImageResolution",
    "Motion",
    "Projector",
    "ReconOptions",
    "Reconstruction",
    "SystemGeometry",
    "align_attenuation",
    "attenuation_per_cm",
    "butterworth",
    "correct_motion",
    "estimate_motion",
    "hounsfield_line",
    "image_resolution",
    "interleaved_subsets",
    "known_response",
    "osem",
    "parallel_hole_response",
    "reconstruct",
    "system_matrix",
]
