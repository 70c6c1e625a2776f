"""Settings that make a GPU compute the same bits each time, in float32."""

from __future__ import annotations

import torch


def repeat_to_the_bit() -> None:
    """Make this process choose kernels that repeat to the bit, and that keep all digits of float32."""
    torch.backends.cudnn.deterministic = True  # a trial's result is a pure function of its plan
    # Convolutions in TF32 keep 10 bits of each factor: no executor would agree with another, nor with a CPU.
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
