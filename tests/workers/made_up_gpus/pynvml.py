"""The driver of a machine with the cards that MADE_UP_GPUS lists, in the words of NVIDIA's library.

`A B` are two cards; `A:2` is a card that is divided, with two of its seven instances made. `no driver` is a
machine without one, `broken driver` one whose driver does not answer.
"""

from __future__ import annotations

import os

Handle = tuple[int, int | None]
"""Of a card, by its index, or of the instance with that number."""


class NVMLError(Exception):
    pass


class NVMLError_LibraryNotFound(NVMLError):  # noqa: N801
    pass


class NVMLError_DriverNotLoaded(NVMLError):  # noqa: N801
    pass


class NVMLError_NotSupported(NVMLError):  # noqa: N801
    pass


class NVMLError_NotFound(NVMLError):  # noqa: N801
    pass


def _cards() -> list[tuple[str, int | None]]:
    cards = []
    for card in os.environ["MADE_UP_GPUS"].split():
        name, _, instances = card.partition(":")
        cards.append((name, int(instances) if instances else None))
    return cards


def nvmlInit() -> None:  # noqa: N802
    if os.environ["MADE_UP_GPUS"] == "no driver":
        raise NVMLError_DriverNotLoaded("Driver Not Loaded")
    if os.environ["MADE_UP_GPUS"] == "broken driver":
        raise NVMLError("Driver/library version mismatch")


def nvmlShutdown() -> None:  # noqa: N802
    """Nothing to do."""


def nvmlDeviceGetCount() -> int:  # noqa: N802
    return len(_cards())


def nvmlDeviceGetHandleByIndex(index: int) -> Handle:  # noqa: N802
    return index, None


def nvmlDeviceGetName(handle: Handle) -> str:  # noqa: N802
    return f"Made Up {_cards()[handle[0]][0]}"


def nvmlDeviceGetUUID(handle: Handle) -> str:  # noqa: N802
    name = _cards()[handle[0]][0]
    return f"GPU-{name}" if handle[1] is None else f"MIG-{name}-{handle[1]}"


def nvmlDeviceGetMigMode(handle: Handle) -> list[int]:  # noqa: N802
    if _cards()[handle[0]][1] is None:
        raise NVMLError_NotSupported("Not Supported")
    return [1, 1]


def nvmlDeviceGetMaxMigDeviceCount(_: Handle) -> int:  # noqa: N802
    return 7


def nvmlDeviceGetMigDeviceHandleByIndex(handle: Handle, number: int) -> Handle:  # noqa: N802
    made = _cards()[handle[0]][1]
    assert made is not None
    if not 1 <= number <= made:  # instances need not begin at 0
        raise NVMLError_NotFound("Not Found")
    return handle[0], number
