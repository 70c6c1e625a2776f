"""Makes every Python process that has this folder on its path believe in the made-up cards: torch is built
for them, and can use all but those that MADE_UP_FAILING lists."""

import os

if "MADE_UP_GPUS" in os.environ:
    from whichopt.workers import gpus

    failing = os.environ.get("MADE_UP_FAILING", "").split()
    gpus.torch_platform = lambda: "cuda"
    gpus.failing = lambda gpus: {gpu: "too old for torch" for gpu in gpus if gpu.id in failing}
