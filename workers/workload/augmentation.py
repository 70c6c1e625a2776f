"""Augmentation of training images: drawn for each batch from the trial's own seed, so alike in any company.

Everything here moves numbers and computes none, so no bit depends on how a batch lies in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from whichopt.service.catalog import tasks
from whichopt.service.spec import ResolvedWorkload
from whichopt.service.spec.augment import Crop, Flip
from whichopt.workers.workload.stream import Batch, Draw

Change = Callable[[Tensor, torch.Generator], Tensor]
"""From images (N, channels, height, width) and what draws to images of the same shape."""


def drawn(spec: ResolvedWorkload, of_task: Draw | None) -> Draw | None:
    """Return what each batch draws: the augmentation of its images, then what the task itself draws."""
    if not spec.augment:
        return of_task
    assert spec.shape.image is not None
    known = next((one for one in tasks.TASKS if one.name == spec.task), None)
    augmented = augmentation(spec.augment, spec.shape.image, as_targets=known is not None and known.of_inputs)
    if of_task is None:
        return augmented
    return lambda batch, generator: of_task(augmented(batch, generator), generator)


def augmentation(
    augment: Sequence[Flip | Crop], image: tuple[int, int, int], *, as_targets: bool = False
) -> Draw:
    """Return what augments the images of a batch.

    Args:
        augment: what is done, in this order.
        image: channels, height and width.
        as_targets: whether the targets are the images themselves.
    """
    changes = [flipped if isinstance(one, Flip) else _cropped(one) for one in augment]

    def draw(batch: Batch, generator: torch.Generator) -> Batch:
        images = batch.inputs.reshape(-1, *image)
        for change in changes:
            images = change(images, generator)
        inputs = images.reshape(batch.inputs.shape)
        return batch._replace(inputs=inputs, targets=inputs if as_targets else batch.targets)

    return draw


def flipped(images: Tensor, generator: torch.Generator) -> Tensor:
    """Return the images, each mirrored left for right with a chance of a half."""
    chosen = torch.rand(len(images), generator=generator, device=images.device) < 0.5
    return torch.where(chosen[:, None, None, None], images.flip(-1), images)


def _cropped(crop: Crop) -> Change:
    assert crop.padding is not None  # the resolved spec has it
    padding = crop.padding
    return lambda images, generator: cropped(images, padding, generator)


def cropped(images: Tensor, padding: int, generator: torch.Generator) -> Tensor:
    """Return of each image a cut of its own size, from a random place of it with `padding` zeros around.

    0 is the mean of a standardized channel.
    """
    count, _, height, width = images.shape
    place = torch.randint(2 * padding + 1, (2, count, 1), generator=generator, device=images.device)
    rows = place[0] + torch.arange(height, device=images.device)
    columns = place[1] + torch.arange(width, device=images.device)
    padded = torch.nn.functional.pad(images, (padding,) * 4)
    example = torch.arange(count, device=images.device)[:, None, None]
    return padded[example, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2).contiguous()
