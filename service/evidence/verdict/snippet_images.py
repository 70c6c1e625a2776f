"""The part of a snippet that changes training images by chance, as the job does: in torch alone."""

from __future__ import annotations

from collections.abc import Sequence

from whichopt.service.spec import ResolvedWorkload
from whichopt.service.spec.augment import Crop, Flip

FLIPPED = (
    "    mirrored = torch.rand(len(images)) < 0.5",
    "    images = torch.where(mirrored[:, None, None, None], images.flip(-1), images)",
)


def augmented(augment: Sequence[Flip | Crop], image: tuple[int, int, int]) -> list[str]:
    """Return the function `augmented` for the images of a batch; nothing if nothing is done to them.

    Args:
        augment: what is done, in this order.
        image: channels, height and width.
    """
    if not augment:
        return []
    lines = [line for one in augment for line in (FLIPPED if isinstance(one, Flip) else _cropped(one, image))]
    return [
        "",
        "",
        "def augmented(images):",
        '    """The training images of a batch, changed by chance: anew for each step."""',
        f"    images = images.reshape(-1, {', '.join(map(str, image))})",
        *lines,
        "    return images.flatten(1)",
        "",
    ]


def augmentation_of(workload: ResolvedWorkload) -> list[str]:
    """Return the function `augmented` for a workload's images; nothing if nothing is done to them."""
    return [] if workload.shape.image is None else augmented(workload.augment, workload.shape.image)


def batch_of(workload: ResolvedWorkload) -> str:
    """Return the code for the inputs of a step's `batch`."""
    return "augmented(inputs[batch])" if workload.augment else "inputs[batch]"


def _cropped(crop: Crop, image: tuple[int, int, int]) -> list[str]:
    _, height, width = image
    padding = crop.padding or 0
    return [
        f"    padded = torch.nn.functional.pad(images, ({', '.join([str(padding)] * 4)}))",
        f"    rows, columns = torch.randint({2 * padding + 1}, (2, len(images), 1))",
        f"    rows, columns = rows + torch.arange({height}), columns + torch.arange({width})",
        "    example = torch.arange(len(images))[:, None, None]",
        "    images = padded[example, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)",
    ]
