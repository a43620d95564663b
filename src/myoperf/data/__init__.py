"""Cohorts, pictures and stacks that networks learn from."""
