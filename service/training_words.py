"""The batches and the schedule of a config in words, for pages and reports. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from whichopt.service.batches import TRAINING, first_size, grows, last_size
from whichopt.service.space import Config
from whichopt.service.spec import ResolvedSpec


def growing_part(spec: ResolvedSpec, label: str, config: Mapping[str, Any]) -> Config | None:
    """Return the part of a complete config that says how its batches grow; None if they are of one size."""
    own = spec.optimizer(label).facts.of_training(config)
    return own if grows(own) else None


def batches_line(spec: ResolvedSpec, label: str, config: Mapping[str, Any]) -> str:
    """Say how large the batches of a complete config are, or how they grow."""
    own = growing_part(spec, label, config)
    if own is None:
        return f"batches of {spec.training_of(label, dict(config)).batch_size}"
    return (
        f"batches that may grow from {first_size(own):,} to {last_size(own):,} examples (norm test "
        f"with batch_eta {own['batch_eta']:.3g})"
    )


def schedule_line(spec: ResolvedSpec, label: str, config: Mapping[str, Any]) -> str:
    """Say how the learning rate of a complete config changes over a trial."""
    schedule = spec.training_of(label, dict(config)).schedule
    warmup = f" after a warm-up of {100 * schedule.warmup:.0f}%" if schedule.warmup else ""
    return f"{schedule.said}{warmup}"


def own_training(spec: ResolvedSpec) -> str:
    """Say which labels have batches or a schedule of their own; nothing if all have the job's."""
    found = []
    for label in spec.trained_labels:
        chosen = spec.optimizer(label)
        own = [name for name in chosen.space if not chosen.facts.is_own(name)]
        said = ["batches that grow"] if grows(dict.fromkeys(own)) else []
        said += [name for name in own if name in TRAINING]
        if said:
            found.append(f"{label} ({', '.join(said)})")
    return ", ".join(found)
