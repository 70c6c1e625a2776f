"""The GPUs of this machine: which there are, which of them a worker wants, which process trains on which.

The driver is asked for them by NVML, as torch would take seconds to import and memory on each card: a
worker's parent and the embedded home import neither torch nor CUDA. Numbers of cards are those of
`nvidia-smi`, in CUDA_VISIBLE_DEVICES too, whatever CUDA_DEVICE_ORDER is.
"""

from __future__ import annotations

import importlib.util
import os
import runpy
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CUDA, HIP = "CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES"
"""Variables that decide which cards a process sees, for NVIDIA's runtime and AMD's."""

AMD_DRIVER = Path("/dev/kfd")

TRIAL_S = 120.0
"""Seconds that a card may take for its first operation, torch's import included."""

FIRST_OPERATION = "import torch; torch.ones(2, device='cuda').sum().item()"


class CannotUse(Exception):
    """Said to the user as it is."""


@dataclass(frozen=True)
class GPU:
    """A card, or an instance of a card that is divided into several (MIG)."""

    id: str
    """The name of the card in the environment: a UUID, which means the same card whatever the order."""
    title: str

    def __str__(self) -> str:
        return self.title


@dataclass(frozen=True)
class Wanted:
    """From `least` to `most` of those GPUs, the first that no other worker has."""

    gpus: tuple[GPU, ...]
    least: int
    most: int


def wanted(asked: str, gpus: Sequence[GPU]) -> Wanted:
    """The GPUs that `asked` means: `all`, a number of them, or indices as in `0,2`.

    Raises:
        CannotUse: it is none of these, or asks for what is not there.
    """
    if asked == "all":
        return Wanted(tuple(gpus), least=min(1, len(gpus)), most=len(gpus))
    if _is_number(asked):
        count = int(asked)
        if count > len(gpus):
            raise CannotUse(f"--gpus={asked} asks for {count} GPUs, and there {_are(gpus)}")
        return Wanted(tuple(gpus), least=count, most=count)
    parts = asked.removesuffix(",").split(",")
    if not all(map(_is_number, parts)):
        raise CannotUse(
            f"--gpus={asked} is none of: all, a number of GPUs (0 for none), or indices with a comma, "
            "as in 0,2 (and 2, for the one with index 2)"
        )
    indices = [int(part) for part in parts]
    if len(set(indices)) < len(indices):
        raise CannotUse(f"--gpus={asked} names a GPU twice")
    absent = [index for index in indices if index >= len(gpus)]
    if absent:
        raise CannotUse(f"--gpus={asked} asks for index {absent[0]}, counted from 0, and there {_are(gpus)}")
    return Wanted(tuple(gpus[index] for index in indices), least=len(indices), most=len(indices))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _are(gpus: Sequence[GPU]) -> str:
    names = ", ".join(map(str, gpus))
    why = "" if gpus else f" ({why_none()})"
    return f"{'is' if len(gpus) == 1 else 'are'} {len(gpus) or 'none'}{': ' if gpus else ''}{names}{why}"


def why_none() -> str:
    """The reason that `visible` has none."""
    if torch_platform() is None:
        return "the torch that is installed here is built for CPUs alone"
    listed = [f"{name}={os.environ[name]!r}" for name in (CUDA, HIP) if name in os.environ]
    return f"with {' and '.join(listed)}" if listed else "its driver reports none"


# -- what there is ---------------------------------------------------------------------------------------


def visible() -> list[GPU]:
    """The GPUs that torch can see here, in order.

    Raises:
        CannotUse: there is a driver, and it does not answer as it should.
    """
    platform = torch_platform()
    if platform == "cuda":
        return _listed(os.environ.get(CUDA), _nvidia())
    return _amd() if platform == "hip" else []


def torch_platform() -> str | None:
    """Return what the installed torch supports besides CPUs: cuda, hip or nothing. Does not import it."""
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        return None
    built = runpy.run_path(str(Path(spec.origin).with_name("version.py")))
    return next((name for name in ("cuda", "hip") if built.get(name)), None)


Card = tuple[GPU, ...]
"""A card as what processes can be given of it: itself, or its instances."""


def _nvidia() -> list[Card]:
    try:
        import pynvml
    except ImportError:
        raise CannotUse("nvidia-ml-py is missing: pip install 'whichopt[workers]'") from None
    try:
        pynvml.nvmlInit()
    except (pynvml.NVMLError_LibraryNotFound, pynvml.NVMLError_DriverNotLoaded):
        return []  # a machine without an NVIDIA card
    except pynvml.NVMLError as error:
        raise CannotUse(f"NVIDIA's driver does not answer: {error}") from error
    try:
        return [_card(pynvml, index) for index in range(pynvml.nvmlDeviceGetCount())]
    except pynvml.NVMLError as error:
        raise CannotUse(f"NVIDIA's driver does not say what its cards are: {error}") from error
    finally:
        pynvml.nvmlShutdown()


