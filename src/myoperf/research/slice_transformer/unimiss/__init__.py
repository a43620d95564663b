"""UniMiSS: pre-training of a Medical Transformer without labels (Xie et al., ECCV 2022)."""
