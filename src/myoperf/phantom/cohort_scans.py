"""The two scans of a cohort's patient: raw views of full physics, or images of the fast model."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import numpy as np

from myoperf.errors import InputError
from myoperf.geometry import index_from_lps
from myoperf.phantom.acquire import DOSES, Protocol, acquire, attenuation_map, scanner_from_patient
from myoperf.phantom.ct import CTOptions, simulate_ct
from myoperf.phantom.fast import czt_field, image_model, simulate_fast
from myoperf.phantom.gating import gate_beats, record_of
from myoperf.phantom.photons import PHOTONS
from myoperf.phantom.prone import lay_prone
from myoperf.phantom.records import Grid, PatientModel, PopulationOptions
from myoperf.recon import reconstruct
from myoperf.types import Projections, State, Volume

Modality = Literal["spect", "czt", "pet"]
_FIELDS: Mapping[Modality, tuple[float, tuple[int, int, int]]] = {
    "spect": (6.6, (64, 64, 64)),
    "czt": (4.0, (96, 110, 110)),
    "pet": (4.0, (44, 96, 96)),
}
"""Voxel (mm) and grid of the fast images; CZT is then cut to its camera's small field of view."""
_PET_CENTRING_MM = 10.0
"""SD of the distance along the body between the heart and the middle of the PET scanner's short field."""


@dataclass(frozen=True)
class CohortOptions:
    """What to simulate and how to write it.

    Parameters
    ----------
    as_
        ``"dicom"``, ``"nifti"`` (reconstructed volumes) or ``"arrays"`` (one npz a patient, for training).
    modality
        ``"spect"``: parallel-hole views. ``"czt"`` and ``"pet"``: reconstructed images of the fast model.
    fast
        SPECT images by the fast model too, in place of views.
    reconstructed
        With ``"dicom"``: also write the reconstruction (OSEM 4 x 4, Butterworth 0.5 order 5) of views as NM
        RECON TOMO, and every volume as NIfTI.
    attenuation_map
        SPECT by full physics: also write the map an attenuation correction would use, 1/cm, as NIfTI.
    misregistration_mm
        SD, along each axis, of the displacement of that map, or of the CT, against the emission.
    ct
        SPECT by full physics: also write a CT of each state as DICOM; the couch attenuates then.
    breath_mismatch_mm
        SD of the height of diaphragm and heart in the CT against the emission's.
    """

    as_: Literal["dicom", "nifti", "arrays"] = "dicom"
    modality: Modality = "spect"
    fast: bool = False
    reconstructed: bool = False
    attenuation_map: bool = False
    misregistration_mm: float = 0.0
    ct: bool = False
    breath_mismatch_mm: float = 0.0
    population: PopulationOptions = field(default_factory=PopulationOptions)
    protocol: Protocol = field(default_factory=Protocol)

    def __post_init__(self) -> None:
        if self.as_ not in ("dicom", "nifti", "arrays"):
            raise InputError(f"Cohorts are written as 'dicom', 'nifti' or 'arrays'; got {self.as_!r}.")
        if self.modality not in _FIELDS:
            raise InputError(f"The modality is one of {', '.join(_FIELDS)}; got {self.modality!r}.")
        tracer = self.population.tracer
        if (self.modality == "pet") == (tracer in PHOTONS):
            raise InputError(f"{self.modality.upper()} cannot be simulated with {tracer}.")
        if tracer == "Tl-201" and (not self.has_views or self.protocol.scatter_windows):
            raise InputError("Tl-201 is simulated as raw SPECT views without scatter windows.")
        if self.attenuation_map and not self.has_views:
            raise InputError(
                "An attenuation map needs raw SPECT views: it cannot be simulated for fast, CZT or PET images."
            )
        if self.ct and (not self.has_views or self.as_ != "dicom"):
            raise InputError("A CT is written as DICOM, with raw SPECT views.")
        if self.misregistration_mm < 0 or (self.misregistration_mm > 0 and not (self.attenuation_map or self.ct)):
            raise InputError("A misregistration must be 0 mm or more and needs the attenuation map or the CT.")
        if self.breath_mismatch_mm < 0 or (self.breath_mismatch_mm > 0 and not self.ct):
            raise InputError("A mismatch of breath must be 0 mm or more and needs the CT.")
        if self.protocol.position == "prone" and (not self.has_views or self.ct or self.attenuation_map):
            raise InputError("Prone patients are simulated as raw SPECT views, without a CT or an attenuation map.")
        if self.ct:
            object.__setattr__(self, "protocol", replace(self.protocol, couch=True))

    @property
    def has_views(self) -> bool:
        """Whether the scans are raw views."""
        return self.modality == "spect" and not self.fast


