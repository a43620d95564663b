"""Thirteen networks, four inputs and six label strategies (Hajianfar et al.)."""
