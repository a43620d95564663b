"""How the shipped classifier of polar maps is trained and evaluated."""
