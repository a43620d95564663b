"""Pictures of workstations and reports turned into numbers."""