@dataclass(frozen=True, eq=False)
class CohortScan:
    """The scan of one patient in one state, in the scanner's space.

    Attributes
    ----------
    grid
        Of the reconstruction, on which truth is written.
    record
        The acquisition's record in the truth file.
    views, expected
        Raw views and the same without noise; None of the fast model.
    image, quiet
        Image of the fast model and the same without noise (summed over gates); None of full physics.
    attenuation
        1/cm, or None.
    ct
        Hounsfield units, or None.
    """

    grid: Grid
    record: Mapping[str, Any]
    views: Projections | None = None
    expected: Projections | None = None
    image: Volume | None = None
    quiet: Volume | None = None
    attenuation: Volume | None = None
    ct: Volume | None = None

    def volume(self) -> Volume:
        """Return the image, reconstructed from views where there are views; gates kept."""
        if self.image is not None:
            return self.image
        assert self.views is not None
        return reconstruct(self.views).volume

    def summed(self) -> Volume:
        """Return the image summed over gates."""
        if self.image is not None:
            return self.image.summed()
        assert self.views is not None
        return reconstruct(self.views.summed()).volume

    def noiseless(self) -> Volume:
        """Return the image of noiseless data, summed over gates."""
        if self.quiet is not None:
            return self.quiet
        assert self.expected is not None
        return reconstruct(self.expected.summed()).volume

    def in_patient(self, patient: PatientModel) -> Grid:
        """Return the grid in the patient's space."""
        return Grid(self.grid.shape, index_from_lps(scanner_from_patient(patient)) @ self.grid.lps_from_index)


def scan_patient(
    patient: PatientModel, states: tuple[State, ...], rng: np.random.Generator, options: CohortOptions
) -> dict[State, CohortScan]:
    """Scan a patient in each state, with raw views or by the fast model as the options say.

    Returns
    -------
    By state: the views with their noise-free counterpart, or the volume, and what the options add (attenuation map,
    CT).
    """
    if not options.has_views:
        return {state: _fast_scan(patient, state, rng, options) for state in states}
    if options.protocol.position == "prone":
        patient = lay_prone(patient, rng.spawn(1)[0])
    scans = {state: acquire(patient, state, rng, options.protocol) for state in states}
    out: dict[State, CohortScan] = {}
    for state, scan in scans.items():
        mu, ct, record = None, None, dict(scan.record)
        if options.attenuation_map:
            x, y, z = (float(v) for v in rng.normal(0.0, options.misregistration_mm, 3))
            mu = attenuation_map(patient, scan.projections, offset_mm=(x, y, z))
            record["map_offset_mm"] = [round(v, 2) for v in (x, y, z)]
        if options.ct:
            taken = _ct_options(options, rng)
            ct = simulate_ct(patient, taken, rng)
            record["ct_offset_mm"] = [round(v, 2) for v in taken.shift_lps_mm]
            record["ct_breath_mm"], record["ct_kvp"] = round(taken.breath_mm, 2), taken.kvp
        grid = _recon_grid(scan.projections)
        out[state] = CohortScan(grid, record, scan.projections, scan.expected, attenuation=mu, ct=ct)
    return out


def _ct_options(options: CohortOptions, rng: np.random.Generator) -> CTOptions:
    """Draw how far a CT lies from the emission, rigidly and by its breath."""
    x, y, z = (float(v) for v in rng.normal(0.0, options.misregistration_mm, 3))
    return CTOptions(
        arms_down=options.protocol.arms_down,
        shift_lps_mm=(x, y, z),
        breath_mm=float(rng.normal(0.0, options.breath_mismatch_mm)),
        length_mm=options.protocol.pixels * options.protocol.pixel_mm,
    )


def _fast_scan(patient: PatientModel, state: State, rng: np.random.Generator, options: CohortOptions) -> CohortScan:
    kind, gates, dose = options.modality, options.protocol.gates, options.protocol.dose
    model = image_model(kind, rng, tracer=patient.tracer)
    model = replace(model, noise=model.noise / float(np.sqrt(DOSES[dose])))
    spacing, shape = _FIELDS[kind]
    scanned, heart = patient, patient.frame.centre_mm
    if kind == "pet":
        x, y, _ = patient.scan_centre_mm
        scanned = replace(patient, scan_centre_mm=(x, y, float(heart[2] + rng.normal(0.0, _PET_CENTRING_MM))))
    noise_rng, cut_rng = rng.spawn(2)
    grid = Grid.centred(shape, spacing, scanned.scan_centre_mm)
    image, _, frame = simulate_fast(
        scanned, noise_rng, state=state, model=model, grid=grid, gates=gates, quick_labels=True
    )
    quiet = None
    if options.as_ == "arrays":
        still = replace(model, noise=0.0)
        quiet, _, _ = simulate_fast(scanned, noise_rng, state=state, model=still, grid=grid, quick_labels=True)
    if kind == "czt":
        before = cut_rng.bit_generator.state
        image = czt_field(image, frame.centre_mm, cut_rng)
        if quiet is not None:
            cut_rng.bit_generator.state = before  # the same cut
            quiet = czt_field(quiet, frame.centre_mm, cut_rng)
    record = {
        "simulated": True,
        "tracer": patient.tracer,
        "modality": kind,
        "method": "image-space model",
        "gates": gates,
        "dose": dose,
        **record_of(gate_beats(patient.function, gates)),
        "voxel_mm": spacing,
        "image_model": {key: round(value, 4) for key, value in asdict(model).items()},
    }
    return CohortScan(Grid(image.grid_shape, image.lps_from_index), record, image=image, quiet=quiet)


def _recon_grid(views: Projections) -> Grid:
    """Return the grid `myoperf.recon.reconstruct` puts views on: plane 0 nearest the head."""
    rows, columns = views.array.shape[-2:]
    grid = Grid.centred((rows, columns, columns), views.pixel_mm[1], views.axis_lps_mm)
    affine = grid.lps_from_index.copy()
    affine[2, 3] += (rows - 1) * affine[2, 0]
    affine[2, 0] *= -1
    return Grid(grid.shape, affine)
