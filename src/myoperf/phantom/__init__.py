"""Simulated patients whose truth is known: anatomy, disease, physics and outputs."""
