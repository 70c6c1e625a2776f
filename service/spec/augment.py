"""Augmentation: what may be done to each training image before a step sees it, drawn anew every time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from whichopt.service.catalog.dataset_entry import DatasetEntry
from whichopt.service.catalog.shapes import Shape
from whichopt.service.errors import InvalidSpec

FIELD = "workload.augment"
EIGHTH = 8
"""A crop without a padding of its own is padded by this part of the shorter side: 4 of 32 pixels."""


class Flip(BaseModel):
    """A mirror image, left for right, of every other example by chance."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: Literal["flip"]


class Crop(BaseModel):
    """A cut of the image's own size, at a random place of the image with a margin around it."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: Literal["crop"]
    padding: int | None = Field(
        default=None,
        strict=True,
        ge=1,
        le=64,
        description="Margin around the image, in pixels; null: an eighth of its shorter side.",
    )


def _by_name(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


Augmentation = Annotated[Annotated[Flip | Crop, Field(discriminator="name")], BeforeValidator(_by_name)]
Augmentations = Annotated[
    tuple[Augmentation, ...],
    Field(
        default=(),
        max_length=8,
        exclude_if=lambda augment: not augment,  # specs without any keep their bytes
        description="What is done to each training image before a step sees it, in this order, drawn from "
        'the trial\'s seed: `"flip"`, `"crop"`, or with options `{"name": "crop", "padding": 4}`.',
    ),
]


def resolved_augment(
    asked: Sequence[Flip | Crop], shape: Shape, data: DatasetEntry
) -> tuple[Flip | Crop, ...]:
    """Return what is asked for with every option written out.

    Raises:
        InvalidSpec: the dataset has no images, or images as targets, a name stands twice, or a margin is too
            wide.
    """
    if not asked:
        return ()
    if shape.image is None:
        raise InvalidSpec(
            f"augment is for images, and dataset {data.name!r} has none; leave it out",
            field=FIELD,
            value=[one.name for one in asked],
            allowed=[],
        )
    names = [one.name for one in asked]
    if data.targets_are_images:
        raise InvalidSpec(
            f"augment changes the inputs alone, and the targets of dataset {data.name!r} are images that go "
            "with them; leave it out",
            field=FIELD,
            value=names,
            allowed=[],
        )
    for i, name in enumerate(names):
        if name in names[:i]:
            raise InvalidSpec(f"augment has {name!r} twice; name it once", field=f"{FIELD}.{i}", value=name)
    return tuple(_whole(one, i, min(shape.image[1:])) for i, one in enumerate(asked))


def _whole(one: Flip | Crop, place: int, side: int) -> Flip | Crop:
    if isinstance(one, Flip):
        return one
    most = max(1, side // 2)
    if one.padding is not None and one.padding > most:
        raise InvalidSpec(
            f"crop has a padding of {one.padding}, but the shorter side of the images is {side} pixels; at "
            f"most half of that is allowed, {most}",
            field=f"{FIELD}.{place}.padding",
            value=one.padding,
            allowed=f"1 to {most}",
        )
    return one if one.padding is not None else Crop(name="crop", padding=max(1, side // EIGHTH))


def augment_words(augment: Sequence[Flip | Crop]) -> str:
    """Say what is done to training images: "flip, crop by up to 4 pixels"."""
    return ", ".join("flip" if isinstance(one, Flip) else f"crop by up to {_pixels(one)}" for one in augment)


def _pixels(crop: Crop) -> str:
    return "1 pixel" if crop.padding == 1 else f"{crop.padding} pixels"
