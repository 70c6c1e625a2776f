"""A recommended config in the form that another program reads: JSON, PyTorch, Lightning, Transformers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from whichopt.service.batches import first_size, last_size
from whichopt.service.catalog.optimizer_entry import Build
from whichopt.service.evidence.verdict.snippet_steps import schedule_lines
from whichopt.service.spec import ResolvedSpec
from whichopt.service.trials import Schedule, Training
from whichopt.service.views import Recommendation

OF_TRANSFORMERS = {"constant": "constant", "cosine": "cosine", "linear": "linear"}
"""Transformers' names of the schedules; with a warm-up that of `constant` is another."""


def written(form: str, spec: ResolvedSpec, recommendation: Recommendation) -> str:
    """Return the text of a recommended config.

    Args:
        form: one of FORMS.
        spec: the job's.
        recommendation: the job's, with a config.

    Raises:
        KeyError: there is no such form.
        ValueError: nothing is recommended.
    """
    if recommendation.config is None or recommendation.optimizer is None:
        raise ValueError("the job recommends no config")
    return FORMS[form](spec, recommendation)


def _json(spec: ResolvedSpec, recommendation: Recommendation) -> str:
    content: dict[str, Any] = {
        "job": recommendation.job_id,
        "verdict": recommendation.verdict,
        "optimizer": recommendation.optimizer,
        "class": _target(spec, recommendation),
        "arguments": _arguments(spec, recommendation),
        "schedule": None
        if (schedule := _schedule(spec, recommendation)) is None
        else schedule.model_dump(mode="json"),
    }
    if matrices := _build(spec, recommendation).matrices:
        content["matrices"] = matrices
    if spec.guest is None:
        content |= {
            "epochs": spec.budget.epochs,
            "batch_size": _batch_size(_training(spec, recommendation)),
            "clip_norm": spec.clip_norm,
        }
    return json.dumps(content, indent=1) + "\n"


def _torch(spec: ResolvedSpec, recommendation: Recommendation) -> str:
    del spec
    assert recommendation.snippet is not None
    return recommendation.snippet


def _lightning(spec: ResolvedSpec, recommendation: Recommendation) -> str:
    """Return the part of a config file of LightningCLI, which makes the optimizer."""
    arguments = _arguments(spec, recommendation)
    lines = [
        f"# {_named(recommendation)} Pass it by --config, beside your own.",
        *_groups_note(spec, recommendation),
        *_modes_note(spec, recommendation),
        *_batch_note(spec, recommendation),
        *_schedule_note(spec, recommendation, "return it from configure_optimizers (its code: --as torch)"),
        "optimizer:",
        f"  class_path: {_target(spec, recommendation)}",
        "  init_args:",
        *(f"    {name}: {_yaml(value)}" for name, value in arguments.items()),
    ]
    if spec.guest is None:
        lines += ["trainer:", f"  max_epochs: {spec.budget.epochs}"]
        if spec.clip_norm is not None:
            lines.append(f"  gradient_clip_val: {_yaml(spec.clip_norm)}")
    return "\n".join(lines) + "\n"


def _transformers(spec: ResolvedSpec, recommendation: Recommendation) -> str:
    """Return code with TrainingArguments and the optimizer, which Trainer takes as it is.

    By name (`optim`) or by class, Trainer would put its own weight decay into the groups of params.
    """
    target = _target(spec, recommendation)
    package, _, name = target.rpartition(".")
    of_torch = package.startswith("torch.")
    arguments = _arguments(spec, recommendation)
    schedule = _schedule(spec, recommendation)
    counted = schedule is not None and schedule.name in ("trapezoid", "step")
    scheduler = _own_scheduler(schedule)
    lines = [
        *(["import torch"] if of_torch or scheduler else []),
        *([] if of_torch else [f"from {package} import {name}"]),
        "from transformers import Trainer, TrainingArguments",
        "",
        f"# {_named(recommendation)}",
        *_growing_note(spec, recommendation, "Trainer makes batches of one size; this is its first"),
        *([f"epochs, steps_per_epoch = {spec.budget.epochs}, 100  # your number of steps here"] * counted),
        "arguments = TrainingArguments(",
        '    output_dir="out",',
        *(f"    {line}," for line in _training_arguments(spec, recommendation, schedule)),
        ")",
        f"optimizer = {target if of_torch else name}(",
        f"    {_build(spec, recommendation).params_code('model.parameters()')},  # or your groups of params",
        *(f"    {name}={_python(value)}," for name, value in arguments.items()),
        ")",
        *scheduler,
        "trainer = Trainer(",
        "    model=model,",
        "    args=arguments,",
        "    train_dataset=train_dataset,",
        "    eval_dataset=eval_dataset,",
        "    optimizers=(optimizer, scheduler),"
        if scheduler
        else "    optimizers=(optimizer, None),  # the schedule is that of the arguments",
        ")",
    ]
    return "\n".join(lines) + "\n"


