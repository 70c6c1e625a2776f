"""What is installed is imported by a process of its own: whatever one does there, the others are offered."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.builders.plugins import on_path, package
from whichopt.service.catalog.plugins import BrokenOffer, Offer
from whichopt.workers.plugins.offered import offered

GOOD = "import torch\ndef net(shape, width=8, kind=torch.nn.Linear, *, depth: int, **more): ..."
SPACE = "from whichopt.extend import *\nLR = Float(low=1e-3, high=1.0, scale='log')\n"
LATE_S = 2.0
"""Seconds after which an import is given up."""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Offer]]:
    """What a worker tells of many packages, most of them broken; by name."""
    site = tmp_path_factory.mktemp("site")
    package(site, "good", GOOD, model={"good": "net"})
    package(site, "talks", "print('hello', flush=True)\ndef net(shape): ...", model={"talks": "net"})
    package(site, "raises", "import nothing_of_that_name", model={"raises": "net"})
    package(site, "exits", "raise SystemExit('not today')", model={"exits": "net"})
    package(site, "dies", "import os\nprint('farewell', flush=True)\nos._exit(3)", model={"dies": "net"})
    package(site, "hangs", "import time\ntime.sleep(600)", model={"hangs": "net"})
    package(site, "lacks", "net = 1", model={"lacks": "netz", "no-callable": "net", "no name": "net"})
    package(site, "takes", "def net(shape): ...", model={"mlp": "net", "twice": "net"})
    package(site, "takes_too", "def net(shape): ...", version="2.0", model={"twice": "net"})
    package(
        site,
        "threads",
        "import torch\ntorch.set_num_threads(7)\ndef net(shape): ...",
        model={"threads": "net"},
    )
    data = SPACE + "data = Dataset(load=lambda: ..., task='sorting', shape=Shape(9, 2, 2))\nload = len"
    package(site, "data", data, dataset={"sorting": "data", "bare": "load"})
    optimizers = SPACE + (
        "import torch\nclass Mine(torch.optim.SGD): ...\n"
        "no_class = Optimizer(target='steps.Nine', default={'lr': 0.1}, space={'lr': LR})\n"
        "M = Float(low=0, high=1)\n"
        "no_lr = Optimizer(target='steps.Mine', default={'momentum': 0.1}, space={'momentum': M})\n"
        "no_such = Optimizer(target='steps.Mine', default={'lr': 0.1, 'x': 1.0}, space={'lr': LR, 'x': LR})\n"
        "good = Optimizer(target='steps.Mine', default={'lr': 0.1}, space={'lr': LR})\n"
    )
    points = {
        "no-class": "no_class",
        "no-lr": "no_lr",
        "no-such": "no_such",
        "steps": "good",
        "a-class": "Mine",
    }
    package(site, "steps", optimizers, optimizer=points)
    with pytest.MonkeyPatch.context() as patch, on_path(site):
        patch.setenv("PYTHONPATH", os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")]))
        yield {one.name: one for one in offered(limit_s=LATE_S)}


def problem(told: dict[str, Offer], name: str) -> str:
    offer = told[name]
    assert isinstance(offer, BrokenOffer)
    return offer.problem


def test_good_ones_are_offered_whatever_others_do(told: dict[str, Offer]) -> None:
    sound = {name for name, one in told.items() if not isinstance(one, BrokenOffer)}
    assert sound == {"good", "talks", "threads", "steps"}


def test_options_are_the_callables_own_that_a_job_can_write(told: dict[str, Offer]) -> None:
    good = told["good"]
    assert good.kind == "model"
    assert {name: (one.type, one.default, one.required) for name, one in good.options.items()} == {
        "width": ("integer", 8, False),
        "depth": ("integer", None, True),
    }
    assert good.is_open


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("raises", "importing raises:net raised ModuleNotFoundError: No module named 'nothing_of_that_name'"),
        ("exits", "importing exits:net raised SystemExit: not today"),
        ("dies", "importing it ended its process (3); the last it said: farewell"),
        ("hangs", f"importing it took more than {LATE_S:g} s"),
        (
            "lacks",
            "the model 'lacks' from lacks 1.0 cannot be used: importing lacks:netz raised AttributeError",
        ),
        ("no-callable", "lacks:net is of the type int; a model is a callable make(shape, **options)"),
        ("no name", "'no name' is no name for a model: letters, digits"),
        ("mlp", "whichopt itself has a model 'mlp'; offer yours under another name, such as 'our-mlp'"),
        ("twice", "the packages takes and takes_too both offer a model 'twice': uninstall one of the two"),
        ("sorting", "is for the task 'sorting'; a plug-in's data are for classification or regression"),
        ("bare", "a dataset is whichopt.extend.Dataset(load=..., task=..., shape=Shape(...))"),
        ("no-class", "raised AttributeError: module 'steps' has no attribute 'Nine'"),
        ("no-lr", "space needs an lr, a Float above 0"),
        ("no-such", "Mine takes no x"),
        ("a-class", "an optimizer is whichopt.extend.Optimizer(target='package.module.Class'"),
    ],
)
def test_of_each_broken_one_it_is_said_what_is_wrong(told: dict[str, Offer], name: str, said: str) -> None:
    assert said in problem(told, name)
    assert told[name].origin.package is not None
    assert "hello" not in problem(told, name), "which another one has said"
