"""MS-ST-UNet, its ablations and its peers (Ni et al. 2023, doi:10.48550/arXiv.2310.10095).

`networks` builds every network by name; `batches` samples volumes with a random pose; `training` and `losses` train,
`evaluation` tests, `study` runs the paper's experiments (``myoperf study ms-st-unet``), `tables` and `figures` show
them.
"""
