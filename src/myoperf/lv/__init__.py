"""Finding, turning and segmenting the left ventricle."""

from myoperf.lv.find import LVFit, find_lv, segment_lv
from myoperf.lv.mask import cavity_from_wall, frame_from_mask
from myoperf.lv.match import Match, check_lengths, find_lv_like, match_scans

__all__ = [
    "LVFit",
    "Match",
    "cavity_from_wall",
    "check_lengths",
    "find_lv",
    "find_lv_like",
    "frame_from_mask",
    "match_scans",
    "segment_lv",
]
