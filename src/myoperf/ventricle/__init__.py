"""The wall of the left ventricle as one surface, given its pose (which `lv` finds).

`rays` lays the rays along which it is measured, `fit` makes it smooth, `profiles` finds its peak, `valve_plane` and
`wall_end` its end at the base; `bullet` is its rough shape. `tracing` finds it in a static image, `surface` in labels,
and `synthesis` simulates the image of a wall.
"""

from myoperf.ventricle.surface import WallSurface, fit_surface, move_limits
from myoperf.ventricle.wall_end import WallEnd, find_wall_end

__all__ = ["WallEnd", "WallSurface", "find_wall_end", "fit_surface", "move_limits"]
