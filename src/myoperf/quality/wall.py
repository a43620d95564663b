"""Whether a gated ventricle is one whose function can be measured well."""

from myoperf.types import Finding, FunctionResult

_SMALL_ML = 60.0
"""Below this end-diastolic volume errors of the ejection fraction double (docs/independent-hearts.md)."""
_POOR_FIT_MM = 0.3
"""Residual above which the model wall did not settle on the image's: its usual one is 0.1 mm."""
_AT_END_MM = (3.05, 19.95)
"""The model of the wall (`myoperf.gated`) stops at 3 and 20 mm: a thickness there was not measured."""


def check_wall(function: FunctionResult) -> tuple[Finding, ...]:
    """Return ``ventricle-small`` and ``wall-fit-poor`` where they apply.

    Both limits are those beyond which phantom hearts that the simulator did not make had large errors.
    """
    findings = []
    if function.edv_ml < _SMALL_ML:
        message = (
            f"The ventricle is small (EDV {function.edv_ml:.0f} ml): blur hides most of its cavity. Its ejection "
            "fraction may be off by 10 points."
        )
        findings.append(Finding("ventricle-small", "warning", message))
    wall = function.wall
    residual = None if wall is None else wall.fit_residual_mm
    if wall is not None and not _AT_END_MM[0] < wall.wall_ed_mm < _AT_END_MM[1]:
        message = (
            f"The wall's thickness could not be measured: the fit stopped at its limit of {wall.wall_ed_mm:.0f} mm. "
            "Volumes, ejection fraction, wall and mass may be wrong by more than their intervals suggest."
        )
        findings.append(Finding("wall-fit-poor", "warning", message))
    elif residual is not None and residual > _POOR_FIT_MM:
        message = (
            f"The model of the moving wall does not fit the image ({residual:.1f} mm remain, usually 0.1): volumes, "
            "ejection fraction, wall and mass may be wrong. Look at the gates."
        )
        findings.append(Finding("wall-fit-poor", "warning", message))
    return tuple(findings)
