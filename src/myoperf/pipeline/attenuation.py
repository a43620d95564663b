"""Attenuation corrected with the CT or the map that came with a study: a further scan beside the uncorrected one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from myoperf.errors import InputError, MyoPerfError
from myoperf.io import read_attenuation
from myoperf.io.ct import coarse_ct, read_ct_series
from myoperf.lv import LVFit
from myoperf.lv.labels import cut_at_rim
from myoperf.perfusion import isotope_of
from myoperf.pipeline.options import Models, Options
from myoperf.pipeline.scan import LocatedScan, reconstruct_scan
from myoperf.pipeline.scan_names import CORRECTED
from myoperf.recon import Alignment, align_attenuation, attenuation_per_cm, hounsfield_line
from myoperf.recon.alignment import FARTHEST_MM, moved
from myoperf.recon.attenuation_map import covers, in_per_cm, on_emission_grid, share_in_lung
from myoperf.recon.outline import body_outline
from myoperf.threads import in_threads
from myoperf.types import (
    MYOCARDIUM,
    AttenuationImage,
    Finding,
    Float,
    Float32,
    Projections,
    Scan,
    ScanResult,
    Study,
    Volume,
)

_COARSE_MM = 4.0
"""A CT is averaged to about this: finer than any emission grid, and small in memory."""
_MOST_IN_LUNG = 0.15
"""Share of the heart's wall in lung beyond which map and emission do not belong together."""
_PET_SHIFT_MM = 8.0
"""Shift of a PET's CT that is worth a warning: the alignment's own error is some 5 mm on simulated patients."""


@dataclass(frozen=True, eq=False, kw_only=True)
class _Map:
    """A map in 1/cm where it was measured, and what it is in words; `measured` is None where all of it was."""

    attenuation: Volume
    source: str
    measured: Float32 | None = None


def with_corrected_scans(
    located: Mapping[str, LocatedScan], study: Study, models: Models, options: Options
) -> Mapping[str, LocatedScan]:
    """Add to each raw SPECT scan the same scan corrected for attenuation, named ``NAME-ac``, in the same pose.

    Gates are summed: function is measured on the uncorrected scan. A scan that the camera has corrected already gets
    no second correction. Where a CT or a map cannot be used the scan has a finding that says why. A PET scan is
    only checked against its CT.

    Returns
    -------
    The given scans, some with more findings, then the corrected ones.
    """
    images = _images(study, options)
    if not images:
        return located
    correct = partial(_corrected, images=images, study=study, models=models, options=options)
    outcomes = in_threads(correct, list(located.values()))
    corrected = {one.name: one for _, one in outcomes if one is not None}
    return {one.name: one for one, _ in outcomes} | corrected


def without_repeated_findings(results: Mapping[str, ScanResult]) -> tuple[ScanResult, ...]:
    """Return results in their order; a corrected scan does not repeat the findings of the uncorrected one."""

    def once(result: ScanResult) -> ScanResult:
        other = results.get(result.name.removesuffix(CORRECTED))
        if other is None or other is result:
            return result
        return replace(result, findings=tuple(f for f in result.findings if f not in other.findings))

    return tuple(once(result) for result in results.values())


def _images(study: Study, options: Options) -> tuple[AttenuationImage, ...]:
    if options.attenuation == "none":
        return ()
    return study.attenuation if options.attenuation == "auto" else (options.attenuation,)


def _corrected(
    located: LocatedScan, images: Sequence[AttenuationImage], study: Study, models: Models, options: Options
) -> tuple[LocatedScan, LocatedScan | None]:
    """Return a scan with its findings, and the corrected one; None where there is none."""
    scan, given = located.corrected, options.attenuation not in ("auto", "none")
    raw = isinstance(scan.image, Projections)
    if not (raw or scan.modality == "PT") or _corrected_by_camera(study, scan):
        return located, None
    mine, reason = _images_for(scan, images, study, given=given)
    if not mine:
        return _with_finding(located, _unusable(reason)) if raw and reason else located, None
    try:
        found = _first_usable(mine, located.fit.frame.centre_mm)
        alignment = align_attenuation(found.attenuation, located.summed, located.fit.frame.centre_mm)
        if not raw:
            return _with_finding(located, *_pet_findings(alignment)), None
        return located, _reconstructed(located, found, alignment, models, options)
    except MyoPerfError as error:
        return _with_finding(located, _unusable(str(error))) if raw else located, None


