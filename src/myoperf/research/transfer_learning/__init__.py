"""Two-stage transfer learning on polar maps (Hai et al. 2022, doi:10.32604/cmc.2022.031027)."""
