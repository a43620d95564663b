"""Statistics of diagnostic tests: areas, intervals, comparisons."""
