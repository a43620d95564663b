"""The wall of the left ventricle as one surface."""

from myoperf.ventricle.surface import WallSurface, fit_surface

__all__ = ["WallSurface", "fit_surface"]
