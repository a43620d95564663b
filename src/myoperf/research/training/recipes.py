"""Choose a recipe by name."""

from collections.abc import Mapping
from typing import TypeVar

from myoperf.errors import InputError

Recipe = TypeVar("Recipe")


def pick_recipe(recipes: Mapping[str, Recipe], scale: str) -> Recipe:
    """Return the recipe of a scale; InputError names the known scales."""
    if scale not in recipes:
        raise InputError(f"Unknown scale {scale!r}; choose from {', '.join(recipes)}.")
    return recipes[scale]
