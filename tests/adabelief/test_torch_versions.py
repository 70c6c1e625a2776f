"""Names that only a newer torch has are not needed: without them every path still steps."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

AS_TORCH_2_9 = """
import torch
from torch.optim import Optimizer

# torch 2.11 gave it this name.
if hasattr(Optimizer, "_accelerator_graph_capture_health_check"):
    Optimizer._cuda_graph_capture_health_check = Optimizer._accelerator_graph_capture_health_check
    del Optimizer._accelerator_graph_capture_health_check

from adabelief import AdaBelief

for setting in (
    {"foreach": False},
    {"foreach": True},
    {"fused": True},
    {"fused": "torch"},
    {"capturable": True},
    {"differentiable": True},
):
    p = torch.ones(3, requires_grad=True)
    theta = p * 1 if "differentiable" in setting else p
    theta.grad = torch.ones(3)
    optimizer = AdaBelief([theta], lr=0.09, **setting)
    optimizer.step()
    torch.testing.assert_close(theta.detach(), torch.full((3,), 0.9))
    optimizer.load_state_dict(optimizer.state_dict())
    print(*setting)
"""


def test_every_path_steps_without_the_names_of_a_newer_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    done = subprocess.run(
        [sys.executable, "-c", AS_TORCH_2_9], capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["foreach", "foreach", "fused", "fused", "capturable", "differentiable"]
