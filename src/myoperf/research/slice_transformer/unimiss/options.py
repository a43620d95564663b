"""Settings of UniMiSS pre-training."""

from dataclasses import dataclass

from myoperf.errors import InputError
from myoperf.research.slice_transformer.unimiss.views import AUTHORS_VIEWS, ViewOptions


@dataclass(frozen=True, kw_only=True)
class UniMissOptions:
    """Settings of a pre-training; the defaults are the authors', with everything off that their recipe lacks.

    Parameters
    ----------
    epochs, interval
        All epochs; how many epochs of pictures are followed by as many of volumes.
    batch
        Images per step (the authors: 24 on each of 8 GPUs).
    learning_rate
        At the end of the warm-up, for 256 images per step; scaled with the batch.
    weight_decay
        (first, last), rising by cosine; biases, norms and other vectors are not decayed.
    momentum
        Of the teacher's running mean at the start; rises to 1 by cosine.
    outputs, hidden, bottleneck
        Widths of the projection head.
    frozen_epochs
        Epochs in which the last layer of the projection head is not trained.
    clip
        Largest norm of the gradient of each tensor.
    epoch_steps
        Largest number of steps per epoch; None: as many as there are batches of images.
    first_teacher_temperature, temperature_epochs
        The teacher's temperature starts at the first and reaches `teacher_temperature` linearly over so many epochs.
    head_norm
        Batch norm in the projection head, so that the outputs of a batch cannot all be the same.
    views
        How much two views of an image may differ.
    """

    epochs: int = 200
    interval: int = 2
    batch: int = 24
    learning_rate: float = 8e-4
    final_learning_rate: float = 1e-6
    warmup_epochs: int = 10
    weight_decay: tuple[float, float] = (0.04, 0.4)
    momentum: float = 0.996
    student_temperature: float = 0.1
    teacher_temperature: float = 0.04
    centre_momentum: float = 0.9
    outputs: int = 65536
    hidden: int = 2048
    bottleneck: int = 256
    frozen_epochs: int = 1
    clip: float = 0.3
    epoch_steps: int | None = None
    first_teacher_temperature: float | None = None
    temperature_epochs: int = 0
    head_norm: bool = False
    views: ViewOptions = AUTHORS_VIEWS

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch < 1 or self.interval < 1 or self.warmup_epochs >= self.epochs:
            raise InputError("Pre-training needs at least one epoch, batch and interval, and a warm-up that ends.")
