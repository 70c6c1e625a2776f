"""The checkpoint of a trial that `run.keep` writes: state dicts, modes, generators, and what was reported."""

from __future__ import annotations

import pickle
import random
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import nn

from whichopt.workers import checkpoints
from whichopt.workers.guests.start import uses_cuda

KEEPS = (
    "run.keep keeps tensors, numbers, strings and containers of them; one of its state dicts holds "
    "something else"
)

UNREADABLE = (OSError, EOFError, KeyError, ValueError, RuntimeError, pickle.UnpicklingError)


class Kept:
    """The file of a trial's checkpoint.

    It is written whole or not at all, at most every `every_s` seconds, and less often if writing takes more
    than its share of the time.
    """

    def __init__(self, path: Path, every_s: float, clock: Callable[[], float] = perf_counter) -> None:
        self.path = path
        self._every_s = every_s
        self._clock = clock
        self._due = clock() + every_s
        self.seconds = 0.0
        """Seconds that the last one took."""
        self._parts: dict[str, Any] = {}
        self._checked = False
        self._loaded: dict[str, Any] | None = None

    def begin(self, parts: Mapping[str, Any]) -> dict[str, Any] | None:
        """Load the last checkpoint into `parts`; return what had been reported, None if there is none.

        Raises:
            TypeError: a part has no state.
        """
        for name, part in parts.items():
            if not hasattr(part, "state_dict") or not hasattr(part, "load_state_dict"):
                raise TypeError(
                    f"run.keep({name}=...) takes what has state_dict and load_state_dict, as a model, an "
                    f"optimizer or a scheduler has, not {type(part).__name__}"
                )
        self._parts = dict(parts)
        saved = self._read()
        if saved is None or saved["parts"].keys() != parts.keys():
            return None
        for name, part in parts.items():
            part.load_state_dict(saved["parts"][name])
        self._loaded = saved
        self.put_back()
        reported: dict[str, Any] = saved["course"]
        return reported

    def put_back(self) -> None:
        """Set generators and the modes of models as they stood at the checkpoint, if one was loaded.

        A state dict does not say which modules train and which are evaluated, nor what is frozen.
        """
        if self._loaded is not None:
            _set(self._loaded["generators"])
            for name, modes in self._loaded.get("modes", {}).items():
                _set_modes(self._parts[name], modes)

    def went_on(self) -> None:
        """Note that training has gone on from the checkpoint: generators and modes are its own from here."""
        self._loaded = None

    def write_if_due(self, course: Callable[[], dict[str, Any]]) -> bool:
        """Write a checkpoint, if it is time; return whether one was written.

        Raises:
            TypeError: a part's state holds what a checkpoint cannot give back.
        """
        if not self._parts or self._clock() < self._due:
            return False
        began = self._clock()
        state = {
            "parts": {name: part.state_dict() for name, part in self._parts.items()},
            "modes": {
                name: _modes(part) for name, part in self._parts.items() if isinstance(part, nn.Module)
            },
            "generators": _generators(),
            "course": course(),
        }
        try:
            self._write(state)
        except OSError as error:
            # It goes to the trial's output; without a checkpoint, nothing but time is lost after a kill.
            sys.stderr.write(f"whichopt: run.keep: the checkpoint could not be written: {error}\n")
            return False
        finally:
            self.seconds = self._clock() - began
            self._due = self._clock() + max(self._every_s, self.seconds / checkpoints.SHARE)
        return True

    def _write(self, state: dict[str, Any]) -> None:
        part_file = self.path.with_suffix(".part")
        try:
            with part_file.open("wb") as file:
                try:
                    checkpoints.write(state, file)
                except (pickle.PicklingError, AttributeError, TypeError) as error:
                    raise TypeError(f"{KEEPS}: {error}") from error
            if not self._checked:
                self._check(part_file)
            part_file.replace(self.path)
        finally:
            part_file.unlink(missing_ok=True)

    def _check(self, path: Path) -> None:
        """Read the first one back: better to fail now than when a day's training is to go on."""
        try:
            torch.load(path, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError as error:
            raise TypeError(f"{KEEPS}: {error}") from error
        self._checked = True

    def _read(self) -> dict[str, Any] | None:
        if not self.path.exists():
            return None
        try:
            saved: dict[str, Any] = torch.load(self.path, map_location="cpu", weights_only=True)
        except UNREADABLE:  # a damaged one costs the time to begin anew, and no more
            return None
        return saved


def _modes(model: nn.Module) -> dict[str, list[bool]]:
    return {
        "trains": [module.training for module in model.modules()],
        "requires_grad": [param.requires_grad for param in model.parameters()],
    }


def _set_modes(model: nn.Module, modes: Mapping[str, list[bool]]) -> None:
    for module, trains in zip(model.modules(), modes["trains"], strict=True):
        module.training = trains
    for param, requires_grad in zip(model.parameters(), modes["requires_grad"], strict=True):
        param.requires_grad_(requires_grad)


def _generators() -> dict[str, Any]:
    kind, keys, position, has_gauss, cached = np.random.get_state(legacy=True)
    version, internal, gauss = random.getstate()
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if uses_cuda() else [],
        "numpy": [kind, torch.from_numpy(np.asarray(keys).astype(np.int64)), position, has_gauss, cached],
        "python": [version, list(internal), gauss],
    }


def _set(states: Mapping[str, Any]) -> None:
    torch.set_rng_state(states["torch"])
    if states["cuda"]:
        torch.cuda.set_rng_state_all(states["cuda"])
    kind, keys, position, has_gauss, cached = states["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), position, has_gauss, cached))
    version, internal, gauss = states["python"]
    random.setstate((version, tuple(internal), gauss))
