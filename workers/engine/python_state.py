"""Finds what a network keeps in Python from call to call: a stack has it once for all of its trials."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

OF_TORCH = frozenset(vars(nn.Module()))
"""Attributes that every module has; params, buffers and modules within are among them, and `training`."""

DEPTH = 3
"""Levels of objects within objects that are looked at."""

LONGEST = 2000
"""Characters of an object's own text that are compared."""

PLAIN = (bool, int, float, complex, str, bytes, type(None))


def kept_in_python(net: nn.Module) -> dict[str, Any]:
    """Return a value for each attribute of the network's modules that is neither param nor buffer.

    Two values of one attribute are the same if nothing in it was changed, as far as that can be seen.
    """
    found = {}
    for path, module in net.named_modules():
        for name, value in vars(module).items():
            if name not in OF_TORCH:
                found[f"{path}.{name}" if path else name] = _told(value, DEPTH)
    return found


def _told(value: Any, depth: int) -> Any:
    if isinstance(value, PLAIN):
        return (type(value), value)
    if isinstance(value, Tensor):
        return (id(value), value._version)
    if depth and isinstance(value, list | tuple | set | frozenset):
        return [_told(one, depth - 1) for one in value]
    if depth and isinstance(value, dict):
        return [(_told(key, 0), _told(one, depth - 1)) for key, one in value.items()]
    if isinstance(value, nn.Module | type) or not depth:
        return id(value)
    kind: Any = type(value)
    if kind.__repr__ is not object.__repr__:
        return (id(value), repr(value)[:LONGEST])
    inside = getattr(value, "__dict__", {})
    return (id(value), [(name, _told(one, depth - 1)) for name, one in inside.items()])
