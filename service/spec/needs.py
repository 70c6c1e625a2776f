"""What a job needs that only some workers may have: a person's own function, and plug-ins, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from whichopt.service.installed import Kind


def need(kind: Kind, name: str) -> str:
    """Return what a job calls its need of a plug-in; a name that the operator allows is called by itself."""
    return name if ":" in name else f"{kind} {name}"


def needs_of(raw: Any) -> tuple[str, ...]:
    """Return what a stored spec needs of its workers, whatever else it holds."""
    spec = _part(raw)
    workload = _part(spec.get("workload"))
    kinds: tuple[Kind, ...] = ("model", "dataset")
    named = spec.get("optimizers")
    optimizers = [*(named if isinstance(named, list | tuple) else ()), spec.get("today")]
    found = [
        _part(workload.get("function")).get("name"),
        *(need(kind, _name(workload.get(kind))) for kind in kinds if workload.get(f"{kind}_origin")),
        *(need("optimizer", _name(one)) for one in optimizers if _part(one).get("origin")),
    ]
    return tuple(dict.fromkeys(name for name in found if isinstance(name, str)))


def _name(raw: Any) -> str:
    return str(_part(raw).get("name"))


def _part(raw: Any) -> Mapping[str, Any]:
    return raw if isinstance(raw, Mapping) else {}