def _corrected_by_camera(study: Study, scan: Scan) -> bool:
    """Whether a SPECT scan is corrected, or the study holds one of its state that is."""
    if scan.modality != "NM":
        return False
    return any(
        one.attenuation_corrected and one.state == scan.state for one in (scan, *study.scans) if one.modality == "NM"
    )


def _images_for(
    scan: Scan, images: Sequence[AttenuationImage], study: Study, *, given: bool
) -> tuple[list[AttenuationImage], str]:
    """Return the images that may correct a scan, the likeliest first; else why there is none, if one was meant."""
    fitting = [one for one in images if given or one.state in (None, scan.state) or scan.state is None]
    if not fitting:
        return [], ""
    isotope = isotope_of(scan.tracer)
    if scan.modality == "NM" and isotope != "Tc-99m":
        return [], f"maps are made for the photons of Tc-99m, and the tracer is {isotope or 'not known'}"
    mine = [one for one in fitting if None in (one.patient_id, study.patient_id) or one.patient_id == study.patient_id]
    if not mine:
        return [], "its files are labelled with another patient"
    frames = [one for one in mine if given or _same_frame(one, scan)]
    if not frames:
        return [], "its frame of reference is another one, so that its place in the emission is not known"

    def likely(one: AttenuationImage) -> tuple[bool, bool, bool]:
        return one.frame_of_reference is not None, one.state is not None, one.kind == "ct"

    return sorted(frames, key=likely, reverse=True), ""


def _same_frame(image: AttenuationImage, scan: Scan) -> bool:
    """Whether image and scan share a coordinate system; where one does not say, as NIfTI cannot, they may."""
    return None in (image.frame_of_reference, scan.frame_of_reference) or (
        image.frame_of_reference == scan.frame_of_reference
    )


def _first_usable(images: Sequence[AttenuationImage], heart_mm: Float) -> _Map:
    """Read images until one can be used, and say which one that is where there are several.

    Raises
    ------
    InputError
        When none can be used, with the reasons.
    """
    reasons: list[str] = []
    for image in images:
        try:
            found = _read(image)
            x, y, z = (float(value) for value in heart_mm)
            if not covers(found.attenuation, (x, y, z)):
                raise InputError("it does not hold the heart")
        except MyoPerfError as error:
            reasons.append(str(error).rstrip("."))
            continue
        return found if len(images) == 1 else replace(found, source=f"{found.source}, {_which(image, images, reasons)}")
    raise InputError("; ".join(dict.fromkeys(reasons)))


def _which(image: AttenuationImage, images: Sequence[AttenuationImage], reasons: Sequence[str]) -> str:
    """Return which of several images was used, and why those before it were not."""
    number = "" if image.series_number is None else f"series {image.series_number}, "
    text = f"{number}one of {len(images)} CTs or maps"
    return f"{text} (others cannot be used: {'; '.join(dict.fromkeys(reasons))})" if reasons else text


def _read(image: AttenuationImage) -> _Map:
    """Read a CT or a map and return it in 1/cm."""
    if image.kind == "map":
        return _Map(attenuation=in_per_cm(read_attenuation(image)), source="an attenuation map")
    series = read_ct_series(image)
    line = hounsfield_line(series.scanner, series.kvp)
    coarse = coarse_ct(series, partial(attenuation_per_cm, line=line), pixel_mm=_COARSE_MM)
    slopes = f"the slopes of {line.scanner}" if line.scanner else "general slopes, as the scanner is not in the table"
    source = f"a CT of {series.shape[0]} slices at {series.kvp:.0f} kV ({slopes})"
    return _Map(attenuation=coarse.converted, source=source, measured=coarse.measured)


