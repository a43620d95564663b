"""How the shipped network that finds, turns and segments the left ventricle is trained and evaluated."""
