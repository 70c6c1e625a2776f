"""Predicts images with the network that lies beside this program.

    python predict.py IMAGES PREDICTIONS.csv

IMAGES is a PNG or JPEG file, or a folder with such files, in folders of its own or not. PREDICTIONS gets a
row for each image: `file`, `prediction`, and for classes the probability of each. Only torch, numpy and
Pillow are needed.
"""

from __future__ import annotations

import csv
import json
import struct
import sys
import zlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps

HERE = Path(__file__).resolve().parent
AT_ONCE = 256
FARTHEST = 10.0
"""Bound on a standardized level."""

BROKEN = (OSError, SyntaxError, ValueError, TypeError, LookupError, EOFError, struct.error, zlib.error)


class Unreadable(Exception):
    """What is wrong with a file, in words."""


class Residual(torch.nn.Sequential):
    """A chain of modules whose inputs are added to its outputs."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the inputs plus what the chain makes of them."""
        outputs = inputs
        for module in self:
            outputs = module(outputs)
        return inputs + outputs


class Projected(torch.nn.Sequential):
    """Two chains of modules whose outputs are added."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the sum of what the two make of the inputs."""
        block, shortcut = self
        outputs: torch.Tensor = block(inputs) + shortcut(inputs)
        return outputs


class Joined(torch.nn.Sequential):
    """A chain of modules whose outputs are more channels of its inputs."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the inputs, and behind their channels those that the chain makes of them."""
        outputs = inputs
        for module in self:
            outputs = module(outputs)
        return torch.cat([inputs, outputs], 1)


BLOCKS = {kind.__name__: kind for kind in (Residual, Projected, Joined, torch.nn.Sequential)}
"""The blocks of modules, by their names in config.json."""


def load(folder: Path = HERE) -> tuple[torch.nn.Module, dict[str, Any]]:
    """Return the network, ready to predict, and the preparation of its inputs."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    preparation = json.loads((folder / "preparation.json").read_text(encoding="utf-8"))
    if config["network"] is None:
        raise Unreadable("config.json does not describe the network: make it, and load model.safetensors")
    model = _chain(torch.nn.Sequential, config["network"])
    model.load_state_dict(_tensors(folder / "model.safetensors"))
    return model.eval(), preparation


def _chain(kind: type[torch.nn.Sequential], modules: list[Any]) -> torch.nn.Sequential:
    return kind(*(_module(*described) for described in modules))


def _module(name: str, arguments: list[Any], options: dict[str, Any]) -> torch.nn.Module:
    if name in BLOCKS:
        return _chain(BLOCKS[name], arguments)
    given = [tuple(one) if isinstance(one, list) else one for one in arguments]
    made: torch.nn.Module = getattr(torch.nn, name)(*given, **options)
    return made


def _tensors(path: Path) -> dict[str, torch.Tensor]:
    """Read a safetensors file: the length of its header, the header, and the values."""
    kinds = {"F64": torch.float64, "F32": torch.float32, "I64": torch.int64}
    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    tensors = {}
    for name, told in header.items():
        if name != "__metadata__":
            start, stop = (8 + size + at for at in told["data_offsets"])
            values = torch.frombuffer(bytearray(content[start:stop]), dtype=kinds[told["dtype"]])
            tensors[name] = values.reshape(told["shape"])
    return tensors


# -- images --------------------------------------------------------------------------------------------


def images(path: Path) -> list[Path]:
    """Return the image itself, or all files of a folder that systems have not left behind."""
    if path.is_file():
        return [path]
    found = sorted(one for one in path.rglob("*") if one.is_file() and not _hidden(one.relative_to(path)))
    if not found:
        raise Unreadable(f"there is no image in {path}")
    return found


def _hidden(path: Path) -> bool:
    return any(
        part.startswith(".") or part in ("__MACOSX", "Thumbs.db", "desktop.ini") for part in path.parts
    )


def pixels(path: Path, channels: int, height: int, width: int) -> Any:
    """Return the levels (channels, height, width) of an image, resized as those that were trained on."""
    try:
        with Image.open(path, formats=("PNG", "JPEG")) as opened:
            opened.draft(opened.mode, (2 * width, 2 * height))
            image = ImageOps.exif_transpose(opened)
            if image.mode.startswith("I"):  # sixteen bits
                high = np.asarray(image).astype(np.int64) >> 8
                image = Image.fromarray(high.clip(0, 255).astype(np.uint8))
            if image.mode == "P":
                image = image.convert("RGBA")
            image = image.convert("L" if channels == 1 else "RGB")
    except BROKEN as error:
        raise Unreadable(f"{path} is no PNG or JPEG that can be read: {error}") from None
    if image.size != (width, height):
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    found = np.asarray(image)
    return found[None] if channels == 1 else found.transpose(2, 0, 1)


def features(paths: list[Path], preparation: dict[str, Any]) -> torch.Tensor:
    """Return the images as the network takes them, standardized channel by channel."""
    shape = [preparation[name] for name in ("channels", "height", "width")]
    levels = np.stack([pixels(path, *shape) for path in paths])
    mean, deviation = (np.array(preparation[name])[:, None] for name in ("mean", "deviation"))
    scaled = (np.arange(256) - mean) / np.where(deviation == 0, np.inf, deviation)
    table = np.clip(scaled, -FARTHEST, FARTHEST).astype(np.float32)
    made = np.stack([of_channel[levels[:, i]] for i, of_channel in enumerate(table)], axis=1)
    return torch.from_numpy(made.reshape(len(paths), -1))


# -- predictions ---------------------------------------------------------------------------------------


@torch.no_grad()
def predict(path: Path, to: Path, folder: Path = HERE) -> int:
    """Write the predictions for images to a file; return the number of images."""
    model, preparation = load(folder)
    target, found = preparation["target"], images(path)
    classes, part = target["classes"], to.with_name(f"{to.name}.part")
    try:
        with part.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["file", "prediction", *(f"probability of {name}" for name in classes or ())])
            for paths in _some(found):
                names = [str(one.relative_to(path)) if one != path else one.name for one in paths]
                outputs = model(features(paths, preparation)).double()
                if classes is None:
                    values = outputs[:, 0] * target["unit"] + target["mean"]
                    writer.writerows(zip(names, values.tolist(), strict=True))
                    continue
                shares = outputs.softmax(dim=1).tolist()
                best = [classes[at] for at in outputs.argmax(dim=1).tolist()]
                writer.writerows(
                    [name, one, *row] for name, one, row in zip(names, best, shares, strict=True)
                )
        part.replace(to)
    finally:
        part.unlink(missing_ok=True)
    return len(found)


def _some(paths: list[Path]) -> Iterator[list[Path]]:
    rest = iter(paths)
    while some := list(islice(rest, AT_ONCE)):
        yield some


def main(arguments: list[str]) -> int:
    """Run the program; return its exit status."""
    if len(arguments) != 2:
        sys.stderr.write(__doc__ or "")
        return 2
    try:
        count = predict(*map(Path, arguments))
    except (Unreadable, OSError, ValueError) as error:
        sys.stderr.write(f"predict.py: {error}\n")
        return 2
    sys.stdout.write(f"{count:,} images predicted, in {arguments[1]}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
