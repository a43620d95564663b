"""Findings about images and the left ventricle in them."""

from collections.abc import Mapping

from myoperf.types.finding_kinds.kind import FindingKind

COUNTS: Mapping[str, FindingKind] = {
    "body-truncated": FindingKind(
        ("info",),
        "Raw views: the body extends beyond the side of the field of view.",
        "Attenuation correction of such data is wrong at the edge; the heart itself may be complete.",
    ),
    "gating-error": FindingKind(
        ("warning",),
        "Gated: one gate has far more or fewer counts than the others, from irregular beats or faulty gating. If "
        "only the last gates lack counts, the message gives the spread of beat lengths that would explain it.",
        "Look at the gates before relying on volumes, ejection fraction or phase.",
    ),
    "heart-truncated": FindingKind(
        ("warning",),
        "Raw views: the heart reaches the edge of the field of view.",
        "Defects near that edge may be artefacts; repeat the acquisition if possible.",
    ),
    "hot-gut": FindingKind(
        ("info", "warning"),
        "Activity of liver, stomach or bowel lies next to the inferior wall. Warning: it is at least as intense as "
        "the wall.",
        "It can hide an inferior defect and simulate a defect elsewhere: look at the slices, consider a late image.",
    ),
    "low-counts": FindingKind(
        ("info", "warning"),
        "Raw views: the heart has few counts. Warning: it has very few.",
        "Noise may look like disease, and every interval is wider. Check dose, time and uptake.",
    ),
    "motion-corrected": FindingKind(
        ("info", "warning"),
        "The patient moved along the body; raw views were shifted back before reconstruction, because they then "
        "agree better with the image. Warning: some motion could not be undone.",
        "All results come from the corrected views; compare with `--motion off`.",
    ),
    "patient-motion": FindingKind(
        ("warning",),
        "Raw views: the patient appears to have moved, and the views were left as they are.",
        "Motion mimics disease. Look at the views; correct them or repeat the scan.",
    ),
    "view-counts": FindingKind(
        ("warning",),
        "Raw views: some views have too many or too few counts, from rejected beats or a camera fault.",
        "Look for streaks in the reconstruction.",
    ),
}
VENTRICLE: Mapping[str, FindingKind] = {
    "lv-network-missing": FindingKind(
        ("warning",),
        "The network's weights are not installed; the ventricle was located by the classical method, which fails "
        "more often.",
        "Install MyoPerf again; check pose and contours until then.",
    ),
    "anterior-turned": FindingKind(
        ("info",),
        "The right ventricle's insertions put the anterior wall unusually far from the direction to the head.",
        "Check the names of the walls on the short-axis slices.",
    ),
    "anterior-unseen": FindingKind(
        ("info",),
        "The images do not show where the right ventricle joins the left; the anterior wall was assumed in its "
        "average position.",
        "Segments may be rotated by some 10 degrees; check their borders if a defect ends at one.",
    ),
    "attenuation-pattern": FindingKind(
        ("info",),
        "SPECT without correction: the inferior wall has 50 to 80 % of the anterior wall's counts, or the reverse, "
        "from attenuation or disease.",
        "Compare with the other state, and with a prone or corrected scan if there is one; look at wall motion.",
    ),
    "check-orientation": FindingKind(
        ("warning",),
        "Repeated passes of the network disagree on the ventricle's pose or contours, or it is uncertain where the "
        "wall ends; the message says which.",
        "Check the axis and contours; give the pose with `--frame` if they are wrong.",
    ),
    "frame-from-other-scan": FindingKind(
        ("warning",),
        "As `check-orientation`, but the patient's other scan was clear: its pose was transferred by rigid "
        "registration.",
        "Check the contours.",
    ),
    "frame-given": FindingKind(
        ("info",),
        "The operator gave the pose; it was not estimated.",
        "Nothing.",
    ),
    "limits-given": FindingKind(
        ("info",),
        "The operator moved the limits of the wall; polar map, perfusion and the labels of wall and cavity follow. "
        "The surfaces of the gates, and with them volumes and ejection fraction, are still fitted to the images.",
        "Nothing.",
    ),
    "gate-labels-failed": FindingKind(
        ("warning",),
        "The gates could not be labelled one by one. Volumes and ejection fraction do not depend on these labels.",
        "Nothing, unless you need the labels of every gate.",
    ),
    "lv-at-edge": FindingKind(
        ("warning",),
        "The ventricle reaches the edge of the volume; part of it may be missing.",
        "Reconstruct or export a larger field.",
    ),
    "lv-classical": FindingKind(
        ("warning",),
        "The network found no ventricle; the classical method was used.",
        "Check the contours: the image is unusual in some way.",
    ),
    "lv-extracardiac-activity": FindingKind(
        ("warning",),
        "Activity as intense as the wall lies next to it.",
        "Check the contours there; the wall's counts may be raised.",
    ),
    "lv-open-wall": FindingKind(
        ("warning",),
        "No wall is visible over part of the ventricle, as in a large defect; the contours are interpolated there.",
        "Check them: volumes depend on them.",
    ),
    "lv-uncertain": FindingKind(
        ("warning",),
        "The classical method located the ventricle with low confidence; the message says why.",
        "Check pose and contours.",
    ),
    "orientation-implausible": FindingKind(
        ("failure",),
        "Heart and body contradict the volume's axes, as the message explains: the file's orientation is wrong, or "
        "the organs are mirrored (situs inversus, dextrocardia). Scores, function and diagnosis are withheld; "
        "segments, volumes and pictures are shown as measured.",
        "Compare with another reconstruction or with the acquisition protocol. If the orientation is right, give the"
        " pose with `--frame`; everything is then measured.",
    ),
    "orientation-doubt": FindingKind(
        ("warning",),
        "The axis points in an unusual direction, the anterior wall faces back or down, the right ventricle lies on "
        "the wrong side, or shape and body may contradict the volume's axes: a wrong pose, a mirrored volume or "
        "unusual anatomy.",
        "Check that the volume is not mirrored, then the pose. If either is wrong, so are the territories.",
    ),
    "pose-implausible": FindingKind(
        ("failure",),
        "The pose cannot be that of a ventricle: a labelled cavity of less than 3 or more than 700 ml, no wall that "
        "stands out, or an apex that clearly lies elsewhere. Scores, function and diagnosis are withheld.",
        "Check volume and contours; give the pose with `--frame`.",
    ),
    "ventricles-differ": FindingKind(
        ("warning",),
        "The length of the ventricle differs between stress and rest by more than is possible in one heart.",
        "One of the two contours is probably wrong: check both. The scans were not compared: no SDS, ischaemic TPD "
        "or TID ratio.",
    ),
    "wall-incomplete": FindingKind(
        ("warning",),
        "Part of the wall has no label; the polar map is interpolated there.",
        "Check the contours there.",
    ),
    "wall-outside-volume": FindingKind(
        ("warning",),
        "Part of the wall lies outside the volume; the nearest counts were used.",
        "Do not read a defect there.",
    ),
}
