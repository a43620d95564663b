"""What the training of every topic shares: small functions and records that readable loops call.

- `recipes.pick_recipe`: every topic has ``RECIPES = {"smoke": Recipe(...), "small": ..., "full": ...}``, where `Recipe`
  is a frozen keyword-only dataclass with all settings of a run. Its optimiser's settings are a record of their own,
  `Schedule` (epochs, batch, rate).
- `epochs.BestEpoch`: keeps the weights of the best epoch.
- `weights`: weights as safetensors, a model with its card, checkpoints to resume from.
- `arrays`: arrays by name in one file.
- `prediction.run_in_batches`: batched prediction without gradients.
- `seeds.seeded`: PyTorch's random numbers from a seed; the device is chosen by `myoperf.pipeline.device`.
- `splits.split_rows`: deal patients to parts, each class in the same proportion.
- `plots.house_style`: one look for plots.
- `tables`: tables as CSV and Markdown with a manifest.

Jobs that resume are in `myoperf.pipeline.jobs`, resampling by patient in `myoperf.stats`.
"""
