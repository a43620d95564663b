"""Findings about files and about which scan is which."""

from collections.abc import Mapping

from myoperf.types.finding_kinds.kind import FindingKind

FILE: Mapping[str, FindingKind] = {
    "affines-differ": FindingKind(
        ("warning",),
        "NIfTI: the file's two affines, sform and qform, put the volume in different places; sform was used.",
        "Check that left and right, and stress and rest, agree with the pictures; convert the study again.",
    ),
    "character-set": FindingKind(
        ("info",),
        "The scan's name has letters beyond ASCII, but the file states no character set for them.",
        "Check state, position and correction; set the state with `--state`.",
    ),
    "collimator-assumed": FindingKind(
        ("info",),
        "Raw views: the file does not give the type of collimator; parallel holes were assumed.",
        "If it was another collimator, use the camera's own reconstruction.",
    ),
    "collimator-conflict": FindingKind(
        ("warning",),
        "Raw views: the file states parallel holes but also a focal distance, which parallel holes do not have; "
        "parallel holes were assumed.",
        "Check the collimator; if it is a focusing one, use the camera's own reconstruction.",
    ),
    "counts-stretched": FindingKind(
        ("info",),
        "The workstation scaled the volume to a maximum of 32767: its values are no longer counts, and stress and "
        "rest have no common scale.",
        "Prefer the original reconstruction or the raw views. Relative uptake remains valid.",
    ),
    "decay-doubtful": FindingKind(
        ("warning",),
        "Dynamic PET: the file does not state how its time frames were corrected for decay, or contradicts itself.",
        "Flow was not measured; export the series again with the decay correction stated.",
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
        "Use the other files, and report the cause that the message names.",
    ),
    "dicom-values": FindingKind(
        ("info", "warning"),
        "Values in the file break DICOM's rules: identifiers that are too long or malformed, a sex other than M, F "
        "or O, control characters. The DICOM results hold them in valid form or leave them empty. Warning: the "
        "patient's name or ID or the study's UID is among them.",
        "After the warning, match the results to the patient by hand before archiving them.",
    ),
    "energy-windows": FindingKind(
        ("info", "warning"),
        "The file has several energy windows. Info: the window with the photopeak was used. Warning: none is known "
        "to hold it, and the one with the most counts was used.",
        "After the warning, check that the window holds emission and not scatter.",
    ),
    "frames-converted": FindingKind(
        ("info",),
        "Dynamic PET: time frames were divided by their duration or corrected for decay, as their headers require.",
        "Nothing.",
    ),
    "framing-assumed": FindingKind(
        ("warning",),
        "A NIfTI file has several frames but does not state what they are; they were read as cardiac gates.",
        "If they are time frames of dynamic PET, write `dynamic` into the file's name.",
    ),
    "gate-duration-missing": FindingKind(
        ("info",),
        "Gated: the file does not give the duration of a gate.",
        "Filling rates and time to peak filling are not reported.",
    ),
    "gated-single": FindingKind(
        ("info",),
        "The file is marked as gated or states several time slots, but holds a single frame; it was read as static.",
        "For volumes and ejection fraction, export the gates.",
    ),
    "gates-geometry-differs": FindingKind(
        ("warning",),
        "The gates are separate files that differ in position, orientation or spacing; those of the first were used.",
        "Look at the gates as a cine loop: the heart must not jump.",
    ),
    "no-radius": FindingKind(
        ("info",),
        "Raw views: the radius of the orbit is missing or impossible, so the collimator's blur is not modelled.",
        "Expect a lower resolution; see [reconstruction](reconstruction.md).",
    ),
    "oblique-planes": FindingKind(
        ("info",),
        "The planes are oblique to the patient, so the volume was read as short axis.",
        "If the patient merely lay rotated, check the pose.",
    ),
    "orientation-nominal": FindingKind(
        ("warning",),
        "Short-axis slices without the patient's orientation: planes are assumed to run from apex to base, rows from"
        " anterior to inferior, and columns from septal to lateral.",
        "Check on the report's slices that septum and apex are where they are labelled.",
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
        "Raw views: the file states a centre of rotation away from the middle of the detector, and the views were "
        "shifted by that amount.",
        "Look for blur or rings in the reconstruction: the camera may already have corrected its views.",
    ),
    "rr-windows": FindingKind(
        ("info",),
        "The file holds several windows of R-R intervals (normal and rejected beats); the one with the most counts "
        "was used.",
        "Nothing, unless its share of the counts is low: the rhythm was then irregular.",
    ),
    "short-arc": FindingKind(
        ("warning",),
        "Raw views: they cover less than 175 degrees.",
        "A short arc distorts the volume; read it with caution.",
    ),
    "slice-direction": FindingKind(
        ("warning",),
        "Short-axis slices: Slice Progression Direction contradicts the position and orientation, which were used.",
        "Check on the report's slices that the apex is where it is labelled.",
    ),
    "slices-missing": FindingKind(
        ("warning",),
        "The image has fewer slices than its file states: part of the heart may be missing.",
        "Copy or export the whole series again.",
    ),
    "slice-step": FindingKind(
        ("warning",),
        "Spacing Between Slices is missing; the slice thickness was used instead.",
        "Check the length of the ventricle: if slices overlap or leave gaps, it and all volumes are wrong in "
        "proportion.",
    ),
    "time-slots-in-order": FindingKind(
        ("warning",),
        "Gated: Time Slot Vector is missing; the slots were taken in the order of the frames, whose number fits.",
        "Look at the gates as a cine loop: the ventricle must contract and fill once.",
    ),
    "spect-stored-as-pet": FindingKind(
        ("info",),
        "The series is stored as PET, but by its radionuclide or its description it is SPECT; it was scored as such.",
        "Nothing.",
    ),
    "time-frames-missing": FindingKind(
        ("warning",),
        "Dynamic PET: the series has fewer or more time frames than its header announces, or a gap between two "
        "that would hold one more.",
        "Flow was not measured; send the complete series.",
    ),
}
WHICH_SCAN: Mapping[str, FindingKind] = {
    "attenuation-corrected": FindingKind(
        ("info",),
        "The scan was corrected for attenuation with a CT or a map; the message says which and how it was converted.",
        "It is scored first if there are normal limits of corrected scans and no doubt of the map. Compare it with the "
        "uncorrected scan, whose maps stand beside it.",
    ),
    "attenuation-doubt": FindingKind(
        ("warning",),
        "The map does not fit the emission: no place was found within the search (30 mm), so that it was left where it "
        "lay, or much of the heart's wall lies in its lung even after alignment.",
        "The uncorrected scan is scored first: do not use the corrected one. Check that the CT is of this patient and "
        "position; repeat it or its alignment.",
    ),
    "attenuation-images": FindingKind(
        ("info",),
        "A CT or attenuation maps came with the scans.",
        "Nothing; raw SPECT views are corrected with them (`--attenuation`).",
    ),
    "attenuation-moved": FindingKind(
        ("warning",),
        "The map was misaligned with the emission by a pixel or more and was moved; the message gives the shift.",
        "Compare the heart's border with the lung in map and image: remaining misalignment mimics disease.",
    ),
    "attenuation-truncated": FindingKind(
        ("info",),
        "The CT does not cover the whole body; what is missing was filled with soft tissue as far as the emission "
        "shows the body.",
        "Nothing if little is missing; arms should be raised.",
    ),
    "attenuation-unusable": FindingKind(
        ("warning",),
        "A CT or a map came with the study but was not used; the message says why (contrast, no scale in Hounsfield "
        "units, missing or distant slices, tilted gantry, other frame of reference or patient, heart not covered ...).",
        "The scan is uncorrected. Send the complete CT that was taken for attenuation correction.",
    ),
    "correction-conflict": FindingKind(
        ("warning",),
        "The series' name and the file's attributes contradict each other about attenuation correction; the "
        "attributes were used.",
        "Check which is right: it decides which scan is scored.",
    ),
    "defect-gone": FindingKind(
        ("warning",),
        "A defect of the inferior or anterior wall in the scored scan is absent in the prone or corrected one.",
        "Attenuation is the likely cause: read both scans before calling it disease.",
    ),
    "defect-stays": FindingKind(
        ("info",),
        "A defect of the inferior or anterior wall is present in the prone or corrected scan too.",
        "Attenuation is an unlikely cause.",
    ),
    "instance-uid-repeated": FindingKind(
        ("warning",),
        "Different images share a SOP Instance UID (some de-identification programs cause this); all of them were "
        "read.",
        "Check that no image is missing; DICOM results cannot refer to these images unambiguously.",
    ),
    "limits-other-condition": FindingKind(
        ("warning",),
        "The scan is prone or corrected for attenuation, and there are no normal limits of such scans.",
        "Inferior defects may be underestimated and anterior ones overestimated: read the images.",
    ),
    "pet-ct-misregistered": FindingKind(
        ("warning",),
        "The PET image is misaligned with the CT that corrected it.",
        "Repeat the correction with the CT aligned; a defect where the heart lay over lung is likely to be an "
        "artefact.",
    ),
    "prone": FindingKind(
        ("info",),
        "The patient lay prone.",
        "Compare with the supine scan, where there is one.",
    ),
    "scan-choice": FindingKind(
        ("info",),
        "There are several scans of a state; the message says which was scored and why. The others have their own "
        "scores.",
        "Look at the others; `--series` scores another one.",
    ),
    "scan-failed": FindingKind(
        ("failure",),
        "A scan could not be analysed; the message says at which step and why. The rest of the study was analysed.",
        "Follow the message; scores that need this scan are missing.",
    ),
    "scans-set-aside": FindingKind(
        ("info",),
        "Series that repeat another one (its reconstruction, its short axis, its sum over the gates) were not "
        "analysed; the message says which was used.",
        "If another one should be used, choose it with `--series`.",
    ),
    "scans-unlike": FindingKind(
        ("warning",),
        "Stress and rest differ in position or in attenuation correction.",
        "Do not read a difference between them as ischaemia; choose a matching pair with `--series`.",
    ),
    "sex-given": FindingKind(
        ("info",),
        "The patient's sex was given by the user, not by the file.",
        "Nothing.",
    ),
    "state-conflict": FindingKind(
        ("warning",),
        "The coded state and the series' description contradict each other; the code was used.",
        "Check which is right; set the state with `--state`.",
    ),
    "state-from-study": FindingKind(
        ("warning",),
        "Only the description of the whole study states stress or rest.",
        "Check it: such a description often covers both scans.",
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
        "The file does not state whether this is stress or rest. Nothing that depends on it was scored.",
        "Set it with `--state`.",
    ),
    "states-days-apart": FindingKind(
        ("warning",),
        "Stress and rest have the same Study Instance UID but were acquired more than 30 days apart; they were "
        "compared nevertheless.",
        "Check the dates in the files. If they are two visits, read them one by one with `--series`.",
    ),
    "studies-apart": FindingKind(
        ("info",),
        "Another study of the same patient was read but analysed separately; the message says why.",
        "If they belong together, check states, tracers and dates in the files.",
    ),
    "studies-paired": FindingKind(
        ("info",),
        "Stress and rest are two studies of the same patient, at most 30 days apart, and were read as one.",
        "Check that they belong to the same examination.",
    ),
    "study-uid-shared": FindingKind(
        ("warning",),
        "Files of several patients have the same Study Instance UID (some de-identifiers do that); the patients were "
        "read apart.",
        "Check which files belong to whom; have the UIDs corrected before results are stored.",
    ),
}
