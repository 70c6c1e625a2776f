"""Snippets of language models run as pasted: on the job's windows, with its network, to its score."""

from __future__ import annotations

import dataclasses
import gzip
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.builders.texts import prose, upload_text
from whichopt.service.catalog.built_in import built_in
from whichopt.service.evidence.verdict.snippet_language import LANE, LANES
from whichopt.service.evidence.verdict.snippet_tasks import snippet_of
from whichopt.service.seeds import trial_seeds
from whichopt.service.spec import JobSpec, ResolvedSpec, resolve
from whichopt.service.states import Phase
from whichopt.workers.workload import Workload, build, language

Ran = dict[str, Any]

SMALL = {"lstm": {"hidden": 8, "embedding": 4}, "transformer": {"layers": 1, "heads": 2, "width": 8}}


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    """Which is faster for networks this small."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def _ran(spec: ResolvedSpec, label: str = "adabelief") -> Ran:
    code = snippet_of(spec, label, spec.optimizer(label).default)
    names: Ran = {"__name__": "pasted"}
    exec(compile(code, "snippet", "exec"), names)
    return names


def _job(model: dict[str, Any], dataset: Any, folder: Path | None = None, **rest: Any) -> ResolvedSpec:
    catalog = built_in()
    if folder is not None:
        data = upload_text(folder / "blobs", prose())
        catalog = dataclasses.replace(catalog, datasets=(*catalog.datasets, data))
    job = {
        "workload": {"dataset": dataset, "model": model, **rest.pop("workload", {})},
        "optimizers": ["adabelief", "sgd"],
        "budget": {"trials": 4, "replicates": 2, "epochs": 3, "confirm_seeds": 3},
        "batch_size": 8,
        **rest,
    }
    return resolve(JobSpec.model_validate(job), catalog)


def _check(spec: ResolvedSpec, ran: Ran, workload: Workload, printed: str) -> None:
    """Hold what the snippet did against what the job does with the network that the snippet trained."""
    splits = workload.splits(trial_seeds(spec.seed, Phase.CONFIRM, 0).split)
    for name in ("train", "test"):
        wanted = splits.named(name)
        assert torch.equal(ran["inputs"][ran[name]], wanted.inputs.long())
        assert torch.equal(ran["targets"][ran[name]], wanted.targets.long())
    network = workload.model(0)
    network.load_state_dict(ran["model"].state_dict())
    score = workload.evaluate(network.eval(), splits.test)[spec.goal.metric].item()
    said, _, value = printed.strip().splitlines()[-1].partition(": ")
    assert said == f"test {spec.goal.metric}"
    assert float(value) == pytest.approx(score, rel=1e-5)
    assert ran["total_steps"] == -(-3 * spec.sizes.train // 8)


@pytest.mark.parametrize(
    ("model", "metric"),
    [
        ("lstm", "nll"),
        ("lstm", "accuracy"),
        ("transformer", "bits_per_character"),
        ("transformer", "perplexity"),
    ],
)
def test_on_the_text_of_the_catalog(model: str, metric: str, capsys: pytest.CaptureFixture[str]) -> None:
    dataset = {"name": "unicode_names", "characters": 3000, "length": 12}
    spec = _job({"name": model, **SMALL[model]}, dataset, workload={"metric": metric})
    _check(spec, _ran(spec), build(spec.cataloged), capsys.readouterr().out)


@pytest.mark.parametrize("model", ["lstm", "transformer"])
def test_batches_that_grow_are_gathered_along_the_lanes(
    model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    grown = {"batch_size": {"adaptive": "norm", "start": 12, "micro": 3}, "schedule": "cosine"}
    spec = _job(
        {"name": model, **SMALL[model]},
        {"name": "unicode_names", "characters": 3000, "length": 12},
        optimizers=[{"name": "adam", "space": grown}],
    )
    ran = _ran(spec, "adam")
    assert ran["seen"] == ran["total_examples"] == 3 * ran["total_steps"]
    assert 3 * spec.sizes.train <= ran["seen"] < 3 * spec.sizes.train + 3
    assert ran["growing"].seen == 0
    assert "test nll: " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("write", "options"),
    [
        (lambda text: text.encode(), {}),
        (lambda text: text.replace("\n", "\r\n").encode("utf-8-sig"), {"tokens": "bytes"}),
    ],
)
def test_on_a_text_of_ones_own(
    write: Callable[[str], bytes],
    options: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "book.txt").write_bytes(write(prose()))
    model = {"name": "lstm", "layers": 2, **SMALL["lstm"]}
    spec = _job(model, {"name": "book", "length": 20, **options}, tmp_path, clip_norm=1.0)
    workload = build(spec.cataloged, blobs=tmp_path / "blobs")
    _check(spec, _ran(spec, "sgd"), workload, capsys.readouterr().out)


def test_a_compressed_text_is_opened_by_gzip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    spec = _job({"name": "lstm", "dropout": 0.2, **SMALL["lstm"]}, "book", tmp_path)
    upload = spec.cataloged.upload
    assert upload is not None
    file = upload.file.model_copy(update={"name": "book.txt.gz"})
    told = spec.cataloged.model_copy(update={"upload": upload.model_copy(update={"file": file})})
    (tmp_path / "book.txt.gz").write_bytes(gzip.compress(prose().encode()))
    _ran(spec.model_copy(update={"workload": told}))
    assert "test nll: " in capsys.readouterr().out


def test_its_evaluation_walks_as_the_jobs_does() -> None:
    assert (LANES, LANE) == (language.LANES, language.LANE)
