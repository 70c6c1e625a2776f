"""A reported config trained once more and saved: the score of the report, and a folder that is whole."""

from __future__ import annotations

import csv
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.builders.own_files import report_of, saved, visits
from tests.builders.present import present
from tests.builders.reports import trained_report
from tests.builders.uploads import forget_data
from whichopt.service.errors import InvalidReport, UnknownName
from whichopt.service.evidence.report.document import Report
from whichopt.service.exit_codes import INTERRUPTED
from whichopt.service.uploads import Choices
from whichopt.workers.fit import CannotFit, fit
from whichopt.workers.fit import __main__ as command
from whichopt.workers.fit.folder import FILES, PREDICT
from whichopt.workers.reported import confirmed
from whichopt.workers.workload import build
from whichopt.workers.workload.uploads import load

JOB: dict[str, Any] = {
    "workload": {"model": {"name": "mlp", "hidden": [8]}},
    "optimizers": ["adamw", "sgd"],
    "budget": {"trials": 4, "replicates": 2, "epochs": 3, "confirm_seeds": 3},
    "batch_size": 32,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("own")
    (made / "blobs").mkdir()
    columns = {name: values for name, values in visits().items() if name != "part"}
    for target, other in (("risk", "cost"), ("cost", "risk")):
        kept = {name: values for name, values in columns.items() if name != other}
        saved(made / f"{target}.csv", kept, delimiter=";")
    return made


@pytest.fixture(scope="module")
def risks(folder: Path) -> Report:
    choices = Choices.model_validate({"target": "risk", "split": "group:clinic"})
    return report_of(folder / "risk.csv", folder / "blobs", choices, JOB)


@pytest.fixture(scope="module")
def costs(folder: Path) -> Report:
    job = {**JOB, "workload": {"model": {"name": "linear"}}}
    return report_of(folder / "cost.csv", folder / "blobs", Choices(target="cost"), job)


@pytest.fixture(autouse=True)
def _no_blobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHICHOPT_BLOBS", str(tmp_path / "blobs"))
    forget_data()


def predicted(network: Path, rows: Path, to: Path) -> list[dict[str, str]]:
    """What the program in the folder predicts for the rows of a file."""
    done = subprocess.run(
        [sys.executable, "-I", str(network / PREDICT.name), str(rows), str(to)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    with to.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def parts_of(report: Report, blobs: Path) -> Any:
    """The rows of the test part, and the targets of all."""
    kept = load(report.spec.cataloged, blobs)
    criteria = build(report.spec.cataloged, blobs=blobs).criteria
    return kept.parts(criteria, report.spec.sizes, 0)[2], kept.target


def test_a_saved_network_gives_the_reported_score_of_classes(
    risks: Report, folder: Path, tmp_path: Path
) -> None:
    told: list[int] = []
    fitted = fit(
        risks, tmp_path / "net", data=folder / "risk.csv", progress=lambda seen, *_: told.append(seen)
    )
    assert fitted.agreement in ("same bits", "within tolerance")
    reported = present(confirmed(risks)[0].result)
    assert fitted.test == pytest.approx(reported.value)
    assert told[-1] == risks.spec.sizes.train * 3
    rows = predicted(tmp_path / "net", folder / "risk.csv", tmp_path / "out.csv")
    test, target = parts_of(risks, folder / "blobs")
    classes = present(risks.spec.workload.upload).classes
    assert classes is not None
    shares = np.array([[float(row[f"probability of {name}"]) for name in classes] for row in rows])
    nll = -np.log(shares[test, target[test]]).mean()
    assert nll == pytest.approx(reported.value, rel=1e-5)
    right = np.mean([rows[row]["prediction"] == classes[target[row]] for row in test])
    assert right == pytest.approx(reported.metrics["test"]["accuracy"])


def test_a_saved_network_gives_the_reported_score_of_numbers(
    costs: Report, folder: Path, tmp_path: Path
) -> None:
    fitted = fit(costs, tmp_path / "net", data=folder / "cost.csv", config="sgd", seed=2)
    reported = next(one.result for one in confirmed(costs, "sgd") if one.plan.number == 2)
    assert (fitted.optimizer, fitted.seed) == ("sgd", 2)
    assert fitted.test == pytest.approx(present(reported).value)
    rows = predicted(tmp_path / "net", folder / "cost.csv", tmp_path / "out.csv")
    test, target = parts_of(costs, folder / "blobs")
    found = np.array([float(row["prediction"]) for row in rows])
    assert math.sqrt(np.mean((found - target)[test] ** 2)) == pytest.approx(fitted.test, rel=1e-5)


def test_all_rows_are_trained_on_for_deployment(costs: Report, folder: Path, tmp_path: Path) -> None:
    fitted = fit(costs, tmp_path / "net", data=folder / "cost.csv", rows="all")
    assert (fitted.examples, fitted.test, fitted.agreement) == (600, None, None)
    assert fitted.steps == present(confirmed(costs)[0].result).steps
    assert list(fitted.scores) == ["train"]
    assert "no test score" in fitted.statement
    _, target = parts_of(costs, folder / "blobs")
    preparation = json.loads((tmp_path / "net" / "preparation.json").read_text())
    assert preparation["target"]["mean"] == pytest.approx(target.mean())


def test_new_seeds_have_no_reported_score(costs: Report, folder: Path, tmp_path: Path) -> None:
    fitted = fit(costs, tmp_path / "net", data=folder / "cost.csv", seed=40)
    assert fitted.test is not None
    assert (fitted.reported, fitted.agreement) == (None, None)


def test_a_built_in_dataset_has_numbered_columns(tmp_path: Path) -> None:
    report = trained_report()
    fitted = fit(report, tmp_path / "net")
    assert fitted.agreement in ("same bits", "within tolerance")
    from sklearn.datasets import load_wine

    features, labels = load_wine(return_X_y=True)
    np.savetxt(tmp_path / "wine.csv", features, delimiter=",", header="a,b" + ",x" * 11, comments="")
    np.savetxt(tmp_path / "bare.csv", features, delimiter=",")
    rows = predicted(tmp_path / "net", tmp_path / "wine.csv", tmp_path / "out.csv")
    assert np.mean([int(row["prediction"]) == label for row, label in zip(rows, labels, strict=True)]) > 0.9
    assert rows == predicted(tmp_path / "net", tmp_path / "bare.csv", tmp_path / "out.csv")


def test_the_folder_is_whole_or_not_there(costs: Report, folder: Path, tmp_path: Path) -> None:
    data, net = folder / "cost.csv", tmp_path / "net"
    fit(costs, net, data=data)
    assert sorted(path.name for path in net.iterdir()) == sorted(FILES)
    before = (net / "config.json").read_bytes()
    with pytest.raises(CannotFit, match="--force"):
        fit(costs, net, data=data, config="sgd")
    assert (net / "config.json").read_bytes() == before
    fit(costs, net, data=data, seed=1, force=True)
    assert (net / "config.json").read_bytes() != before
    (net / "mine.txt").write_text("of a person")
    with pytest.raises(CannotFit, match=r"mine\.txt"):
        fit(costs, net, data=data, force=True)
    assert [path.name for path in tmp_path.iterdir()] == ["net"]


def test_a_full_disk_leaves_nothing(
    costs: Report, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("whichopt.workers.fit.folder.os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        fit(costs, tmp_path / "net", data=folder / "cost.csv")
    assert list(tmp_path.iterdir()) == []


def test_what_is_lacking_is_named(costs: Report, tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="'adamw'"):
        fit(costs, tmp_path / "net", config="adam")
    with pytest.raises(InvalidReport, match="--data") as error:
        fit(costs, tmp_path / "net")
    assert present(costs.spec.workload.upload).file.sha256 in error.value.detail
    assert list(tmp_path.iterdir()) == []


def test_the_command_says_what_it_saved(
    costs: Report, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "report.json").write_text(costs.model_dump_json())
    options = [f"--out={tmp_path / 'net'}", f"--data={folder / 'cost.csv'}"]
    assert command.main([str(tmp_path / "report.json"), *options]) == 0
    printed = capsys.readouterr()
    assert "in the report" in printed.out
    assert "predict.py" in printed.out
    assert "100% of the training, rmse on validation" in printed.err
    assert command.main([str(tmp_path / "report.json"), *options]) == 2
    assert "--force" in capsys.readouterr().err
    more = ["--config=adamw", "--force", "--json"]
    assert command.main([str(tmp_path / "report.json"), *options, *more]) == 0
    saved_as = json.loads(capsys.readouterr().out)
    assert saved_as["agreement"] in ("same bits", "within tolerance")
    assert len(saved_as["config"]["betas"]) == 2  # as torch takes it


@pytest.mark.parametrize("executor", ["solo", "stacked"])
def test_a_kept_network_is_the_one_that_was_scored(executor: str) -> None:
    from whichopt.workers.engine import Unwatched
    from whichopt.workers.engine.executors import EXECUTORS

    report = trained_report()
    plan, built = confirmed(report)[0].plan, build(report.spec.cataloged)
    (ran,) = EXECUTORS[executor]().run(built, [plan], Unwatched())
    trained = EXECUTORS[executor]().train(built, plan, Unwatched())
    assert trained.result.model_copy(update={"seconds": 0.0}) == ran.model_copy(update={"seconds": 0.0})
    model = built.model(0)
    model.load_state_dict(trained.network)
    scores = built.evaluate(model.eval(), built.splits(plan.seeds.split).test)
    torch.testing.assert_close(scores["nll"].item(), present(ran.value), rtol=1e-6, atol=0)


def test_ctrl_c_saves_nothing(
    folder: Path,
    costs: Report,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(command.Progress, "at", interrupted)
    (tmp_path / "report.json").write_text(costs.model_dump_json())
    options = [f"--out={tmp_path / 'net'}", f"--data={folder / 'cost.csv'}"]
    assert command.main([str(tmp_path / "report.json"), *options]) == INTERRUPTED
    assert "nothing was saved" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]
