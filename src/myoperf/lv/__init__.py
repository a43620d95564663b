"""Finding, turning and segmenting the left ventricle."""

from myoperf.lv.find import LVFit, find_lv, segment_lv
from myoperf.lv.mask import cavity_from_wall, frame_from_mask

__all__ = ["LVFit", "cavity_from_wall", "find_lv", "frame_from_mask", "segment_lv"]
