"""How the shipped network that finds the left ventricle is trained and judged."""
