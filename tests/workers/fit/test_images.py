"""A network of images: trained once more to the reported bits, and a program that predicts files."""

from __future__ import annotations

import ast
import csv
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.builders.images import encoded, files, folder_of, picture, zip_of
from tests.builders.own_files import report_of
from tests.builders.uploads import forget_data
from whichopt.service.catalog.shapes import Sizes
from whichopt.service.evidence.report.document import Report
from whichopt.service.uploads import Choices
from whichopt.workers.fit import CannotFit, Fitted, fit, fitted, predict, predict_images
from whichopt.workers.intake.images import decoded
from whichopt.workers.reported import built_again
from whichopt.workers.workload import Splits
from whichopt.workers.workload.criteria import Criteria

JOB: dict[str, Any] = {
    "workload": {"model": {"name": "cnn", "channels": [4]}, "augment": ["flip", "crop"]},
    "optimizers": ["adamw", "sgd"],
    "budget": {"trials": 4, "replicates": 2, "epochs": 3, "confirm_seeds": 3},
    "batch_size": 8,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("own")
    (made / "blobs").mkdir()
    (made / "shades.zip").write_bytes(zip_of(files(each=20, side=20)))
    folder_of(made / "new", files(each=3, side=30))
    return made


@pytest.fixture(scope="module")
def report(folder: Path) -> Report:
    return report_of(folder / "shades.zip", folder / "blobs", Choices(size=12), JOB, form="zip")


@pytest.fixture(scope="module")
def made(report: Report, folder: Path) -> Fitted:
    """The network, of the file alone: the folder of blobs is not asked."""
    forget_data()
    return fit(report, folder / "net", data=folder / "shades.zip")


def run(network: Path, images: Path, to: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", str(network / "predict.py"), str(images), str(to)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_score_is_the_reports_and_the_program_predicts(
    made: Fitted, folder: Path, tmp_path: Path
) -> None:
    assert made.agreement == "same bits"
    assert made.of_images
    done = run(made.folder, folder / "new", tmp_path / "out.csv")
    assert done.returncode == 0, done.stderr
    assert "6 images predicted" in done.stdout
    with (tmp_path / "out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == [
        f"{name}/{i}.png" for name in ("dark", "light") for i in range(3)
    ]
    for row in rows:
        shares = {name: float(row[f"probability of {name}"]) for name in ("dark", "light")}
        assert sum(shares.values()) == pytest.approx(1)
        assert row["prediction"] == max(shares, key=lambda name: shares[name])
    assert np.mean([row["prediction"] in row["file"] for row in rows]) == 1


def test_the_program_prepares_images_as_the_job_did(
    made: Fitted, report: Report, folder: Path, tmp_path: Path
) -> None:
    """To the bit: the files of the test part give the inputs that the job was scored on."""
    network, preparation = predict_images.load(made.folder)
    everything = folder_of(tmp_path / "all", files(each=20, side=20))
    paths = sorted(predict_images.images(everything), key=lambda path: path.relative_to(everything).parts)
    with built_again(report, "cpu", folder / "shades.zip") as (built, loaded):
        seed = next(trial.plan.seeds.split for trial in report.trials if trial.plan.phase == "confirm")
        rows = loaded.parts(built.criteria, report.spec.sizes, seed)[2]  # type: ignore[attr-defined]
        wanted = built.splits(seed).test
    found = predict_images.features([paths[row] for row in rows], preparation)
    assert torch.equal(found, wanted.inputs)
    assert network(found).shape == (len(rows), 2)


def test_all_images_can_be_trained_on(report: Report, folder: Path, tmp_path: Path) -> None:
    made = fit(report, tmp_path / "net", data=folder / "shades.zip", rows="all")
    assert (made.examples, made.test) == (40, None)


@pytest.mark.parametrize(
    ("name", "file", "said"),
    [
        ("a.gif", encoded(picture(9), "GIF"), r"a\.gif is no PNG or JPEG"),
        ("cut.jpg", encoded(picture(9, side=60), "JPEG")[:500], r"cut\.jpg is no PNG or JPEG"),
        (".hidden", b"x", "there is no image in"),
    ],
)
def test_what_is_no_image_is_named(name: str, file: bytes, said: str, made: Fitted, tmp_path: Path) -> None:
    with pytest.raises(predict_images.Unreadable, match=said):
        predict_images.predict(folder_of(tmp_path / "new", {name: file}), tmp_path / "out.csv", made.folder)
    assert not (tmp_path / "out.csv").exists()


MODES = [
    *[("PNG", mode) for mode in ("RGB", "L", "P", "RGBA", "LA", "1", "I;16")],
    *[("JPEG", mode) for mode in ("RGB", "L", "CMYK")],
]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("form", "mode"), MODES)
def test_the_program_decodes_as_the_reader_does(form: str, mode: str, channels: int, tmp_path: Path) -> None:
    image = Image.fromarray(picture(120, side=50))
    if mode == "I;16":
        image = Image.fromarray((picture(120, side=50, channels=1).astype(np.uint16) << 8) + 3)
    elif mode != "RGB":
        image = image.convert("L").convert(mode) if mode == "LA" else image.convert(mode)
    exif = Image.Exif()
    exif[0x0112] = 8
    data = encoded(image, form, exif=exif)
    (tmp_path / "one").write_bytes(data)
    wanted = decoded.pixels(data, "one", 14, 10, gray=channels == 1)
    assert np.array_equal(predict_images.pixels(tmp_path / "one", channels, 10, 14), wanted)


def test_both_programs_load_a_network_alike() -> None:
    def source(module: Any) -> dict[str, str]:
        tree = ast.parse(Path(module.__file__).read_text())
        return {
            node.name: ast.unparse(node)
            for node in tree.body
            if isinstance(node, ast.FunctionDef | ast.ClassDef)
        }

    one, other = source(predict), source(predict_images)
    for name in ("Residual", "load", "_chain", "_module", "_tensors"):
        assert one[name] == other[name]


class Texts:
    """Data of a kind for which there is no program that predicts."""

    nbytes = 0

    def splits(self, criteria: Criteria, sizes: Sizes, seed: int, device: torch.device) -> Splits:
        raise NotImplementedError


def test_what_is_neither_rows_nor_images_is_refused_in_words(report: Report) -> None:
    with pytest.raises(CannotFit, match="shades has no rows that a program could predict one by one"):
        fitted._source(report.spec.cataloged, Texts())
