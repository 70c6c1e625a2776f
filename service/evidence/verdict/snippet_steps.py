"""The part of a snippet that makes steps of examples: batches, which may grow, and the schedule."""

from __future__ import annotations

from dataclasses import dataclass

from whichopt.service.batches import GrowingBatch
from whichopt.service.space import Config
from whichopt.service.spec import ResolvedSpec
from whichopt.service.trials import Schedule, Training


@dataclass(frozen=True)
class Steps:
    """The way in which a config's trials make steps, as code; its names are those of the snippets.

    `total` is the number of batches as code. `examples` is that of the examples in all of them; only batches
    that grow need it.
    """

    training: Training
    epochs: int
    total: str = "epochs * -(-len(inputs) // batch_size)"
    examples: str = "epochs * len(inputs)"

    @property
    def settings(self) -> list[str]:
        """The lines before the loop. `batch_size` is what the loop goes through the data by."""
        training, growing = self.training, self.training.growing
        sizes = f"batch_size, epochs = {training.batch_size}, {self.epochs}"
        if growing is None:
            return [sizes, *schedule_lines(training.schedule, f"total_steps = {self.total}")]
        return [
            f"{sizes}  # the examples of a micro-batch",
            *_growing(growing, training.batch_size),
            f"total_examples, seen = {self.examples}, 0",
            *_by_examples(training.schedule),
        ]

    @property
    def has_total(self) -> bool:
        """Whether `settings` sets `total_steps`."""
        return self.training.growing is None and _changes(self.training.schedule)

    def lines(self, margin: str) -> list[str]:
        """Return the lines in the loop that make a step of `loss`, the loss of `batch`."""
        clip_norm, changes = self.training.clip_norm, _changes(self.training.schedule)
        clipped = f"torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm={clip_norm!r})"
        clips = [] if clip_norm is None else [clipped]
        lines = ["optimizer.zero_grad()", "loss.backward()"]
        if self.training.growing is None:
            lines += [*clips, "optimizer.step()", *(["scheduler.step()"] if changes else [])]
        else:
            middle = "middle = seen - (growing.seen + len(batch)) / 2  # of the batch so far"
            lowered = [
                "for group, lr in zip(optimizer.param_groups, lrs):",
                '    group["lr"] = lr * factor(middle)',
            ]
            inside = [*(lowered if changes else []), *clips, "optimizer.step()"]
            lines += [
                "seen += len(batch)",
                *([middle] if changes else []),
                "if growing.add(len(batch), last=seen == total_examples):",
                *(f"    {line}" for line in inside),
            ]
        return [f"{margin}{line}" for line in lines]


def steps_of(spec: ResolvedSpec, label: str, config: Config) -> Steps:
    """Return the way in which trials of that label and config make steps of `inputs`."""
    return Steps(spec.training_of(label, config), spec.budget.epochs)


def _growing(growing: GrowingBatch, micro: int) -> list[str]:
    return [
        "growing = AdaptiveBatch(  # which tells when a batch is full, and how large the next one is",
        "    model.parameters(),",
        f"    Growth(eta={growing.eta!r}, start={growing.start!r}, factor={growing.growth!r}, "
        f"most={growing.most!r}, micro={micro!r}),",
        ")",
    ]


def schedule_lines(schedule: Schedule, total: str) -> list[str]:
    """Return the schedule as a closed form over the share of steps that are done; nothing if lr is constant.

    `total` is the line that sets `total_steps`.
    """
    if not _changes(schedule):
        return []
    return [
        total,
        *_factor(schedule, "step", "min(1.0, (step + 0.5) / total_steps)  # at the middle of the step"),
        "scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)",
    ]


def _by_examples(schedule: Schedule) -> list[str]:
    """Return the schedule over the share of examples: steps of batches that grow are no measure of it."""
    if not _changes(schedule):
        return []
    return [
        *_factor(schedule, "examples", "examples / total_examples"),
        'lrs = [group["lr"] for group in optimizer.param_groups]',
    ]


def _changes(schedule: Schedule) -> bool:
    return schedule.name != "constant" or schedule.warmup > 0


def _factor(schedule: Schedule, argument: str, done: str) -> list[str]:
    """Return the function of what is done, with blank lines around it."""
    warmup, decay, milestones = schedule.warmup, schedule.decay, [*(schedule.milestones or ())]
    falls = {
        "constant": "1.0",
        "cosine": f"0.5 * (1 + math.cos(math.pi * (done - {warmup!r}) / (1 - {warmup!r})))",
        "linear": f"(1 - done) / (1 - {warmup!r})",
        "trapezoid": f"min(1.0, (1 - done) / {decay!r})",
        "step": f"{schedule.factor!r} ** sum(done >= milestone for milestone in {milestones!r})",
    }
    rise = [f"    if done < {warmup!r}:", f"        return done / {warmup!r}"]
    return [
        "",
        "",
        f"def factor({argument}):",
        f'    """The learning rate as a share of lr: {schedule.said}, warm-up {warmup:.0%}."""',
        f"    done = {done}",
        *(rise if warmup else []),
        f"    return {falls[schedule.name]}",
        "",
        "",
    ]
