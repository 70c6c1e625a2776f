"""The trials of one call of the executor: begun in the order of the plans, heard, buried, judged."""

from __future__ import annotations

import contextlib
import gc
import selectors
import time
import traceback
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from threadpoolctl import ThreadpoolController

from whichopt.service.errors import FunctionFailed
from whichopt.service.states import TrialState
from whichopt.service.trials import TrialPlan, TrialResult
from whichopt.workers.engine import Cancelled, State, Watch
from whichopt.workers.guests import child as children
from whichopt.workers.guests.account import Account
from whichopt.workers.guests.child import Child
from whichopt.workers.guests.guest import Guest
from whichopt.workers.guests.optimizers import made
from whichopt.workers.guests.pipe import Sender
from whichopt.workers.guests.request import Request
from whichopt.workers.guests.slot import Slot
from whichopt.workers.guests.start import uses_cuda
from whichopt.workers.guests.template import Template
from whichopt.workers.guests.trial import perform

ASK_S = 0.2
"""Seconds between two questions if the trials are to stop."""


@dataclass(frozen=True)
class Means:
    """What the trials of a call run by; see `GuestExecutor`."""

    isolation: Literal["fork", "spawn", "inline"]
    processes: int
    stuck_s: float
    first_sign_s: float
    gpus: tuple[str, ...]
    template: Template | None = None


