"""Reconstruction of raw projections."""
