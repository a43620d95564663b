"""What ``--dry-run`` says: what was read, what belongs together, what would be done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from myoperf.text import printable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from myoperf.types import AttenuationImage, Scan, Study


def describe_studies(studies: Sequence[Study], folders: Sequence[Path]) -> list[str]:
    """Return lines on every study: its folder of results, its scans, attenuation images and findings."""
    return [line for study, folder in zip(studies, folders, strict=True) for line in _study(study, folder)]


def _study(study: Study, folder: Path) -> list[str]:
    from myoperf.pipeline import scan_names

    names = scan_names(study.scans)
    scored = [next((n for n, s in zip(names, study.scans, strict=True) if s.state == state), "") for state in _STATES]
    lines = []
    for name, scan in zip(names, study.scans, strict=True):
        use = "scored" if name in scored else "state unknown, not scored" if scan.state is None else "scored on its own"
        lines.append(f"{name}: {_scan(scan)}; {use}")
    lines += [_attenuation(image) for image in study.attenuation]
    findings = dict.fromkeys([*study.findings, *(f for scan in study.scans for f in scan.findings)])
    lines += [f"{finding.severity} {finding.code}: {finding.message}" for finding in findings]
    return [printable(f"{study.name}: to {folder}"), *(f"  {printable(line)}" for line in lines)]


_STATES = ("stress", "rest")


def _scan(scan: Scan) -> str:
    """Describe a scan: what it is, how it was acquired, where it comes from."""
    parts = [scan.description or scan.framing]
    if scan.position:
        parts.append(scan.position)
    parts.append("corrected for attenuation" if scan.attenuation_corrected else "not corrected for attenuation")
    if scan.stressors:
        parts.append(f"stress by {' and '.join(scan.stressors)}")
    parts += [text for text in (scan.tracer, scan.camera) if text]
    if scan.series_number is not None:
        parts.append(f"series {scan.series_number}")
    first, *others = scan.source
    parts.append(f"{first} and {len(others)} more files" if others else first)
    return ", ".join(parts)


def _attenuation(image: AttenuationImage) -> str:
    """Describe a CT or an attenuation map."""
    what = f"CT of {len(image.files)} slices" if image.kind == "ct" else "attenuation map"
    series = "" if image.series_number is None else f", series {image.series_number}"
    return f"{what}{series}, {image.files[0].name}"
