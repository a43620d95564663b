"""Finding, turning and segmenting the left ventricle: from an image to its pose and labels.

`find` is the classical method, `network` the usual one. What is known of the wall once there is a pose, a surface along
rays, is in `myoperf.ventricle`, a layer below.
"""

from myoperf.lv.find import LVFit, find_lv, segment_lv
from myoperf.lv.mask import cavity_from_wall, frame_from_mask
from myoperf.lv.match import Match, check_lengths, find_lv_like, match_scans, share_pose
from myoperf.lv.plausible import check_pose, pose_refused

__all__ = [
    "LVFit",
    "Match",
    "cavity_from_wall",
    "check_lengths",
    "check_pose",
    "find_lv",
    "find_lv_like",
    "frame_from_mask",
    "match_scans",
    "pose_refused",
    "segment_lv",
    "share_pose",
]
