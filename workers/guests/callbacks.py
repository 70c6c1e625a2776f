"""Callbacks that report for a framework's trainer, made from the module that the person has imported."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any, Protocol

LIGHTNING = ("lightning.pytorch", "pytorch_lightning")

CLOCKS = ("_runtime", "_per_second")
"""Ends of the names of Hugging Face's metrics that tell of the machine: a result is no function of those."""


class Reporter(Protocol):
    """What a callback needs of a run."""

    @property
    def testing(self) -> bool:
        """Whether `run.test` scores now."""
        ...

    def report(self, **metrics: Any) -> None:
        """End an epoch."""
        ...

    def refuse(self, code: str, detail: str) -> None:
        """Tell that the function cannot be run."""
        ...


def lightning(run: Reporter) -> Any:
    """Return a callback for a Lightning Trainer; see `Run.lightning`.

    Raises:
        RuntimeError: Lightning is not imported.
    """
    module = _imported(LIGHTNING, "run.lightning")

    class Reports(module.Callback):  # type: ignore[misc, name-defined]
        """Reports what the module has logged when a training epoch ends, which is after its validation."""

        def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
            del pl_module, stage
            if trainer.world_size > 1:
                _refuse_several(run)

        def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
            del pl_module
            run.report(**dict(trainer.callback_metrics))

    return Reports()


def transformers(run: Reporter) -> Any:
    """Return a callback for a Hugging Face Trainer; see `Run.transformers`.

    Raises:
        RuntimeError: transformers is not imported.
    """
    module = _imported(("transformers",), "run.transformers")

    class Reports(module.TrainerCallback):  # type: ignore[misc, name-defined]
        """Reports each evaluation while the trainer trains; those before and after it are the person's."""

        training = False

        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            del state, control
            if args.world_size > 1:
                _refuse_several(run)
            self.training = True

        def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            del args, state, control
            self.training = False

        def on_evaluate(
            self, args: Any, state: Any, control: Any, metrics: dict[str, Any] | None = None, **_: Any
        ) -> None:
            del args, state, control
            if self.training and not run.testing:
                run.report(
                    **{
                        name: value
                        for name, value in (metrics or {}).items()
                        if name != "epoch" and not name.endswith(CLOCKS)
                    }
                )

    return Reports()


def _refuse_several(run: Reporter) -> None:
    """Refuse training in several processes, which seeds and a pipe to one of them do not cover."""
    run.refuse("distributed_unsupported", "it trains in several processes: give the trainer one device")
    raise RuntimeError("whichopt runs a training function in one process: give the trainer one device")


def _imported(names: tuple[str, ...], what: str) -> ModuleType:
    for name in names:
        if name in sys.modules:
            return sys.modules[name]
    raise RuntimeError(f"{what}() makes a callback of {' or '.join(names)}: import it first")
