"""Findings about files and about which scan is which."""

from collections.abc import Mapping

from myoperf.types.finding_kinds.kind import FindingKind

FILE: Mapping[str, FindingKind] = {
    "collimator-assumed": FindingKind(
        ("info",),
        "Raw views: the file does not give the type of collimator; parallel holes were assumed.",
        "If another collimator was used, take the camera's own reconstruction.",
    ),
    "collimator-conflict": FindingKind(
        ("warning",),
        "Raw views: the file states parallel holes and a focal distance, which parallel holes do not have; parallel "
        "holes were assumed.",
        "Check the collimator; if it focuses, take the camera's own reconstruction.",
    ),
    "counts-stretched": FindingKind(
        ("info",),
        "The workstation stretched the volume so that its maximum is 32767: its values are no longer counts, and "
        "stress and rest have no common scale.",
        "Prefer the original reconstruction or the raw views. Relative uptake is still right.",
    ),
    "decay-doubtful": FindingKind(
        ("warning",),
        "Dynamic PET: the file does not say how far its time frames were corrected for decay, or contradicts itself.",
        "Flow is not measured; export the series again with decay correction stated.",
    ),
    "detector-orientation": FindingKind(
        ("warning",),
        "Raw views: the orientation of a detector contradicts its start angle. The start angle was used.",
        "Check that left and right are not swapped; see `orientation-doubt`.",
    ),
    "dicom-not-made": FindingKind(
        ("warning",),
        "A DICOM result (SEG, SR or PDF) could not be made or written; the message names it and the cause. The rest "
        "of the report is complete.",
        "Use the other files; report the cause, which the message names.",
    ),
    "dicom-values": FindingKind(
        ("info", "warning"),
        "Values in the file break DICOM's rules: identifiers that are too long or malformed, a sex other than M, F or"
        " O, control characters. They stand in valid form, or empty, in the DICOM results. Warning: the patient's "
        "name or ID or the study's UID is among them.",
        "With the warning, match the results to the patient by hand before they are stored in an archive.",
    ),
    "energy-windows": FindingKind(
        ("info", "warning"),
        "The file has several energy windows. Info: the window with the photopeak was used. Warning: none is known to"
        " hold it, and the one with the most counts was used.",
        "With the warning, check that emission, not scatter, was used.",
    ),
    "frames-converted": FindingKind(
        ("info",),
        "Dynamic PET: time frames were divided by their duration or corrected for decay, as their headers require.",
        "Nothing.",
    ),
    "framing-assumed": FindingKind(
        ("warning",),
        "A NIfTI file has several frames and does not say what they are; they were read as cardiac gates.",
        "If they are time frames of dynamic PET, write `dynamic` into the file's name.",
    ),
    "gate-duration-missing": FindingKind(
        ("info",),
        "Gated: the file does not give the duration of a gate.",
        "The filling rates and the time to peak filling are not reported.",
    ),
    "gated-single": FindingKind(
        ("info",),
        "The file is marked as gated or states several time slots, but holds one frame; it was read as static.",
        "For volumes and ejection fraction, export the gates.",
    ),
    "gates-geometry-differs": FindingKind(
        ("warning",),
        "The gates came as files of their own and differ in position, orientation or spacing; those of the first were"
        " used.",
        "Look at the gates as a film: the heart must not jump.",
    ),
    "no-radius": FindingKind(
        ("info",),
        "Raw views: the radius of the orbit is missing or impossible, so the collimator's blur is not modelled.",
        "Expect a lower resolution; see [reconstruction](reconstruction.md).",
    ),
    "oblique-planes": FindingKind(
        ("info",),
        "The planes are oblique to the patient, so the volume was read as short axis.",
        "If the patient simply lay turned, check the pose.",
    ),
    "orientation-nominal": FindingKind(
        ("warning",),
        "Short-axis slices without the patient's orientation: planes are assumed to run from apex to base, rows from "
        "anterior to inferior, columns from septal to lateral.",
        "Check on the report's slices that the septum and the apex are where they are labelled.",
    ),
    "pet-uncorrected": FindingKind(
        ("warning",),
        "The PET series is not marked as corrected for attenuation.",
        "Export the corrected series.",
    ),
    "position-missing": FindingKind(
        ("warning",),
        "The file gives no position; the volume's centre was placed at the origin.",
        "Positions in mm cannot be compared with those of other files.",
    ),
    "rotation-centre-moved": FindingKind(
        ("warning",),
        "Raw views: the file states that the centre of rotation lies off the detector's middle, and it was moved by "
        "that much.",
        "Look for blur or rings in the reconstruction: a camera may have corrected its views already.",
    ),
    "rr-windows": FindingKind(
        ("info",),
        "The file holds several windows of R-R intervals (normal and rejected beats); the one with the most counts "
        "was used.",
        "Nothing, unless its share of the counts is low: then the rhythm was irregular.",
    ),
    "short-arc": FindingKind(
        ("warning",),
        "Raw views: they cover less than 175 degrees.",
        "Do not read the volume as usual: a short arc distorts it.",
    ),
    "slice-direction": FindingKind(
        ("warning",),
        "Short-axis slices: Slice Progression Direction contradicts the position and orientation, which were used.",
        "Check on the report's slices that the apex is where it is labelled.",
    ),
    "slice-step": FindingKind(
        ("warning",),
        "Spacing Between Slices is missing; the slice thickness was used instead.",
        "Check the length of the ventricle: slices that overlap or leave gaps scale it and all volumes.",
    ),
    "time-slots-in-order": FindingKind(
        ("warning",),
        "Gated: Time Slot Vector is missing; the slots were taken in the order of the frames, which their number fits.",
        "Look at the gates as a film: the ventricle must contract and fill once.",
    ),
    "spect-stored-as-pet": FindingKind(
        ("info",),
        "The series is stored as PET, but by its radionuclide or its description it is SPECT; it was scored as such.",
        "Nothing.",
    ),
    "time-frames-missing": FindingKind(
        ("warning",),
        "Dynamic PET: the series has fewer or more time frames than its header announces.",
        "Flow is not measured; send the whole series.",
    ),
}
WHICH_SCAN: Mapping[str, FindingKind] = {
    "attenuation-corrected": FindingKind(
        ("info",),
        "The scan was corrected for attenuation with a CT or a map; the message says which, and how it was converted.",
        "Compare it with the uncorrected scan.",
    ),
    "attenuation-doubt": FindingKind(
        ("warning",),
        "Much of the heart's wall lies in the lung of the map, also after it was aligned.",
        "Do not use the corrected scan; repeat CT or alignment.",
    ),
    "attenuation-images": FindingKind(
        ("info",),
        "A CT or attenuation maps came with the scans.",
        "Nothing; raw SPECT views are corrected with them (`--attenuation`).",
    ),
    "attenuation-moved": FindingKind(
        ("warning",),
        "The map lay a pixel or more off the emission and was moved; the message gives the shift.",
        "Check heart against lung border in map and image: what is left mimics disease.",
    ),
    "attenuation-truncated": FindingKind(
        ("info",),
        "The CT cuts off part of the body, which was taken as soft tissue where the emission shows it.",
        "Nothing, where it is little; arms should be raised.",
    ),
    "attenuation-unusable": FindingKind(
        ("warning",),
        "A CT or a map came with the study and was not used; the message says why (contrast, missing slices, "
        "tilted gantry, other frame of reference or patient, heart not covered ...).",
        "The scan is uncorrected. Send the CT that was taken for attenuation correction, whole.",
    ),
    "correction-conflict": FindingKind(
        ("warning",),
        "The series' name and the file's attributes contradict each other on attenuation correction; the attributes "
        "were used.",
        "Check which is right: it decides which scan is scored.",
    ),
    "defect-gone": FindingKind(
        ("warning",),
        "A defect of the inferior or anterior wall of the scored scan is not there in the prone or the corrected one.",
        "Attenuation is the likely cause: read both scans before calling it disease.",
    ),
    "defect-stays": FindingKind(
        ("info",),
        "A defect of the inferior or anterior wall is there in the prone or the corrected scan too.",
        "Attenuation is an unlikely cause.",
    ),
    "instance-uid-repeated": FindingKind(
        ("warning",),
        "Different images have the same SOP Instance UID (some de-identifiers do that); all of them were read.",
        "Check that no image is missing; DICOM results cannot refer to such images without doubt.",
    ),
    "limits-other-condition": FindingKind(
        ("warning",),
        "The scored scan is prone or corrected for attenuation, the normal limits are of supine, uncorrected scans.",
        "Inferior defects may be underestimated and anterior ones overestimated: read the images.",
    ),
    "pet-ct-misregistered": FindingKind(
        ("warning",),
        "The PET image lies off the CT that it was corrected with.",
        "Correct it again with the CT aligned; a defect where the heart lay over lung is likely an artefact.",
    ),
    "prone": FindingKind(
        ("info",),
        "The patient lay prone.",
        "Compare with the supine scan; the shipped normal limits are of supine patients.",
    ),
    "scan-choice": FindingKind(
        ("info",),
        "There are several scans of a state: the message says which was scored, and why; the others have scores of "
        "their own.",
        "Look at the others; `--series` scores another.",
    ),
    "scan-failed": FindingKind(
        ("failure",),
        "A scan could not be analysed; the message says at which step and why. The rest of the study was.",
        "Follow the message; scores that need this scan are missing.",
    ),
    "scans-set-aside": FindingKind(
        ("info",),
        "Series that repeat another one (its reconstruction, its short axis, its sum over the gates) were not "
        "analysed; the message says which was used.",
        "If another should be used, choose it with `--series`.",
    ),
    "scans-unlike": FindingKind(
        ("warning",),
        "Stress and rest differ in position or in attenuation correction.",
        "Do not read a difference between them as ischaemia; choose a like pair with `--series`.",
    ),
    "sex-given": FindingKind(
        ("info",),
        "The patient's sex was given by the user, not by the file.",
        "Nothing.",
    ),
    "state-conflict": FindingKind(
        ("warning",),
        "The coded state and the series' description contradict each other; the code was used.",
        "Check which is right; give the state with `--state`.",
    ),
    "state-from-study": FindingKind(
        ("warning",),
        "Only the description of the whole study says stress or rest.",
        "Check it: a description often covers both scans.",
    ),
    "state-given": FindingKind(
        ("info",),
        "The state was given by the user, not by the file.",
        "Nothing.",
    ),
    "state-overridden": FindingKind(
        ("warning",),
        "The user gave a state that contradicts the file.",
        "Check which is right.",
    ),
    "state-unknown": FindingKind(
        ("warning",),
        "The file does not say whether this is stress or rest. Nothing that depends on it was scored.",
        "Give it with `--state`.",
    ),
    "studies-apart": FindingKind(
        ("info",),
        "Another study of the same patient was read and analysed apart; the message says why.",
        "If they belong together, check states, tracers and dates in the files.",
    ),
    "studies-paired": FindingKind(
        ("info",),
        "Stress and rest are two studies of the same patient, at most 30 days apart, and were read as one.",
        "Check that they are of one question.",
    ),
}
