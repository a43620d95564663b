"""Two-stage transfer learning on polar maps (Hai et al.)."""
