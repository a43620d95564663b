"""The experiments of the papers: one file a paper, its data, models and table."""
