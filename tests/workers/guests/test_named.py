"""Functions by their names: what a runner is told, and what a worker learns of them without an import."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.builders.optimizers import SIGN_DESCENT
from tests.builders.training_functions import guest, plan
from whichopt.service.errors import FunctionChanged, FunctionFailed, FunctionStuck, UnknownFunction
from whichopt.service.trials import TrialPlan
from whichopt.workers.engine import Unwatched
from whichopt.workers.guests.executor import GuestExecutor
from whichopt.workers.guests.offered import source_of_named
from whichopt.workers.guests.request import Request
from whichopt.workers.guests.source import source_of_file

NAMED = "tests.builders.training_functions:fit"


def test_a_request_comes_back_from_json() -> None:
    named = guest(
        None,
        name=NAMED,
        options={"depth": [1, None]},
        baseline=2.0,
        allow=(NAMED,),
        arguments=("--fast",),
        optimizers={"sign-descent": SIGN_DESCENT.facts},
    )
    request = Request.of(named, plan(), Path("kept.pt"))
    again = Request.model_validate_json(request.model_dump_json())
    assert again == request
    assert again.guest.facts("sign-descent") == SIGN_DESCENT.facts
    assert again.guest.facts("adam").build.target == "torch.optim.Adam"


def test_an_optimizer_that_the_catalog_lacks_is_taken_by_its_facts() -> None:
    def own(number: int) -> TrialPlan:
        facts = SIGN_DESCENT.facts
        config = dict(facts.default)
        return plan(number=number).model_copy(update={"optimizer": "mine", "label": "mine", "config": config})

    named = guest(None, name=NAMED, optimizers={"mine": SIGN_DESCENT.facts})
    (result,) = GuestExecutor().run(named, [own(0)], Unwatched())
    assert result.value is not None


def test_a_source_is_found_without_an_import_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    module = tmp_path / "ourlab_training.py"
    module.write_text("def fit(run):\n    run.report(loss=1.0)\n")
    named = guest(None, name="ourlab_training:fit", allow=("ourlab_training:fit",))
    assert source_of_named(named) == source_of_file(module).sha256
    assert "ourlab_training" not in sys.modules
    with pytest.raises(UnknownFunction):
        source_of_named(guest(None, name="ourlab_training:other", allow=("ourlab_training:fit",)))

    module.write_text("1 / 0\n")
    with pytest.raises(FunctionFailed, match="ZeroDivisionError"):
        source_of_named(named)
    module.write_text("import time\ntime.sleep(60)\n")
    with pytest.raises(FunctionStuck, match="took more than"):
        source_of_named(named, limit_s=0.5)


def test_what_a_module_starts_at_its_import_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    module = tmp_path / "starts_another.py"
    module.write_text(
        "import os, time\nif os.fork() == 0:\n    time.sleep(3600)\ndef fit(run):\n    run.report(loss=1.0)\n"
    )
    named = guest(None, name="starts_another:fit")
    assert source_of_named(named, limit_s=3600.0) == source_of_file(module).sha256


@pytest.mark.parametrize("name", [":", ":fit", "ourlab_training:"])
def test_a_name_without_both_parts_is_refused(name: str) -> None:
    with pytest.raises(UnknownFunction, match="is no name of a function; give module:function"):
        source_of_named(guest(None, name=name))


def test_another_function_than_the_rehearsed_one_is_refused() -> None:
    with pytest.raises(FunctionChanged, match=f"but the one that was rehearsed has {'0' * 64}"):
        GuestExecutor().run(guest(None, name=NAMED, source="0" * 64), [plan()], Unwatched())
