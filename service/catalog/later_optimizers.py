"""The optimizers that AdaBelief's paper was compared with, and two more that torch has."""

from __future__ import annotations

from whichopt.service.catalog.optimizer_entry import Build, Meaning, OptimizerEntry, Stepping
from whichopt.service.catalog.optimizer_spaces import ADAM_DEFAULT, ADAM_SPACE, BETAS, log, log1m
from whichopt.service.space import Float

LATER = (
    OptimizerEntry(
        name="adagradnorm",
        title="AdaGradNorm",
        build=Build(target="adadagrad.AdaGradNorm"),
        stepping=Stepping(joinable=False),  # the norm of a row is not summed as those of its params are
        default={"lr": 1.0, "b0": 0.1, "weight_decay": 0.0},
        space={"lr": log(1e-3, 100.0), "b0": log(1e-4, 10.0), "weight_decay": log(1e-7, 1e-2)},
        own_limits={"b0": Float(low=0.0, high=1e6)},
        meaning=Meaning(step="summed"),
        state_bytes=0,
        source="Ward et al. 2019, arXiv 1806.01811; implemented here",
    ),
    OptimizerEntry(
        name="adabound",
        title="AdaBound",
        # The paper's code adds the decay to the gradient; this class's own default does not.
        build=Build(target="pytorch_optimizer.AdaBound", fixed={"weight_decouple": False}),
        default={**ADAM_DEFAULT, "final_lr": 0.1, "gamma": 1e-3},
        space={**ADAM_SPACE, "final_lr": log(1e-3, 0.5), "gamma": log(1e-4, 0.1)},
        own_limits={"final_lr": Float(low=0.0, high=1e4), "gamma": Float(low=1e-12, high=1.0)},
        packed=BETAS,
        edges=("lr", "final_lr"),
        state_bytes=8,
        source="pytorch_optimizer.AdaBound; Luo et al. 2019, arXiv 1902.09843",
    ),
    OptimizerEntry(
        name="yogi",
        title="Yogi",
        build=Build(target="pytorch_optimizer.Yogi", fixed={"weight_decouple": False}),
        default={**ADAM_DEFAULT, "lr": 1e-2, "eps": 1e-3},
        space=dict(ADAM_SPACE),
        packed=BETAS,
        state_bytes=8,
        source="pytorch_optimizer.Yogi; Zaheer et al. 2018, Adaptive Methods for Nonconvex Optimization",
    ),
    OptimizerEntry(
        name="msvag",
        title="M-SVAG",
        build=Build(target="pytorch_optimizer.MSVAG"),
        default={"lr": 1e-2, "beta": 0.9},
        space={"lr": log(1e-4, 5.0), "beta": log1m(0.5, 0.99)},
        own_limits={"beta": Float(low=0.0, high=0.9999)},
        meaning=Meaning(step="raw"),
        state_bytes=8,
        source="pytorch_optimizer.MSVAG; Balles and Hennig 2018, arXiv 1705.07774",
    ),
    OptimizerEntry(
        name="fromage",
        title="Fromage",
        build=Build(target="pytorch_optimizer.Fromage"),
        stepping=Stepping(joinable=False),
        default={"lr": 1e-2},
        space={"lr": log(1e-4, 1.0)},
        state_bytes=0,
        source="pytorch_optimizer.Fromage; Bernstein et al. 2020, arXiv 2002.03432",
    ),
    OptimizerEntry(
        name="padam",
        title="Padam",
        build=Build(target="pytorch_optimizer.PAdam", fixed={"weight_decouple": False}),
        # A power is rounded otherwise in the last few entries of a tensor.
        stepping=Stepping(joinable=False),
        default={**ADAM_DEFAULT, "lr": 0.1, "partial": 0.25},
        space={**ADAM_SPACE, "lr": log(1e-4, 1.0), "partial": Float(low=0.05, high=0.5)},
        own_limits={"partial": Float(low=1e-3, high=1.0)},
        packed=BETAS,
        meaning=Meaning(step="partial"),
        state_bytes=8,
        source="pytorch_optimizer.PAdam; Chen et al. 2020, arXiv 1806.06763",
    ),
    OptimizerEntry(
        name="adamax",
        title="Adamax",
        build=Build(target="torch.optim.Adamax"),
        default={**ADAM_DEFAULT, "lr": 2e-3},
        space=dict(ADAM_SPACE),
        packed=BETAS,
        meaning=Meaning(squares=None),
        state_bytes=8,
        source="torch.optim.Adamax; Kingma and Ba 2015, arXiv 1412.6980",
    ),
    OptimizerEntry(
        name="adadelta",
        title="Adadelta",
        build=Build(target="torch.optim.Adadelta"),
        default={"lr": 1.0, "rho": 0.9, "eps": 1e-6, "weight_decay": 0.0},
        space={
            "lr": log(1e-2, 100.0),
            "rho": log1m(0.5, 0.999),
            "eps": log(1e-10, 1e-2),
            "weight_decay": log(1e-7, 1e-2),
        },
        own_limits={"rho": Float(low=0.0, high=0.999999)},
        meaning=Meaning(step="own", floor="inside", squares="rho"),
        state_bytes=8,
        source="torch.optim.Adadelta; Zeiler 2012, arXiv 1212.5701",
    ),
)
