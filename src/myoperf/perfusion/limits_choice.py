"""Which normal limits a scan is scored against: the nearest by tracer, correction, position, camera and sex."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from myoperf.perfusion.cameras import camera_kind
from myoperf.perfusion.normal_limits import NormalLimits
from myoperf.types import Finding, Position, State


def preferred_limits(users: Sequence[NormalLimits], others: Sequence[NormalLimits]) -> tuple[NormalLimits, ...]:
    """Return the limits to choose from: for each state the user's where there are any, else the others.

    Parameters
    ----------
    users
        The user's own, such as `read_limits_folder` returns.
    others
        Used for the states that the user's do not have, such as `shipped_limits`.
    """
    states = {limits.state for limits in users}
    return (*users, *(limits for limits in others if limits.state not in states))


@dataclass(frozen=True, kw_only=True)
class Condition:
    """How a scan was taken and reconstructed, beside its state, tracer and camera.

    Parameters
    ----------
    corrected
        Whether attenuation was corrected; None: as is usual, PET is and SPECT is not.
    position
        How the patient lay; None: supine.
    reconstruction
        As in `LimitsLabel`; None where it is not known.
    """

    corrected: bool | None = None
    position: Position | None = None
    reconstruction: str | None = None


USUAL = Condition()


def choose_limits(
    available: Sequence[NormalLimits],
    *,
    state: State,
    sex: str | None = None,
    tracer: str | None = None,
    camera: str | None = None,
    modality: str | None = None,
    condition: Condition = USUAL,
) -> tuple[NormalLimits | None, tuple[Finding, ...]]:
    """Choose the nearest limits of a state: by tracer first, then correction and position, then camera, then sex.

    Names are compared by what they mean: "Technetium Tc 99m Sestamibi" is Tc-99m, a "Discovery NM 530c" has CZT
    detectors. A tracer of the same kind (single photon or positron) is nearer than one of the other kind. The kind of
    an unknown tracer follows from the modality ("NM", "PT"), and is single photon without one.

    Parameters
    ----------
    available
        To choose from, such as `shipped_limits` or `preferred_limits`.
    state
        ``"stress"`` or ``"rest"``.
    sex, tracer, camera, modality
        Of the scan, as its file names them; None where unknown.
    condition
        Its correction, position and reconstruction; by default the usual ones.

    Returns
    -------
    (limits, findings). Findings report limits of another protocol and simulated ones; None with a warning where there
    are none of the state.

    Examples
    --------
    >>> from myoperf.perfusion import shipped_limits
    >>> limits, findings = choose_limits(shipped_limits(), state="stress", sex="F", tracer="Tc-99m sestamibi")
    >>> limits.state, [finding.code for finding in findings]
    ('stress', ['normal-limits-simulated'])
    """
    of_state = [limits for limits in available if limits.state == state]
    if not of_state:
        return None, (Finding("no-normal-limits", "warning", f"No normal limits are available for {state}."),)
    sex, tracer, camera = sex or None, tracer or None, camera or None

    def fit(limits: NormalLimits) -> tuple[int, ...]:
        return (
            _tracer_agreement(isotope_of(limits.tracer), isotope_of(tracer), modality),
            -len(other_condition(limits, condition, modality)),
            _camera_agreement(limits.camera, camera),
            _agreement(limits.sex, sex),
        )

    best = max(of_state, key=fit)
    agrees = {
        "tracer": best.tracer is None or _agreement(isotope_of(best.tracer), isotope_of(tracer)) == _SAME,
        "camera": best.camera is None or _camera_agreement(best.camera, camera) >= _SAME,
        "sex": best.sex is None or _agreement(best.sex, sex) == _SAME,
        "reconstruction": best.reconstruction in (None, condition.reconstruction),
    }
    off = [name for name, same in agrees.items() if not same]
    findings = []
    if off:
        text = f"No normal limits match the {', '.join(off)} of this {state} scan; the nearest ({best.name}) were used."
        findings.append(Finding("normal-limits-nearest", "warning", text))
    if "simulated" in best.provenance.lower():
        text = f"The normal limits ({best.name}, n = {best.n}) were built from simulated patients."
        findings.append(Finding("normal-limits-simulated", "info", text))
    return best, tuple(findings)


def other_condition(limits: NormalLimits, scan: Condition, modality: str | None = None) -> tuple[str, ...]:
    """Return in what the patients of limits differ from a scan, as words on the scan; empty where in nothing.

    Examples
    --------
    >>> from myoperf.perfusion import shipped_limits
    >>> supine = next(one for one in shipped_limits() if one.tracer == "Tc-99m")
    >>> other_condition(supine, Condition(position="prone")), other_condition(supine, Condition())
    (('prone',), ())
    """
    usual = modality == "PT" or _KINDS.get(isotope_of(limits.tracer) or "") == "PET"
    held, wanted = (usual if corrected is None else corrected for corrected in (limits.corrected, scan.corrected))
    differs: list[str] = (
        [] if (scan.position or "supine") == (limits.position or "supine") else [scan.position or "supine"]
    )
    if held != wanted:
        differs.append("corrected for attenuation" if wanted else "not corrected for attenuation")
    return tuple(differs)


def isotope_of(tracer: str | None) -> str | None:
    """Reduce a tracer to its isotope, however it is spelt; an unknown name stays as it is.

    Examples
    --------
    >>> isotope_of("Technetium Tc 99m Sestamibi"), isotope_of("13N ammonia"), isotope_of("xyz")
    ('Tc-99m', 'N-13', 'xyz')
    """
    if tracer is None:
        return None
    letters = "".join(c for c in tracer.lower() if c.isalnum())
    return next((isotope for isotope, mark in _ISOTOPES.items() if re.search(mark, letters)), tracer)


_ISOTOPES = {
    "Tc-99m": r"99m|99tc|tc99|technetium|mibi|sestamibi|tetrofosmin|cardiolite|myoview|teboroxime",
    "Tl-201": r"thall|tl201|201tl",
    "Rb-82": r"rubid|rb82|82rb|cardiogen|ruby",
    "N-13": r"ammonia|n13|13n|nh3",
    "F-18": r"flurpiridaz|fluor|fludeoxy|fdg|f18|18f",
}
"""Isotope -> what its tracers are called, letters and digits alone."""

_KINDS = {"Tc-99m": "single photon", "Tl-201": "single photon", "Rb-82": "PET", "N-13": "PET", "F-18": "PET"}


def detector_of(camera: str | None) -> str | None:
    """Reduce a camera with solid-state detectors that are focused on the heart to "CZT"; others keep their name.

    Examples
    --------
    >>> detector_of("Discovery NM 530c"), detector_of("UFC"), detector_of("Infinia")
    ('CZT', 'CZT', 'Infinia')
    """
    return "CZT" if camera_kind(camera) == "CZT" else camera


def _camera_agreement(held: str | None, wanted: str | None) -> int:
    """Score 3 for the same model, 2 for the same kind of camera, 1 for limits of any, 0 for another or an unknown."""
    if held is None:
        return 1
    if wanted is None:
        return 0
    if _agreement(held, wanted):
        return 3
    kind = camera_kind(wanted)
    return 2 if kind is not None and kind in (held, camera_kind(held)) else 0


def _tracer_agreement(held: str | None, wanted: str | None, modality: str | None) -> int:
    """Score 3 for the same tracer, 2 for limits of any, 1 for one of the same kind, 0 for another."""
    same = _agreement(held, wanted)
    if same:
        return same + 1
    kind = _KINDS.get(wanted or "", "PET" if modality == "PT" else "single photon")
    return int(_KINDS.get(held or "") == kind)


def _agreement(held: str | None, wanted: str | None) -> int:
    """Score 2 for the same, 1 for limits that hold for any, 0 for another or an unknown."""
    if held is None:
        return 1
    if wanted is None:
        return 0
    same = held.lower() in wanted.lower() or wanted.lower() in held.lower()
    return _SAME if same else 0


_SAME = 2
"""Of `_agreement`: the same. A camera of the same kind counts as the same, one of the same model as more."""
