"""Findings about the numbers: perfusion, diagnosis, function, synchrony, blood flow."""

from collections.abc import Mapping

from myoperf.types.finding_kinds.kind import FindingKind

PERFUSION: Mapping[str, FindingKind] = {
    "classifier-missing": FindingKind(
        ("warning",),
        "The classifier's weights are not installed; no probability of disease was estimated.",
        "Install MyoPerf again, or choose `--no-diagnosis`.",
    ),
    "cutoffs-published": FindingKind(
        ("info",),
        "The normal limits have no cut-offs from their own normal patients; published cut-offs of other programs "
        "decide what is abnormal.",
        "Rebuild the limits with `myoperf normals build`, which adds cut-offs from 20 patients on.",
    ),
    "diagnosis-doubt": FindingKind(
        ("info",),
        "The classifier gives no diagnosis, because this study is unlike those it was trained on; the message says "
        "why.",
        "Read the maps without it.",
    ),
    "diagnosis-simulated": FindingKind(
        ("info",),
        "The classifier was trained on simulated patients.",
        "Do not use its probability for a patient.",
    ),
    "model-contradicts": FindingKind(
        ("warning",),
        "The research model changes the odds of disease at least threefold, against the verdict.",
        "Read the images; neither the model nor the verdict is known to be right.",
    ),
    "no-known-state": FindingKind(
        ("warning",),
        "None of the scans that could be scored is known to be stress or rest, so nothing was scored.",
        "Set the state with `--state`.",
    ),
    "no-normal-limits": FindingKind(
        ("warning",),
        "There are no normal limits for this state.",
        "Provide your own with `--limits`.",
    ),
    "normal-limits-nearest": FindingKind(
        ("warning",),
        "No normal limits match the tracer, camera or sex; the nearest were used.",
        "Read TPD and scores with caution; build your own limits with `myoperf normals build`.",
    ),
    "normal-limits-simulated": FindingKind(
        ("info",),
        "The normal limits were built from simulated patients.",
        "Build limits from your own normal patients before relying on scores.",
    ),
    "rest-turned": FindingKind(
        ("info",),
        "For scoring, the rest map was rotated about the long axis to match stress.",
        "Nothing if the angle is small; a large one means that one of the poses is wrong.",
    ),
    "scores-without-limits": FindingKind(
        ("warning",),
        "Segments were scored by their uptake relative to the maximum, without normal limits.",
        "Read the scores with caution.",
    ),
}
FUNCTION: Mapping[str, FindingKind] = {
    "function-failed": FindingKind(
        ("warning",),
        "Volumes and ejection fraction could not be measured; the message says why.",
        "Look at the gates.",
    ),
    "beats-rejected": FindingKind(
        ("info", "warning"),
        "Gated: the camera rejected 5 % of the beats or more. Warning: 20 % or more.",
        "Check the rhythm; the gates hold fewer counts, and the numbers describe the accepted beats only.",
    ),
    "phase-disagrees": FindingKind(
        ("warning",),
        "Wall thickening and wall motion give different phases of contraction.",
        "Check the gated slices; do not rely on either alone.",
    ),
    "phase-unreliable": FindingKind(
        ("warning",),
        "There is too much noise, there are too few gates, or the gates show no beat, so that phase cannot be "
        "measured: its SD, bandwidth and entropy are not given.",
        "Do not judge synchrony from this scan; the message says what is missing.",
    ),
    "rr-window-wide": FindingKind(
        ("info",),
        "Gated: the lengths of accepted beats differ by 60 % of the mean beat or more.",
        "If the rhythm was irregular, do not rely on filling rates and phase.",
    ),
    "ventricle-small": FindingKind(
        ("warning",),
        "Gated: the end-diastolic volume is below 60 ml, where blur hides most of the cavity; errors of the ejection"
        " fraction are twice as large there (docs/independent-hearts.md).",
        "Treat volumes and ejection fraction as rough estimates; compare with echocardiography.",
    ),
    "volume-curve-odd": FindingKind(
        ("warning",),
        "Gated: the volume curve does not fit a heartbeat: it is fullest away from the R wave, smallest late in the "
        "beat, empties twice, lies far from the volumes of the gates, or shows no beat.",
        "Look at the gates as a cine loop before relying on volumes, ejection fraction, filling or phase.",
    ),
    "wall-fit-poor": FindingKind(
        ("warning",),
        "Gated: the model of the moving wall does not settle on the wall in the image, or the fitted thickness "
        "reached a limit of the model (3 or 20 mm).",
        "Look at the gates before relying on volumes, ejection fraction, wall thickness or mass.",
    ),
}
FLOW: Mapping[str, FindingKind] = {
    "flow-failed": FindingKind(
        ("warning",),
        "Flow could not be measured, for the reason in the message, such as time frames that overlap.",
        "Follow the message.",
    ),
    "flow-fit-poor": FindingKind(
        ("warning",),
        "The model does not follow the measured curves in several segments.",
        "Look for motion between time frames and for noise.",
    ),
    "flow-no-input": FindingKind(
        ("warning",),
        "The blood curve has no usable peak, or every segment is mostly blood.",
        "The first frames may be missing or the ventricle misplaced: check both.",
    ),
    "flow-no-times": FindingKind(
        ("warning",),
        "The files do not state the start and duration of every time frame.",
        "Export the series as DICOM with its times.",
    ),
    "flow-segments-blood": FindingKind(
        ("warning",),
        "Some segments are mostly blood; no flow is given for them.",
        "Check the contours.",
    ),
    "flow-series-doubtful": FindingKind(
        ("warning",),
        "The series is unreliable: see `decay-doubtful` and `time-frames-missing`.",
        "Follow the advice given there.",
    ),
    "flow-too-few-frames": FindingKind(
        ("warning",),
        "There are too few time frames to fit the model.",
        "Use list mode or a dynamic protocol with more frames.",
    ),
    "flow-tracer-unknown": FindingKind(
        ("warning",),
        "The tracer is neither N-13 ammonia nor Rb-82, or is not named.",
        "No model of this tracer is built in.",
    ),
    "late-frames-summed": FindingKind(
        ("info",),
        "The ventricle was located on the late time frames, which the message names.",
        "Nothing.",
    ),
}