def _reconstructed(
    located: LocatedScan, found: _Map, alignment: Alignment, models: Models, options: Options
) -> LocatedScan:
    """Reconstruct a scan with a map, moved where that pays, and label its ventricle in the uncorrected scan's pose."""
    scan = located.corrected
    assert isinstance(scan.image, Projections)
    outline = None if found.measured is None else body_outline(scan.image)
    far = float((alignment.shift_mm**2).sum() ** 0.5)
    better = far >= max(scan.image.pixel_mm) and alignment.likeness_after > alignment.likeness_before
    moves = better and not alignment.at_limit
    shifts = [0.0 * alignment.shift_mm, *([alignment.shift_mm] if moves else [])]
    maps = [
        on_emission_grid(moved(found.attenuation, s), located.summed, measured=found.measured, outline=outline)
        for s in shifts
    ]
    in_lung = [share_in_lung(mu, located.fit.labels, MYOCARDIUM) for mu, _ in maps]
    mu, filled_ml = maps[-1]
    image = replace(scan.image.summed(), attenuation=mu)
    doubts = _doubts(alignment, in_lung[-1])
    findings = [_done(found.source, doubtful=bool(doubts))]
    findings += [_moved(alignment, in_lung)] if moves else []
    findings += [_filled(filled_ml)] if filled_ml > 0 else []
    findings += [_doubt(doubts)] if doubts else []
    corrected = replace(
        scan,
        image=image,
        framing="static",
        frame_duration_ms=None,
        attenuation_corrected=True,
        description=f"{scan.description}, corrected for attenuation",
        findings=tuple(findings),
    )
    images = reconstruct_scan(corrected, options, name=located.name + CORRECTED)
    labels, more = models.segment_lv(images.summed, located.fit.frame)
    rim = located.fit.rim_mm
    labels = labels if rim is None else cut_at_rim(labels, located.fit.frame, rim)
    fit = LVFit(located.fit.frame, labels, located.fit.confidence, more, rim_mm=rim)
    return LocatedScan(**vars(images), fit=fit)


def _with_finding(located: LocatedScan, *findings: Finding) -> LocatedScan:
    scan = located.corrected
    return replace(located, corrected=replace(scan, findings=(*scan.findings, *findings)))


def _done(source: str, *, doubtful: bool) -> Finding:
    message = f"Attenuation was corrected with {source}; its couch was kept, since it attenuates too."
    if not doubtful:
        message += " The corrected scan is scored first where there are normal limits of corrected scans."
    return Finding("attenuation-corrected", "info", message)


def _moved(alignment: Alignment, in_lung: Sequence[float]) -> Finding:
    x, y, z = alignment.shift_mm
    far = float((alignment.shift_mm**2).sum() ** 0.5)
    message = (
        f"The attenuation map lay {far:.0f} mm off the emission and was moved by {x:+.0f} mm to the left, "
        f"{y:+.0f} mm to the back and {z:+.0f} mm to the head. Share of the heart's wall in the map's lung: "
        f"{100 * in_lung[0]:.0f} % before, {100 * in_lung[-1]:.0f} % after. Compare the heart's border with the "
        "lung: remaining misalignment mimics disease."
    )
    return Finding("attenuation-moved", "warning", message)


def _filled(filled_ml: float) -> Finding:
    message = (
        f"The CT cuts off part of the body: {filled_ml:.0f} ml that the emission shows but the CT does not were "
        "filled with soft tissue."
    )
    return Finding("attenuation-truncated", "info", message)


def _doubts(alignment: Alignment, in_lung: float) -> tuple[str, ...]:
    """Return why a map does not fit the heart, as sentences."""
    doubts = []
    if alignment.at_limit:
        doubts.append(
            f"Within {FARTHEST_MM:.0f} mm no place was found where the map fits the emission, as with a CT of another "
            "position or of another patient; it was left where it lay."
        )
    if in_lung > _MOST_IN_LUNG:
        doubts.append(f"{100 * in_lung:.0f} % of the heart's wall lies in the lung of the map.")
    return tuple(doubts)


def _doubt(doubts: Sequence[str]) -> Finding:
    message = f"{' '.join(doubts)} The scan corrected for attenuation is not reliable; use the uncorrected one."
    return Finding("attenuation-doubt", "warning", message)


def _unusable(reason: str) -> Finding:
    message = f"The CT or map that came with the study was not used to correct attenuation: {reason.rstrip('.')}."
    return Finding("attenuation-unusable", "warning", message)


def _pet_findings(alignment: Alignment) -> tuple[Finding, ...]:
    """Return a warning where a PET scan does not lie on the CT that it was corrected with."""
    far = float((alignment.shift_mm**2).sum() ** 0.5)
    if far < _PET_SHIFT_MM or alignment.likeness_after <= alignment.likeness_before:
        return ()
    x, y, z = -alignment.shift_mm
    about = "at least" if alignment.at_limit else "about"
    message = (
        f"The PET image lies {about} {far:.0f} mm off its CT ({x:+.0f} mm to the left, {y:+.0f} mm to the back, "
        f"{z:+.0f} mm to the head): attenuation was corrected with a CT that did not fit, which mimics disease where "
        "the heart lay over lung. Repeat the correction with the CT aligned."
    )
    return (Finding("pet-ct-misregistered", "warning", message),)
