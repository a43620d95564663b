"""The wall of the left ventricle as one surface, given its pose (which `lv` finds).

`rays` lays the rays along which it is measured, `fit` makes it smooth, `profiles` finds its peak, `valve_plane` its end
at the base; `bullet` is its rough shape. `tracing` finds it in a static image, `surface` in labels, and `synthesis`
simulates the image of a wall.
"""

from myoperf.ventricle.surface import WallSurface, fit_surface

__all__ = ["WallSurface", "fit_surface"]
