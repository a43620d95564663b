"""Which files belong together, and which of them make a study."""
