"""The multi-branch Medical Transformer (Zhao et al.) and its pre-training by UniMiSS (Xie et al.)."""
