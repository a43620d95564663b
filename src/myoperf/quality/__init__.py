"""Checks of the raw views and of what was measured on them; each may give a finding for the report."""

from myoperf.quality.checks import check_quality
from myoperf.quality.conditions import ScoredScan, compare_conditions
from myoperf.quality.counts import lung_heart_ratio
from myoperf.quality.volume_curve import check_volume_curve
from myoperf.quality.wall import check_wall

__all__ = ["ScoredScan", "check_quality", "check_volume_curve", "check_wall", "compare_conditions", "lung_heart_ratio"]
