"""Derives every seed of a job from the job's seed and the use of the new one, by a hash."""

from __future__ import annotations

import hashlib

from whichopt.service.trials import Seeds


def derive(seed: int, *names: object) -> int:
    """A seed of 31 bits for the thing that `names` name, from the job's seed."""
    text = "/".join(str(part) for part in (seed, *names))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) >> 1


def trial_seeds(seed: int, use: str, number: int) -> Seeds:
    """Return the seeds of the search replicate, or of the fresh seeds, of that number; `use` is the phase."""
    return Seeds(
        init=derive(seed, use, number, "init"),
        order=derive(seed, use, number, "order"),
        split=derive(seed, use, number, "split"),
    )