def _training_arguments(
    spec: ResolvedSpec, recommendation: Recommendation, schedule: Schedule | None
) -> Sequence[str]:
    lines = []
    if spec.guest is None:
        training = _training(spec, recommendation)
        size = training.batch_size if training.growing is None else first_size(recommendation.config or {})
        lines += [
            f"num_train_epochs={spec.budget.epochs}",
            f"per_device_train_batch_size={size}",
            f"max_grad_norm={0.0 if spec.clip_norm is None else spec.clip_norm!r}",
        ]
    if schedule is None:
        return lines if spec.guest is None else ["# as your function has them"]
    if schedule.name == "trapezoid":
        steps = f"round({schedule.decay!r} * epochs * steps_per_epoch)"
        lines += [
            'lr_scheduler_type="warmup_stable_decay"',
            f'lr_scheduler_kwargs={{"num_decay_steps": {steps}, "decay_type": "linear"}}',
        ]
    elif schedule.name == "step":
        return lines
    else:
        name = OF_TRANSFORMERS[schedule.name]
        name += "_with_warmup" if schedule.name == "constant" and schedule.warmup else ""
        lines.append(f'lr_scheduler_type="{name}"')
    if schedule.warmup:
        lines.append(f"warmup_steps={schedule.warmup!r}")  # below 1 it is a share of all steps
    return lines


def _own_scheduler(schedule: Schedule | None) -> Sequence[str]:
    """Return the code of a schedule that Transformers does not have, which Trainer steps as its own."""
    if schedule is None or schedule.name != "step":
        return []
    return [*schedule_lines(schedule, "total_steps = epochs * steps_per_epoch"), ""]


FORMS: Mapping[str, Callable[[ResolvedSpec, Recommendation], str]] = {
    "json": _json,
    "torch": _torch,
    "lightning": _lightning,
    "hf": _transformers,
}
"""The forms by their names."""


def _build(spec: ResolvedSpec, recommendation: Recommendation) -> Build:
    assert recommendation.optimizer is not None
    return spec.optimizer(recommendation.optimizer).facts.build


def _target(spec: ResolvedSpec, recommendation: Recommendation) -> str:
    return _build(spec, recommendation).target


def _arguments(spec: ResolvedSpec, recommendation: Recommendation) -> dict[str, Any]:
    """Return the arguments of the class alone."""
    assert recommendation.optimizer is not None
    facts = spec.optimizer(recommendation.optimizer).facts
    return {**facts.own(recommendation.config or {}), **facts.build.fixed}


def _groups_note(spec: ResolvedSpec, recommendation: Recommendation) -> list[str]:
    """Return what to do where the class takes groups of params, which LightningCLI does not make."""
    if not _build(spec, recommendation).matrices:
        return []
    return [
        "# It takes two groups of params, which LightningCLI does not make: make it in configure_optimizers",
        "# (its code: --as torch).",
    ]


def _modes_note(spec: ResolvedSpec, recommendation: Recommendation) -> list[str]:
    """Return what to do with an optimizer that has modes, which Lightning does not set."""
    assert recommendation.optimizer is not None
    if not spec.optimizer(recommendation.optimizer).facts.modes:
        return []
    return [
        "# Call its eval() before the network is evaluated or saved, and its train() before training goes",
        "# on: Lightning calls neither (hooks such as on_validation_start and on_train_epoch_start can).",
    ]


def _training(spec: ResolvedSpec, recommendation: Recommendation) -> Training:
    assert recommendation.optimizer is not None
    return spec.training_of(recommendation.optimizer, recommendation.config or {})


def _batch_size(training: Training) -> int | dict[str, Any]:
    """Return the batch size as a job's space takes it."""
    growing = training.growing
    if growing is None:
        return training.batch_size
    return {
        "adaptive": "norm",
        "eta": growing.eta,
        "start": growing.start,
        "growth": growing.growth,
        "max": growing.most,
        "micro": training.batch_size,
    }


def _batch_note(spec: ResolvedSpec, recommendation: Recommendation) -> list[str]:
    """Say the batch size, which is no setting of the trainer."""
    if spec.guest is not None:
        return []
    training = _training(spec, recommendation)
    if training.growing is None:
        return [f"# The batches had {training.batch_size} examples; make them so in your data."]
    return _growing_note(spec, recommendation, "it takes a loop of your own")


def _growing_note(spec: ResolvedSpec, recommendation: Recommendation, instead: str) -> list[str]:
    growing = None if spec.guest is not None else _training(spec, recommendation).growing
    if growing is None:
        return []
    first, last = (size(recommendation.config or {}) for size in (first_size, last_size))
    return [
        f"# The batch grew from {first} to at most {last} examples by the norm test with eta "
        f"{growing.eta:g};",
        f"# {instead} (the code of one that grows: --as torch).",
    ]


def _schedule(spec: ResolvedSpec, recommendation: Recommendation) -> Schedule | None:
    """Return the schedule that the config was trained with; None if a function has its own."""
    if spec.guest is None:
        return _training(spec, recommendation).schedule
    known = spec.guest.rehearsed
    return spec.schedule if known is not None and known.scheduled else None


def _schedule_note(spec: ResolvedSpec, recommendation: Recommendation, what_to_do: str) -> list[str]:
    schedule = _schedule(spec, recommendation)
    if schedule is None or (schedule.name == "constant" and not schedule.warmup):
        return []
    warmup = f" with a warm-up of {schedule.warmup:.0%}" if schedule.warmup else ""
    return [f"# The schedule was {schedule.said}{warmup}; {what_to_do}."]


def _named(recommendation: Recommendation) -> str:
    return (
        f"{recommendation.optimizer} for {recommendation.title}, by whichopt's job {recommendation.job_id}."
    )


def _python(value: Any) -> str:
    return repr(tuple(value) if isinstance(value, list) else value)


def _yaml(value: Any) -> str:
    """Return a value as YAML; a float without a point, such as 1e-05, would be read as text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_yaml, value))}]"
    if isinstance(value, float):
        return re.sub(r"^(-?\d+)e", r"\1.0e", repr(value))
    return json.dumps(value)
