"""The optimizers that people talk about today."""

from __future__ import annotations

from whichopt.service.catalog.optimizer_entry import Build, Meaning, OptimizerEntry, Stepping
from whichopt.service.catalog.optimizer_spaces import (
    ADAM_DEFAULT,
    ADAM_SPACE,
    BETAS,
    DECOUPLED,
    log,
    log1m,
)
from whichopt.service.space import Float, Int

WARMUP = Int(low=1, high=200, scale="log")
"""Range of a warm-up that the class has itself, in steps."""

RECENT = (
    OptimizerEntry(
        name="lion",
        title="Lion",
        build=Build(target="pytorch_optimizer.Lion", fixed={"weight_decouple": True}),
        default={"lr": 1e-4, "beta1": 0.9, "beta2": 0.99, "weight_decay": 0.1},
        class_default={"lr": 1e-4, "beta1": 0.9, "beta2": 0.99, "weight_decay": 0.0},
        # Against AdamW's ranges, lr is a tenth and the decay ten times as large, as in the paper.
        space={
            "lr": log(1e-6, 1e-2),
            "beta1": log1m(0.5, 0.99),
            "beta2": log1m(0.8, 0.9995),
            "weight_decay": log(1e-3, 10.0),
        },
        packed=BETAS,
        meaning=Meaning(decay="decoupled", squares=None),
        state_bytes=4,
        source="pytorch_optimizer.Lion; Chen et al. 2023, arXiv 2302.06675",
    ),
    OptimizerEntry(
        name="muon",
        title="Muon",
        # torch's own Muon takes matrices alone. This class steps the other params by AdamW, and weights of
        # convolutions as matrices; embeddings and the last layer are matrices like the others here, as no
        # network says which they are. Biases and gains are not decayed, as is usual.
        build=Build(target="pytorch_optimizer.Muon", fixed={"adamw_wd": 0.0}, matrices="use_muon"),
        stepping=Stepping(joinable=False),
        default={
            "lr": 2e-2,
            "momentum": 0.95,
            "weight_decay": 1e-2,
            "adamw_lr": 3e-4,
            "beta1": 0.9,
            "beta2": 0.95,
            "adamw_eps": 1e-10,
        },
        class_default={
            "lr": 2e-2,
            "momentum": 0.95,
            "weight_decay": 0.0,
            "adamw_lr": 3e-4,
            "beta1": 0.9,
            "beta2": 0.95,
            "adamw_eps": 1e-10,
        },
        space={
            "lr": log(1e-3, 0.5),
            "momentum": log1m(0.7, 0.995),
            "weight_decay": DECOUPLED,
            "adamw_lr": ADAM_SPACE["lr"],
            "beta1": ADAM_SPACE["beta1"],
            "beta2": ADAM_SPACE["beta2"],
            "adamw_eps": ADAM_SPACE["eps"],
        },
        own_limits={"adamw_lr": Float(low=1e-12, high=1e4), "adamw_eps": Float(low=1e-30, high=1e6)},
        packed={"adamw_betas": ("beta1", "beta2")},
        edges=("lr", "adamw_lr"),
        meaning=Meaning(decay="decoupled"),
        state_bytes=4,
        source="pytorch_optimizer.Muon; Jordan et al. 2024, kellerjordan.github.io/posts/muon",
    ),
    OptimizerEntry(
        name="soap",
        title="SOAP",
        build=Build(
            target="pytorch_optimizer.SOAP",
            # The class takes sides of up to 10,000, whose first step is minutes of work and 800 MB of state.
            fixed={"precondition_frequency": 10, "max_precondition_dim": 1024},
        ),
        stepping=Stepping(joinable=False),
        default={"lr": 3e-3, "beta1": 0.95, "beta2": 0.95, "eps": 1e-8, "weight_decay": 1e-2},
        space={**ADAM_SPACE, "weight_decay": DECOUPLED},
        packed=BETAS,
        meaning=Meaning(decay="decoupled"),
        state_bytes=24,
        source="pytorch_optimizer.SOAP; Vyas et al. 2024, arXiv 2409.11321",
    ),
    OptimizerEntry(
        name="adan",
        title="Adan",
        # The paper's decay divides the params by 1 + lr * weight_decay: so does this class without the flag.
        build=Build(target="pytorch_optimizer.Adan", fixed={"weight_decouple": False}),
        default={
            "lr": 1e-3,
            "beta1": 0.98,
            "beta2": 0.92,
            "beta3": 0.99,
            "eps": 1e-8,
            "weight_decay": 2e-2,
        },
        class_default={
            "lr": 1e-3,
            "beta1": 0.98,
            "beta2": 0.92,
            "beta3": 0.99,
            "eps": 1e-8,
            "weight_decay": 0.0,
        },
        space={
            "lr": ADAM_SPACE["lr"],
            "beta1": log1m(0.5, 0.995),
            "beta2": log1m(0.5, 0.995),
            "beta3": log1m(0.8, 0.9995),
            "eps": ADAM_SPACE["eps"],
            "weight_decay": DECOUPLED,
        },
        own_limits={"beta3": Float(low=0.0, high=0.999999)},
        packed={"betas": ("beta1", "beta2", "beta3")},
        meaning=Meaning(decay="decoupled", squares="beta3"),
        state_bytes=16,
        source="pytorch_optimizer.Adan; Xie et al. 2022, arXiv 2208.06677",
    ),
    OptimizerEntry(
        name="prodigy",
        title="Prodigy",
        build=Build(target="pytorch_optimizer.Prodigy", fixed={"weight_decouple": True}),
        stepping=Stepping(joinable=False),
        default={**ADAM_DEFAULT, "lr": 1.0},
        space={**ADAM_SPACE, "lr": log(0.05, 20.0), "weight_decay": DECOUPLED},
        packed=BETAS,
        meaning=Meaning(step="own", decay="decoupled"),
        state_bytes=16,
        source="pytorch_optimizer.Prodigy; Mishchenko and Defazio 2023, arXiv 2306.06101",
    ),
    OptimizerEntry(
        name="adopt",
        title="ADOPT",
        build=Build(target="pytorch_optimizer.ADOPT", fixed={"weight_decouple": False}),
        default={**ADAM_DEFAULT, "beta2": 0.9999, "eps": 1e-6},
        space={**ADAM_SPACE, "beta2": log1m(0.8, 0.9999)},
        packed=BETAS,
        meaning=Meaning(squares=None),  # it converges at any beta2
        state_bytes=8,
        source="pytorch_optimizer.ADOPT; Taniguchi et al. 2024, arXiv 2411.02853",
    ),
    OptimizerEntry(
        name="schedulefree_adamw",
        title="Schedule-Free AdamW",
        build=Build(target="pytorch_optimizer.ScheduleFreeAdamW"),
        default={**ADAM_DEFAULT, "lr": 2.5e-3, "warmup_steps": 0},
        space={
            **ADAM_SPACE,
            "beta1": log1m(0.5, 0.98),
            "weight_decay": DECOUPLED,
            "warmup_steps": WARMUP,
        },
        # The evaluated params divide by beta1.
        own_limits={"beta1": Float(low=1e-3, high=0.9999), "warmup_steps": Int(low=0, high=1_000_000)},
        packed=BETAS,
        meaning=Meaning(decay="decoupled", squares=None),
        modes=True,
        own_schedule=True,
        state_bytes=8,
        source="pytorch_optimizer.ScheduleFreeAdamW; Defazio et al. 2024, arXiv 2405.15682",
    ),
    OptimizerEntry(
        name="schedulefree_sgd",
        title="Schedule-Free SGD",
        # The class has an eps that it does not use.
        build=Build(target="pytorch_optimizer.ScheduleFreeSGD", fixed={"eps": 1e-8}),
        default={"lr": 1.0, "momentum": 0.9, "weight_decay": 0.0, "warmup_steps": 0},
        space={
            "lr": log(1e-3, 50.0),
            "momentum": log1m(0.5, 0.98),
            "weight_decay": log(1e-7, 1e-2),
            "warmup_steps": WARMUP,
        },
        own_limits={"momentum": Float(low=1e-3, high=0.9999), "warmup_steps": Int(low=0, high=1_000_000)},
        meaning=Meaning(step="raw"),
        modes=True,
        own_schedule=True,
        state_bytes=4,
        source="pytorch_optimizer.ScheduleFreeSGD; Defazio et al. 2024, arXiv 2405.15682",
    ),
)
