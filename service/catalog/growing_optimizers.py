"""Adagrad and AdaGradNorm with a batch size that grows: AdAdaGrad (arXiv 2402.11215)."""

from __future__ import annotations

from whichopt.service.catalog.optimizer_entry import Build, Meaning, OptimizerEntry, Stepping
from whichopt.service.catalog.optimizer_spaces import GROWING_SPACE, log
from whichopt.service.space import Float

GROWING = (
    OptimizerEntry(
        name="adadagrad",
        title="AdAdaGrad",
        build=Build(target="torch.optim.Adagrad"),
        stepping=Stepping(joinable=False, faster={"fused": True}),
        default={
            "lr": 1e-2,
            "eps": 1e-10,
            "weight_decay": 0.0,
            "batch_eta": 0.5,
            "batch_start": 32,
            "batch_growth": 2.0,
        },
        space={
            "lr": log(1e-4, 1.0),
            "eps": log(1e-12, 1e-2),
            "weight_decay": log(1e-7, 1e-2),
            **GROWING_SPACE,
        },
        meaning=Meaning(step="summed"),
        state_bytes=4,
        source="torch.optim.Adagrad, with the batch size of Lau et al. 2024, arXiv 2402.11215",
    ),
    OptimizerEntry(
        name="adadagradnorm",
        title="AdAdaGradNorm",
        build=Build(target="adadagrad.AdaGradNorm"),
        stepping=Stepping(joinable=False),  # the norm of a row is not summed as those of its params are
        default={
            "lr": 1.0,
            "b0": 0.1,
            "weight_decay": 0.0,
            "batch_eta": 0.5,
            "batch_start": 32,
            "batch_growth": 2.0,
        },
        space={
            "lr": log(1e-3, 100.0),
            "b0": log(1e-4, 10.0),
            "weight_decay": log(1e-7, 1e-2),
            **GROWING_SPACE,
        },
        own_limits={"b0": Float(low=0.0, high=1e6)},
        meaning=Meaning(step="summed"),
        state_bytes=0,
        source="adadagrad.AdaGradNorm, with the batch size of Lau et al. 2024, arXiv 2402.11215",
    ),
)
