"""Unrolling the left ventricle's wall into a polar map."""
