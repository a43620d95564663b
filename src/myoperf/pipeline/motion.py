"""The patient's motion between raw views: found on the ventricle of a first image, and undone where that helps."""

from dataclasses import replace

from myoperf.errors import MyoPerfError
from myoperf.pipeline.options import Models, Options
from myoperf.pipeline.scan import LocatedScan, locate_ventricle, reconstruct_scan
from myoperf.recon import LEAST_MOTION_VIEWS, Motion, correct_motion, estimate_motion
from myoperf.types import Finding, Projections


def undo_patient_motion(located: LocatedScan, models: Models, options: Options) -> LocatedScan:
    """Return the scan with its patient's motion undone; as it is where there is none, or the options say so.

    Views are shifted back only where they then agree better with the image that they make. The ventricle is found again
    on the new image. One finding says what was done, or what was not.
    """
    views = located.acquired.image
    if options.motion == "off" or not isinstance(views, Projections) or views.views < LEAST_MOTION_VIEWS:
        return located
    try:
        x, y, z = (float(v) for v in located.fit.frame.centre_mm)
        motion = estimate_motion(views, (x, y, z))
    except MyoPerfError:  # the heart is hardly in the field: findings of the pose and the field of view say so
        return located
    if not motion.is_motion or options.motion == "report":
        return replace(located, image_findings=(*located.image_findings, *_not_undone(motion, views.views)))
    shifted = replace(located.acquired, image=correct_motion(views, motion))
    images = reconstruct_scan(shifted, options, name=located.name)
    found = (*located.image_findings, _undone(motion, views.views))
    return locate_ventricle(replace(images, acquired=located.acquired, image_findings=found), models, options)


def _undone(motion: Motion, views: int) -> Finding:
    """Return the finding of how far the patient moved, and that this was undone."""
    across = f" A further step of about {motion.doubtful_mm:.0f} mm could not be undone." if motion.doubtful_mm else ""
    message = (
        f"The patient moved by {motion.largest_mm:.0f} mm along the body: {motion.moved_views} of {views} raw views "
        f"were shifted back, by up to {motion.farthest_mm:.0f} mm. At the heart they now agree better with the "
        f"reconstructed image (mean square difference {motion.disagreement_before:.2f} before, "
        f"{motion.disagreement_after:.2f} after; 1 with noise alone). All results come from the shifted views.{across}"
    )
    return Finding("motion-corrected", "warning" if across else "info", message)


def _not_undone(motion: Motion, views: int) -> tuple[Finding, ...]:
    """Return the finding that the patient seems to have moved and the views were left alone; empty without a sign."""
    if motion.is_motion:
        message = (
            f"The patient moved by {motion.largest_mm:.0f} mm along the body ({motion.moved_views} of {views} raw "
            "views); the views were left as they are. This can mimic disease: --motion auto shifts them back."
        )
    elif motion.doubtful_mm > 0.0:
        message = (
            f"The heart jumps by about {motion.doubtful_mm:.0f} mm from one raw view to the next, in a way that "
            "shifting the views along the body does not correct: they were left as they are. Look at the views; motion "
            "mimics disease."
        )
    else:
        return ()
    return (Finding("patient-motion", "warning", message),)
