"""Numbers from polar maps and gated volumes, formula by formula with its source."""
