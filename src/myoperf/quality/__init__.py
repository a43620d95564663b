"""Checks of the raw views and of what was measured on them; each may give a finding for the report."""

from myoperf.quality.checks import check_quality
from myoperf.quality.counts import lung_heart_ratio

__all__ = ["check_quality", "lung_heart_ratio"]
