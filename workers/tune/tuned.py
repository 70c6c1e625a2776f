"""What comes out of `tune`: the recommendation, and the ways to use it."""

from __future__ import annotations

import html
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from whichopt.service import reporting
from whichopt.service.errors import NoRecommendation
from whichopt.service.evidence.report.beside import beside_name
from whichopt.service.evidence.verdict.recommend import shown
from whichopt.service.figures.notebook import bundle
from whichopt.service.figures.shown import ranking_figure, ranking_html
from whichopt.service.figures.tones import tones
from whichopt.service.seeds import derive
from whichopt.service.spec import ResolvedSpec
from whichopt.service.states import JobState, Phase
from whichopt.service.trials import Seeds, TrialPlan
from whichopt.service.views import Recommendation, TodayAnswer
from whichopt.workers.guests import optimizers
from whichopt.workers.guests.by_hand import hand_run
from whichopt.workers.guests.guest import Guest
from whichopt.workers.guests.run import Run
from whichopt.workers.tune.folder import Folder, opened

FINAL = "final"
"""Use of the seeds of a final training: no trial of the job has them."""


@dataclass(frozen=True, repr=False)
class Tuned:
    """The answer about a training function.

    Attributes:
        job_id: the job in the data folder, as `whichopt show` and the page name it.
        recommendation: the conclusion with all that it rests on.
        spec: the job with every default written out.
        data: the data folder.
    """

    job_id: str
    recommendation: Recommendation
    spec: ResolvedSpec
    data: Path
    _plan: TrialPlan | None = None

    @property
    def statement(self) -> str:
        """The verdict in a sentence."""
        return self.recommendation.statement

    @property
    def today(self) -> TodayAnswer | None:
        """The answer about what is used today: `keep`, `switch` or `not distinguishable`, with the gain; None
        if `tune` was given nothing of today."""
        return self.recommendation.today

    @property
    def config(self) -> dict[str, Any] | None:
        """The config to deploy, as torch spells it; None if every finalist diverged."""
        return self.recommendation.config

    def optimizer(self, params: Any, *, no_decay: bool = False) -> Optimizer:
        """Return the recommended optimizer, set as recommended.

        Args:
            params: a model, its params, or groups of params as torch takes them.
            no_decay: whether tensors of fewer than 2 dimensions go without weight decay.

        Raises:
            NoRecommendation: nothing is recommended, as every finalist diverged.
        """
        plan = self._recommended()
        return optimizers.made(
            self.spec.optimizer(plan.label).facts, plan.config, params, no_decay=no_decay, options={}
        )

    def scheduler(self, optimizer: Optimizer, steps_per_epoch: int, *, epochs: int | None = None) -> LambdaLR:
        """Return the job's schedule of the learning rate, to be stepped after each step."""
        return self.run(epochs=epochs).scheduler(optimizer, steps_per_epoch)

    def run(self, seed: int = 0, epochs: int | None = None) -> Run:
        """Return the run of a final training by the function itself: `train(best.run(epochs=100))`.

        Args:
            seed: seed of the training, which is none of the job's.
            epochs: number of epochs; that of the job's trials by default.

        Raises:
            NoRecommendation: nothing is recommended, as every finalist diverged.
        """
        plan = self._recommended()
        length = plan.length if epochs is None else epochs
        seeds = Seeds(
            init=derive(self.spec.seed, FINAL, seed, "init"),
            order=derive(self.spec.seed, FINAL, seed, "order"),
            split=plan.seeds.split,
        )
        final = plan.model_copy(
            update={"seeds": seeds, "length": length, "evaluations": tuple(range(1, length + 1))}
        )
        return hand_run(final, Guest.of(self.spec))

    def save_report(self, path: str | Path) -> Path:
        """Save the evidence as one HTML page, which `whichopt verify` checks; return its path.

        If there are too many values by example for it, these are saved in a file beside it.
        """
        target = Path(path)
        with opened(self.data) as folder:
            with folder.store.read() as tx:
                row = tx.reports.of_job(self.job_id)
            if row is None:
                raise NoRecommendation(f"the job {self.job_id} is gone from {self.data}")
            kept = reporting.find_or_make(folder.store, folder.settings.blobs, self.job_id, "html", row)
            apart = reporting.find_examples(folder.store, folder.settings.blobs, self.job_id, row)
        target.write_bytes(kept.unpacked())
        if apart is not None:
            (target.parent / beside_name(self.job_id)).write_bytes(apart.unpacked())
        return target

    def __str__(self) -> str:
        lines = [self.statement]
        if self.config is not None:
            settings = ", ".join(f"{name}={value!r}" for name, value in self.config.items())
            lines.append(f"deploy {self.recommendation.optimizer}: {settings}")
        for one in self.recommendation.warnings:
            of = "" if one.optimizer is None else f"{one.optimizer}: "
            lines.append(f"warning: {of}{one.detail}")
        lines.append(f"job {self.job_id} in {self.data}; save_report('report.html') keeps the evidence")
        return "\n".join(lines)

    __repr__ = __str__  # in a session, too, the verdict is what is wanted

    def _repr_html_(self) -> str:
        found = self.recommendation
        return ranking_html(
            self.statement, found.shown_rows, found.shown_metric, self._tones(), _todays_html(self.today)
        )

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:  # noqa: ARG002
        """Return what a notebook shows: the table, and a figure of the finalists' intervals."""
        found = self.recommendation
        figure = ranking_figure(found.shown_rows, found.shown_metric, self._tones(), found.level)
        return bundle(self._repr_html_(), str(self), figure)

    def _tones(self) -> dict[str, int]:
        return tones({one.label: one.name for one in self.spec.optimizers})

    def _recommended(self) -> TrialPlan:
        if self._plan is None:
            raise NoRecommendation(f"nothing is recommended: {self.statement}")
        return self._plan


def _todays_html(today: TodayAnswer | None) -> str:
    """Return the answer about what is used today; it says nothing if there is none."""
    if today is None:
        return ""
    config = ", ".join(f"{name}={value!r}" for name, value in today.config.items())
    return f"<p><b>{today.answer}</b>: {html.escape(f'{today.optimizer} {config}')}</p>"


def read(folder: Folder, uid: str) -> Tuned:
    """Return the answer of a concluded job.

    Raises:
        NoRecommendation: it has none.
    """
    with folder.store.read() as tx:
        record = tx.records.of_job(uid)
    if record is None or record.recommendation is None or record.state is not JobState.SUCCEEDED:
        raise NoRecommendation(f"the job {uid} has no recommendation")
    found = record.recommendation
    plan = next(
        (
            trial.plan
            for trial in record.trials
            if trial.plan.phase is Phase.CONFIRM
            and trial.plan.label == found.optimizer
            and shown(record.spec, trial.plan.label, trial.plan.config) == found.config
        ),
        None,
    )
    return Tuned(uid, found, record.spec, folder.path, plan)
