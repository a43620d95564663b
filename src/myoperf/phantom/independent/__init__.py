"""A second family of phantom hearts, made without the simulator, to judge what was developed on the simulator.

It shares no line with the rest of `myoperf.phantom` (an import contract checks that), only `types` and `geometry`:
another shape of the ventricle, another law of contraction, an image made by a point spread function with tails instead
of a projected and reconstructed one. Where an estimator is right on the simulator only, these hearts show it.

`draw_heart` draws from two disjoint series of seeds: ``"development"`` for work, ``"held"`` for one look at a release.
"""

from myoperf.phantom.independent.draw import draw_heart
from myoperf.phantom.independent.imaging import Camera, Surroundings, image_heart
from myoperf.phantom.independent.shape import Delay, Heart, HeartTruth, Patch, heart_truth

__all__ = [
    "Camera",
    "Delay",
    "Heart",
    "HeartTruth",
    "Patch",
    "Surroundings",
    "draw_heart",
    "heart_truth",
    "image_heart",
]
