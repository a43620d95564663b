"""Thirteen networks, four inputs and six label strategies (Hajianfar et al. 2025, doi:10.1007/s00259-025-07145-x)."""
