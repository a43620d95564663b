"""UniMiSS: pre-training of a Medical Transformer without labels (Xie et al., ECCV 2022).

`recipe` is ``myoperf train unimiss``; `images` and `views` say what it learns from, `losses` and `pretraining` how,
`options` with which settings, and `probe` measures what the features are worth.
"""
