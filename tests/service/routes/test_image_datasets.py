"""Images at the door, with the real reader: a zip, arrays, a folder of the service, and what is refused."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.builders.datasets import states
from tests.builders.images import SIDE, claiming_png, encoded, files, folder_of, picture, zip_of
from tests.builders.services import KEY, Recorder
from tests.builders.serving import served
from whichopt.service.app import create_app
from whichopt.service.client import Client, ProblemError
from whichopt.service.db import Store
from whichopt.service.errors import UnsupportedMedia
from whichopt.service.intake import LOCK
from whichopt.service.settings import Settings
from whichopt.service.thumbnails import GAP

JOB = {
    "workload": {"dataset": "pets", "model": "cnn", "augment": ["flip", "crop"]},
    "optimizers": ["adamw"],
    "budget": {"trials": 2, "replicates": 2, "epochs": 1, "confirm_seeds": 3},
    "batch_size": 8,
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return folder_of(tmp_path / "root", {f"pets/{path}": file for path, file in files(each=10).items()})


@pytest.fixture
def url(lite: Store, settings: Settings, root: Path) -> Iterator[str]:
    app = create_app(settings.model_copy(update={"data_root": root}), lite, Recorder())
    with served(app) as url:
        yield url


@pytest.fixture
def client(url: str) -> Iterator[Client]:
    """A client of a service with the real reader, over a socket."""
    with Client(url, KEY, timeout_s=120) as client:
        yield client


@pytest.fixture
def page(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, headers={"X-API-Key": KEY}) as http:
        yield http


@pytest.fixture
def zipped(tmp_path: Path) -> Path:
    path = tmp_path / "pets.zip"
    path.write_bytes(zip_of(files(each=10)))
    return path


def kept(settings: Settings) -> set[str]:
    return {file.name for file in settings.blobs.iterdir()} - {LOCK}


def test_a_zip_is_a_dataset_of_a_job(client: Client, zipped: Path) -> None:
    view = client.add_dataset(zipped, size=16)
    assert view.table is not None
    assert (view.name, view.table.shape.image, view.table.class_rows) == ("pets", (3, 16, 16), (10, 10))
    spec = client.submit(JOB).spec
    assert spec.workload.upload is not None
    assert spec.workload.upload.images is not None
    assert spec.workload.upload.choices.size == 16
    assert [one.model_dump() for one in spec.cataloged.augment] == [
        {"name": "flip"},
        {"name": "crop", "padding": 2},
    ]
    assert client.add_dataset(zipped, size=16).content == view.content
    with pytest.raises(ProblemError, match=r"with other choices.*size was 16"):
        client.add_dataset(zipped)


def test_arrays_of_images_are_a_dataset(client: Client) -> None:
    random = np.random.default_rng(0)
    x = random.integers(0, 256, (30, SIDE, SIDE), dtype=np.uint8)
    view = client.add_dataset({"x": x, "y": np.arange(30) % 2}, name="arrays")
    assert view.table is not None
    assert (view.table.shape.image, view.table.classes) == ((1, SIDE, SIDE), ("0", "1"))


@pytest.mark.parametrize(
    ("name", "file", "status"),
    [
        ("dark/big.png", claiming_png(50_000, 50_000), 413),
        ("dark/cut.jpg", encoded(picture(60, side=40), "JPEG")[:400], 422),
        ("dark/gif.png", encoded(picture(60), "GIF"), 422),
        ("../x.png", encoded(picture(60)), 422),
    ],
)
def test_a_hostile_file_is_named_and_leaves_nothing(
    name: str, file: bytes, status: int, client: Client, lite: Store, settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "bad.zip").write_bytes(zip_of({**files(each=6), name: file}))
    with pytest.raises(ProblemError) as refused:
        client.add_dataset(tmp_path / "bad.zip")
    assert refused.value.problem.status == status
    assert f"'{name}'" in refused.value.detail
    assert states(lite) == {}
    assert kept(settings) == set()


def test_a_folder_is_read_where_it_lies(client: Client, settings: Settings) -> None:
    view = client.add_dataset("folder:pets")
    assert (view.name, view.file.name) == ("pets", "folder:pets")
    assert view.table is not None
    assert view.table.images is not None
    assert view.table.images.folder == "pets"
    assert view.content is not None
    assert "folder:pets, read where it lies" in [entry.details["source"] for entry in client.datasets()]
    assert client.submit(JOB).spec.workload.content == view.content
    assert kept(settings) == {view.content}


def test_a_folder_is_read_again_only_if_it_changed(client: Client, root: Path) -> None:
    first = client.add_dataset("folder:pets", name="one")
    assert client.add_dataset("folder:pets", name="one").created_at == first.created_at
    (root / "pets" / "dark" / "0.png").write_bytes(encoded(picture(70)))
    with pytest.raises(ProblemError, match="was sent as 'one'"):
        client.add_dataset("folder:pets", name="one")
    assert client.add_dataset("folder:pets", name="two").content != first.content


@pytest.mark.parametrize("name", ["nobody", "..", "pets/dark", "/etc", ".hidden", "out"])
def test_no_other_folder_is_read(name: str, client: Client, root: Path, tmp_path: Path) -> None:
    (root / "out").symlink_to(tmp_path)
    with pytest.raises(ProblemError) as refused:
        client.add_dataset(f"folder:{name}")
    assert refused.value.problem.status in (404, 422)
    assert "WHICHOPT_DATA_ROOT" in refused.value.detail


def test_without_a_root_the_refusal_names_the_setting(lite: Store, settings: Settings) -> None:
    with served(create_app(settings, lite, Recorder())) as url, Client(url, KEY) as client:
        with pytest.raises(ProblemError, match="its WHICHOPT_DATA_ROOT is not set") as refused:
            client.add_dataset("folder:pets")
        assert refused.value.problem.code == "invalid_query"


def test_a_name_is_needed_for_a_body(page: httpx.Client) -> None:
    sent = page.post("/v1/datasets", content=b"a,b", headers={"Content-Type": "text/csv"})
    assert (sent.status_code, sent.json()["code"]) == (422, "invalid_query")
    assert "name is missing" in sent.json()["detail"]


def test_a_folder_of_the_person_is_not_sent(client: Client, root: Path) -> None:
    with pytest.raises((UnsupportedMedia, OSError)):
        client.add_dataset(root / "pets")


@pytest.mark.parametrize("source", ["zip", "folder"])
def test_its_page_shows_some_of_each_class(
    source: str, client: Client, page: httpx.Client, zipped: Path
) -> None:
    client.add_dataset(zipped if source == "zip" else "folder:pets", dry_run=True)
    for path in ("/datasets/pets", "/datasets/pets?part=look"):
        shown = page.get(path)
        assert shown.status_code == 200
        assert "20 images" in shown.text
        assert "images of 12 x 12, 3 channels" in shown.text
        assert "Some images of class light" in shown.text
        assert " style=" not in shown.text
    image = page.get("/datasets/pets/classes/1.png")
    assert (image.status_code, image.headers["Content-Type"]) == (200, "image/png")
    strip = Image.open(io.BytesIO(image.content))
    assert strip.size == (8 * (SIDE + GAP) - GAP, SIDE)
    pixels = np.asarray(strip)
    first = np.asarray(Image.open(io.BytesIO(files(each=10)["light/0.png"])))
    assert np.array_equal(pixels[:, :SIDE, :3], first)
    assert page.get("/datasets/pets/classes/2.png").status_code == 404
    assert page.get("/datasets/nobody/classes/0.png").status_code == 404


def test_a_table_has_no_images_to_show(client: Client, page: httpx.Client, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b,y\n" + "".join(f"{n},{n % 7},{n % 2}\n" for n in range(100)))
    client.add_dataset(tmp_path / "t.csv", target="y")
    assert page.get("/datasets/t/classes/0.png").status_code == 404