class Cohort:
    """The trials of one call."""

    def __init__(
        self,
        means: Means,
        guest: Guest,
        plans: Sequence[TrialPlan],
        watch: Watch,
        folder: Path,
        resume: State | None = None,
    ) -> None:
        self.means = means
        self.guest = guest
        self.plans = plans
        self.watch = watch
        self.folder = folder
        self.accounts = [Account(guest, plan) for plan in plans]
        self.results: dict[int, TrialResult] = {}
        self.slots: dict[int, Slot] = {}
        self.tried: dict[int, int] = {}
        """Of the trials that were lost: the epochs that a checkpoint had by then."""
        if resume is not None:
            self._resume(resume)

    # -- in this process -----------------------------------------------------------------------------

    def run_here(self) -> None:
        """Call the function for one trial after another."""
        assert self.guest.function is not None
        for position, plan in enumerate(self.plans):
            if position in self.results:
                continue
            account = self.accounts[position]

            def send(message: Mapping[str, Any], at: int = position) -> None:
                self._hear(at, message)

            raised = perform(
                self.guest,
                self.guest.function,
                plan,
                send,
                kept=self._kept(position),
                cancelled=self.watch.cancelled,
            )
            failure = account.failure()
            if raised is not None and failure is None:
                traceback.clear_frames(raised.__traceback__)  # a model and its data live in them
            if failure is not None:
                if raised is None:
                    raise failure
                raised.add_note(f"whichopt ran {self.guest.name} with {plan.label}: {dict(plan.config)}")
                raise raised
            if account.state is TrialState.CANCELLED:
                raise self._cancelled()
            self._finish(position)
            gc.collect()
            if uses_cuda():
                torch.cuda.empty_cache()

    # -- in children ---------------------------------------------------------------------------------

    def run_in_children(self) -> None:
        """Run up to `processes` children at once, and listen to all of them in this one thread."""
        if self.means.isolation != "fork":
            self._run_children()
            return
        self._warm()
        # What a copy of this process inherits; set in the copy, it would cost half as much as the copying.
        with ThreadpoolController().limit(limits=1):
            self._run_children()

    def _run_children(self) -> None:
        waiting = deque(at for at in range(len(self.plans)) if at not in self.results)
        again: deque[int] = deque()
        try:
            while waiting or again or self.slots:
                while waiting and len(self.slots) < self.means.processes:
                    self._start(waiting.popleft())
                if not self.slots:
                    self._start(again.popleft())  # alone: it may have been short of memory
                self._listen()
                for position in [at for at, slot in self.slots.items() if slot.is_over()]:
                    if self._bury(position):
                        again.append(position)
                if self.watch.cancelled() and (waiting or again or self.slots):
                    raise self._cancelled()
        finally:
            children.end([slot.child for slot in self.slots.values()])

    def _warm(self) -> None:
        """Make an optimizer of each class, and take a step, so that no child has to load what that loads."""
        for name, config in {plan.optimizer: plan.config for plan in self.plans}.items():
            model = torch.nn.Linear(1, 1, device="meta").to_empty(device="cpu")  # draws no number
            with contextlib.suppress(Exception):  # the trial raises it again, with its label
                made(self.guest.facts(name), config, model, options={})
        weight = torch.zeros(1, requires_grad=True)
        optimizer = torch.optim.AdamW([weight])  # torch's own: a person's class takes no step in here
        optimizer.zero_grad()
        torch.autograd.backward(weight.sum())
        optimizer.step()

    def _start(self, position: int) -> None:
        plan, log = self.plans[position], self.folder / f"{position}.log"
        log.touch()
        taken = {slot.place for slot in self.slots.values()}
        place = next(at for at in range(self.means.processes) if at not in taken)
        gpus = self.means.gpus
        environment = {"CUDA_VISIBLE_DEVICES": gpus[place % len(gpus)]} if gpus else {}
        kept = self._kept(position)
        function = self.guest.function
        if self.means.isolation == "spawn" or function is None:
            request = Request.of(self.guest, plan, kept).model_dump(mode="json")
            child = self._named(request, log, environment)
        else:
            others = [slot.child.receiver.descriptor for slot in self.slots.values()]

            def body(send: Sender) -> None:
                perform(self.guest, function, plan, send, kept=kept)

            child = children.forked(body, log, others=others, environment=environment)
        self.slots[position] = Slot(
            self.means.stuck_s, self.means.first_sign_s, child, self.accounts[position], place
        )

    def _named(self, request: Mapping[str, Any], log: Path, environment: Mapping[str, str]) -> Child:
        """Return a clean process that imports the function by its name: a copy of one, or a new one."""
        if self.means.template is None:
            return children.spawned(self.guest.name, request, log, environment=environment)
        warm = sorted({plan.optimizer for plan in self.plans})
        return self.means.template.copied(request, log, warm=warm)

    def _listen(self) -> None:
        with selectors.DefaultSelector() as selector:
            for position, slot in self.slots.items():
                if slot.child.receiver.is_open:
                    selector.register(slot.child.receiver.descriptor, selectors.EVENT_READ, position)
            before = time.monotonic()
            ready = selector.select(ASK_S) if selector.get_map() else []
            if not selector.get_map():
                time.sleep(ASK_S / 10)
            late = time.monotonic() - before - ASK_S
        for slot in self.slots.values():
            slot.heard_at += max(0.0, late)  # what stopped this process may have stopped the children, too
        for key, _ in ready:
            self._hear_child(key.data)

    def _hear_child(self, position: int) -> None:
        slot = self.slots[position]
        for message in slot.child.receiver.read():
            slot.heard_at = time.monotonic()
            self._hear(position, message)

    def _bury(self, position: int) -> bool:
        """End the child; return whether its trial is to run once more, alone."""
        slot, account = self.slots[position], self.accounts[position]
        self._hear_child(position)
        del self.slots[position]
        slot.end()
        output = slot.child.output()
        failure = account.failure(output) or (slot.why_lost(output) if account.state is None else None)
        if failure is None:
            self._finish(position)
            return False
        kept = len(account.kept_reports or ())
        # A try counts only if it left no new checkpoint: a long trial may be lost more than once.
        if slot.is_worth_another_try() and kept > self.tried.get(position, -1):
            self.tried[position] = kept
            self._begin_at(position, account.kept_reports)
            return True
        if isinstance(failure, FunctionFailed):
            failure.results = self._results()
        raise failure

    # -- what is told and kept -----------------------------------------------------------------------

    def _hear(self, position: int, message: Mapping[str, Any]) -> None:
        account = self.accounts[position]
        account.hear(message)
        if "report" in message or "resumed" in message:
            self.watch.progress(position, account.epoch, account.curve)
        if "kept" in message:
            self.watch.checkpoint(self._state)

    def _finish(self, position: int) -> None:
        account = self.accounts[position]
        self.results[position] = account.trial_result()
        self._kept(position).unlink(missing_ok=True)
        self.watch.progress(position, account.epoch, account.curve)
        self.watch.checkpoint(self._state)

    def _kept(self, position: int) -> Path:
        return self.folder / f"{position}.pt"

    def _results(self) -> list[TrialResult | None]:
        """The results so far, in the order of the plans."""
        return [self.results.get(position) for position in range(len(self.plans))]

    def _cancelled(self) -> Cancelled:
        begun = {at for at, account in enumerate(self.accounts) if account.has_begun}
        return Cancelled(
            [
                self.accounts[at].result_so_far() if result is None and at in begun else result
                for at, result in enumerate(self._results())
            ]
        )

    def _state(self) -> State:
        kept = {
            str(at): {
                "reports": account.kept_reports,
                "file": torch.frombuffer(bytearray(self._kept(at).read_bytes()), dtype=torch.uint8),
            }
            for at, account in enumerate(self.accounts)
            if at not in self.results and account.kept_reports is not None and self._kept(at).exists()
        }
        results = {str(at): result.model_dump(mode="json") for at, result in self.results.items()}
        return {"results": results, "kept": kept}

    def _resume(self, state: State) -> None:
        for at, result in state["results"].items():
            done = TrialResult.model_validate(result)
            self.results[int(at)] = done
            curve = done.curves.get(self.guest.goal.curve, ())
            self.watch.progress(int(at), done.examples, curve)
        for at, kept in state["kept"].items():
            position = int(at)
            self._kept(position).write_bytes(kept["file"].numpy().tobytes())
            self._begin_at(position, kept["reports"])
            self.watch.progress(position, self.accounts[position].epoch, self.accounts[position].curve)

    def _begin_at(self, position: int, reports: Sequence[Sequence[Any]] | None) -> None:
        """Begin the account anew, with what its checkpoint has."""
        account = Account(self.guest, self.plans[position], reports or ())
        account.kept_reports = None if reports is None else list(account.reports)
        self.accounts[position] = account
