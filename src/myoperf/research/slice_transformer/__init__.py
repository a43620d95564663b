"""The multi-branch Medical Transformer on stacks of slices (Zhao et al.), and its pre-training.

- Networks: `mit` (the Medical Transformer of Xie et al.), `mit_weights` (its published weights), `multi_branch` (one
  Medical Transformer per view, joined into one diagnosis), `baselines` (convolutional networks for comparison).
- Data: `cases` (simulated patients), `spect_mpi` (the public SPECT-MPI set); stacks are cut from volumes by
  `myoperf.research.slice_stacks`.
- Training of the multi-branch network: `training`; ``myoperf train slices`` is `recipe`.
- Tables 3 to 6 of the paper: `study`, which is ``myoperf study multi-branch-mit``; `tables` measures both.
- Pre-training without labels: `unimiss`; ``myoperf train unimiss`` is `unimiss.recipe`.
"""
