"""Where every seed of a job comes from: its own seed and what the seed is for, by a hash."""

from __future__ import annotations

import hashlib

from whichopt.service.trials import Seeds


def derive(seed: int, *names: object) -> int:
    """A seed of 31 bits for the thing that `names` name, from the job's seed."""
    text = "/".join(str(part) for part in (seed, *names))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) >> 1


def trial_seeds(seed: int, use: str, number: int) -> Seeds:
    """Those of search's replicate or of confirm's fresh seeds (`use` is the phase) of that number."""
    return Seeds(
        init=derive(seed, use, number, "init"),
        order=derive(seed, use, number, "order"),
        split=derive(seed, use, number, "split"),
    )