def _card(pynvml: Any, index: int) -> Card:
    handle = pynvml.nvmlDeviceGetHandleByIndex(index)
    title = f"GPU {index} ({pynvml.nvmlDeviceGetName(handle)})"
    try:
        divided, _ = pynvml.nvmlDeviceGetMigMode(handle)
    except pynvml.NVMLError_NotSupported:
        divided = 0
    if not divided:
        return (GPU(pynvml.nvmlDeviceGetUUID(handle), title),)
    instances = []
    for number in range(pynvml.nvmlDeviceGetMaxMigDeviceCount(handle)):
        try:
            instance = pynvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, number)
        except pynvml.NVMLError_NotFound:
            continue  # there is room for it, and nobody made it
        instances.append(GPU(pynvml.nvmlDeviceGetUUID(instance), f"{title} instance {number}"))
    return tuple(instances)


def _listed(listed: str | None, cards: Sequence[Card]) -> list[GPU]:
    """Return the cards that CUDA shows for the variable: all without it; otherwise those listed, up to the
    first that is not there; and none if one is listed twice."""
    if listed is None:
        return [gpu for card in cards for gpu in card]
    gpus: list[GPU] = []
    for name in listed.split(","):
        meant = _named(name.strip(), cards)
        if not meant:
            break
        if set(meant) & set(gpus):
            return []
        gpus += meant
    return gpus


def _named(name: str, cards: Sequence[Card]) -> Card:
    if _is_number(name):
        return cards[int(name)] if int(name) < len(cards) else ()
    if not name.startswith(("GPU-", "MIG-")):
        return ()
    every = [gpu for card in cards for gpu in card]
    exact = [gpu for gpu in every if gpu.id == name]
    # CUDA takes the beginning of a card's UUID for the card, if no other begins so.
    near = exact or [gpu for gpu in every if gpu.id.startswith(name)]
    return (near[0],) if len(near) == 1 else ()


def _amd() -> list[GPU]:
    """The cards that the environment lists, else the first: no driver library is asked how many there are."""
    if not AMD_DRIVER.exists():
        return []
    listed = os.environ.get(HIP, os.environ.get(CUDA, "0"))
    names = [name.strip() for name in listed.split(",")]
    return [GPU(name, f"AMD GPU {name}") for name in names if name not in ("", "-1")]


# -- what a process sees -----------------------------------------------------------------------------------


def show(gpus: Sequence[GPU]) -> None:
    """Lets this process and its children see these GPUs and no other; none, if there are none."""
    os.environ.update(_environment(gpus))


def _environment(gpus: Sequence[GPU]) -> dict[str, str]:
    listed = ",".join(gpu.id for gpu in gpus) or "-1"  # which is no card, to either runtime
    # AMD's runtime reads its own variable first, and NVIDIA's does not know it.
    return {CUDA: listed, HIP: listed}


def take_place(index: int) -> str:
    """Lets a worker's process see the one GPU that is its own, before it imports torch.

    The GPUs of the worker are dealt by the number of the process. A process that takes the place of a dead
    one has its number, and so its GPU.

    Returns:
        Which it is, by its id; nothing if it is none.
    """
    place = ""
    for variable in (HIP, CUDA):
        ids = [name for name in os.environ.get(variable, "").split(",") if name not in ("", "-1")]
        if ids:
            place = os.environ[variable] = ids[index % len(ids)]
    return place


def failing(gpus: Sequence[GPU]) -> dict[GPU, str]:
    """The GPUs on which torch cannot do its first operation, and why: a driver that is too old for it, a card
    that is, or one that another program has for itself. Each is tried in a process that sees it alone."""
    trials = {
        gpu: subprocess.Popen(
            [sys.executable, "-P", "-c", FIRST_OPERATION],
            env={**os.environ, **_environment([gpu])},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for gpu in gpus
    }
    failures = {}
    for gpu, trial in trials.items():
        try:
            _, errors = trial.communicate(timeout=TRIAL_S)
        except subprocess.TimeoutExpired:
            trial.kill()
            trial.communicate()
            failures[gpu] = f"its first operation took over {TRIAL_S:g} s"
            continue
        if trial.returncode:
            failures[gpu] = (errors.strip().splitlines() or [f"exit status {trial.returncode}"])[-1]
    return failures
