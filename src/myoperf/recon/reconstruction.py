"""From raw projections to a volume in the patient's space."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from myoperf.errors import InputError
from myoperf.recon.attenuation import attenuation_factors, attenuation_on_grid
from myoperf.recon.blur import blur_bank
from myoperf.recon.collimator import CollimatorResponse
from myoperf.recon.filters import butterworth, nyquist_per_mm
from myoperf.recon.osem import interleaved_subsets, osem
from myoperf.recon.projector import Projector
from myoperf.recon.scatter import BROAD_BEAM, scatter_method, window_scatter
from myoperf.recon.system import SystemGeometry
from myoperf.types import CollimatorRecord, FilterRecord, Float32, Projections, ReconstructionRecord, Volume


@dataclass(frozen=True)
class ReconOptions:
    """Settings of a reconstruction.

    Parameters
    ----------
    iterations, subsets
        Of OSEM. Where the subsets do not divide the views evenly, their sizes differ by one view; there
        are never more subsets than views.
    post_filter
        Whether to smooth with the Butterworth filter.
    butterworth_order, butterworth_cutoff
        Order, and cut-off as a fraction of the Nyquist frequency: see `myoperf.recon.butterworth`.
    psf
        Collimator response to correct for, or None.
    scatter
        What is done with scattered photons where attenuation is corrected. ``"auto"``: they are estimated from the
        energy windows beside the photopeak, or, without such windows, attenuation is corrected by the smaller
        coefficient of a broad beam. ``"off"``: nothing, for views without scatter.
    """

    iterations: int = 4
    subsets: int = 4
    post_filter: bool = True
    butterworth_order: float = 5.0
    butterworth_cutoff: float = 0.5
    psf: CollimatorResponse | None = None
    scatter: Literal["auto", "off"] = "auto"

    def __post_init__(self) -> None:
        if self.iterations < 1 or self.subsets < 1:
            raise InputError(f"OSEM needs at least 1 iteration and 1 subset; got {self.iterations} x {self.subsets}.")


@dataclass(frozen=True, eq=False)
class Reconstruction:
    """A reconstructed volume and how it was made.

    Attributes
    ----------
    volume
        Transaxial, float32, with the projections' frames; plane 0 is nearest the head.
    record
        Method and every parameter.
    """

    volume: Volume
    record: ReconstructionRecord


def reconstruct(
    projections: Projections, options: ReconOptions | None = None, *, attenuation: Volume | None = None
) -> Reconstruction:
    """Reconstruct raw projections by OSEM and smooth the volume.

    Parameters
    ----------
    projections
        Raw views over any arc; all gates are reconstructed at once.
    options
        Defaults: 4 iterations, 4 subsets, Butterworth of order 5 at 0.5 Nyquist.
    attenuation
        Linear attenuation in 1/cm in the patient's space; that of the projections, if they have one, when None.

    Returns
    -------
    Reconstruction
        The grid has one plane for each detector row, pixels as wide as the detector's columns, and its
        centre at ``projections.axis_lps_mm``. Values made negative by the filter are 0.

    Raises
    ------
    InputError
        When there are no counts, negative counts, or the attenuation map is not in 1/cm.
    GeometryError
        When a collimator response is given but the projections have no radius.
    """
    options = options or ReconOptions()
    total = float(projections.array.sum(dtype=np.float64))
    if projections.array.min() < 0 or total <= 0:
        raise InputError(
            "Projections need positive counts; these have none, or negative ones (already corrected views?)."
        )
    attenuation = projections.attenuation if attenuation is None else attenuation
    geometry = SystemGeometry.of(projections, options.psf)
    subsets = interleaved_subsets(projections.angles_deg, options.subsets)
    factors, scattered = None, None
    if attenuation is not None:
        scattered = _scattered(projections, total) if options.scatter == "auto" else None
        mu = attenuation_on_grid(attenuation, geometry, projections.axis_lps_mm)
        if options.scatter == "auto" and scattered is None:
            mu = mu * np.float32(BROAD_BEAM)
        factors = attenuation_factors(mu, geometry, pad_planes=Projector(geometry, subsets[0]).pad_planes)
    projectors = [Projector(geometry, views, attenuation=factors) for views in subsets]
    counts = projections.array.transpose(1, 3, 0, 2).astype(np.float32)
    activity = osem(counts, projectors, iterations=options.iterations, scattered=scattered)
    volume = Volume(projectors[0].scatter(activity), geometry.lps_from_index(projections.axis_lps_mm))
    if options.post_filter:
        smooth = butterworth(volume, order=options.butterworth_order, cutoff_nyquist=options.butterworth_cutoff)
        volume = smooth.with_array(np.maximum(smooth.array, 0.0))
    return Reconstruction(volume, _record(projections, options, geometry, attenuation is not None, volume))


def _scattered(projections: Projections, total: float) -> Float32 | None:
    """Return the scattered counts of every frame, (views, columns, frames, rows); each has its share of them."""
    summed = window_scatter(projections)
    if summed is None:
        return None
    shares = (projections.array.sum(axis=(1, 2, 3), dtype=np.float64) / total).astype(np.float32)
    return np.asarray(summed.transpose(0, 2, 1)[:, :, None, :] * shares[:, None])


def _record(
    projections: Projections, options: ReconOptions, geometry: SystemGeometry, attenuated: bool, volume: Volume
) -> ReconstructionRecord:
    """Record every parameter of a reconstruction."""
    subsets = interleaved_subsets(projections.angles_deg, options.subsets)
    cutoff = options.butterworth_cutoff * nyquist_per_mm(volume)
    smoothing = FilterRecord(
        name="butterworth",
        amplitude="1/sqrt(1+(f/fc)^(2n))",
        order=options.butterworth_order,
        cutoff_fraction_of_nyquist=options.butterworth_cutoff,
        cutoff_cycles_per_mm=cutoff,
        cutoff_cycles_per_cm=10.0 * cutoff,
    )
    return ReconstructionRecord(
        method="OSEM",
        iterations=options.iterations,
        subsets=len(subsets),
        subsets_asked=options.subsets,
        views=projections.views,
        views_per_subset=tuple(len(views) for views in subsets),
        frames=projections.frames,
        counts=float(projections.array.sum(dtype=np.float64)),
        voxel_mm=tuple(float(step) for step in volume.spacing_mm),
        filter=smoothing if options.post_filter else None,
        psf=_psf_record(geometry),
        attenuation="map in 1/cm, every plane and view" if attenuated else None,
        scatter=scatter_method(projections) if attenuated and options.scatter == "auto" else None,
    )


def _psf_record(geometry: SystemGeometry) -> CollimatorRecord | None:
    """Record the collimator response and how closely it is modelled."""
    response = geometry.response
    if response is None:
        return None
    bank = blur_bank(geometry)
    return CollimatorRecord(
        name=response.name,
        fwhm_mm="sqrt(intrinsic^2 + (offset + slope * distance)^2)",
        intrinsic_fwhm_mm=response.intrinsic_fwhm_mm,
        offset_mm=response.offset_mm,
        slope=response.slope,
        fwhm_mm_at_100_mm=float(response.fwhm_mm(100.0)),
        source=response.source,
        blurs=bank.nodes,
        kernel_error=bank.error,
    )
