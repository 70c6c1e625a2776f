"""Workers for GPUs as real processes, on a machine whose cards are made up (see `made_up_gpus`)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.builders.homes import FAST, Embedded, free_port
from tests.builders.waiting import DEADLINE_S, wait_until
from whichopt.service.db import Store
from whichopt.service.db.migrate import upgrade
from whichopt.service.exit_codes import CANNOT
from whichopt.workers.embedded.broker import Broker

pytestmark = pytest.mark.journey

MADE_UP = Path(__file__).parent / "made_up_gpus"
ROOT = Path(__file__).parent.parent.parent


def machine(folder: Path, cards: str, **more: str) -> dict[str, str]:
    """The environment of a process on a machine with those cards."""
    hidden = {"CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES"}
    return {
        **{name: value for name, value in os.environ.items() if name not in hidden},
        **FAST,
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(MADE_UP)]),
        "MADE_UP_GPUS": cards,
        "WHICHOPT_GPU_LOCKS": str(folder / "locks"),
        **more,
    }


class Worker:
    """`python -m whichopt.workers --queue=cuda`, as a process."""

    def __init__(self, environment: dict[str, str], log: Path, *options: str) -> None:
        self.log = log
        with log.open("wb") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "whichopt.workers", "--queue=cuda", *options],
                env=environment,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )

    def said(self) -> str:
        return self.log.read_text()

    def placed(self) -> dict[int, str]:
        """The GPU of each training process that is alive, by its process id."""
        told = [json.loads(line) for line in self.said().splitlines() if line.startswith("{")]
        return {
            event["process"]: event["gpu"]
            for event in told
            if event["event"] == "placed" and psutil.pid_exists(event["process"])
        }

    def kill(self) -> None:
        """Ends all of it at once: how a worker ends in order is not the matter here."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


Start = Callable[..., Worker]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(f"sqlite:///{tmp_path / 'whichopt.db'}")
    upgrade(store)
    yield store
    store.close()


@pytest.fixture
def start(tmp_path: Path, store: Store, broker: Broker) -> Iterator[Start]:
    workers: list[Worker] = []

    def begin(cards: str, *options: str, **more: str) -> Worker:
        environment = machine(
            tmp_path,
            cards,
            WHICHOPT_DATABASE_URL=store.url.render_as_string(),
            WHICHOPT_BROKER_URL=broker.url,
            WHICHOPT_BLOBS=str(tmp_path / "blobs"),
            **more,
        )
        workers.append(Worker(environment, tmp_path / f"worker{len(workers)}.log", *options))
        return workers[-1]

    yield begin
    for worker in workers:
        worker.kill()


def _trains_on(worker: Worker, *gpus: str) -> None:
    wait_until(lambda: sorted(worker.placed().values()) == sorted(gpus), f"processes on {gpus}")


def test_each_gpu_has_one_process_and_who_replaces_a_dead_one_takes_its_gpu(
    start: Start, store: Store
) -> None:
    worker = start("A B C")
    _trains_on(worker, "GPU-A", "GPU-B", "GPU-C")
    wait_until(lambda: _live(store) == {"cuda": 3}, "three processes to be counted")
    before = worker.placed()
    (victim,) = (pid for pid, gpu in before.items() if gpu == "GPU-B")
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: victim not in worker.placed() and len(worker.placed()) == 3, "a new process")
    after = worker.placed()
    assert sorted(after.values()) == ["GPU-A", "GPU-B", "GPU-C"]
    assert {pid: gpu for pid, gpu in after.items() if pid in before} == {
        pid: gpu for pid, gpu in before.items() if pid != victim
    }


def _live(store: Store) -> dict[str, int]:
    with store.read() as tx:
        return tx.workers.live(60.0)


def test_a_second_worker_takes_what_is_free_and_a_third_waits_for_its_turn(start: Start) -> None:
    first = start("A B", "--gpus=1")
    _trains_on(first, "GPU-A")
    second = start("A B")
    _trains_on(second, "GPU-B")
    third = start("A B", "--gpus=1")
    wait_until(lambda: "waits for 1 of 2 GPUs" in third.said(), "the third to say that it waits")
    assert f"GPU 0 (Made Up A) is taken by process {first.process.pid} on" in third.said()
    first.process.kill()  # its parent alone: its processes end with it
    _trains_on(third, "GPU-A")


def test_processes_share_a_gpu_only_where_that_is_asked_for(start: Start) -> None:
    _trains_on(start("A B", "--processes-per-gpu=2"), "GPU-A", "GPU-A", "GPU-B", "GPU-B")


def test_a_card_that_torch_cannot_use_is_left_out_and_free_for_others(start: Start) -> None:
    worker = start("A B", MADE_UP_FAILING="GPU-A")
    _trains_on(worker, "GPU-B")
    assert "does without GPU 0 (Made Up A), which torch cannot use: too old for torch" in worker.said()


@pytest.mark.parametrize(
    ("cards", "options", "more", "words"),
    [
        ("A", ["--gpus=2"], {}, "--gpus=2 asks for 2 GPUs, and there is 1: GPU 0 (Made Up A)"),
        ("A", ["--processes=2"], {}, "to share one, say --processes-per-gpu"),
        ("A", ["--gpus=0"], {}, "no GPU to train on: --gpus=0"),
        ("no driver", [], {}, "no GPU to train on: its driver reports none"),
        ("broken driver", [], {}, "Driver/library version mismatch"),
        ("A B", [], {"CUDA_VISIBLE_DEVICES": ""}, "no GPU to train on: with CUDA_VISIBLE_DEVICES=''"),
        ("A", [], {"MADE_UP_FAILING": "GPU-A"}, "too few GPUs that torch can use"),
    ],
)
def test_a_worker_that_can_have_no_gpu_says_why_and_ends(
    cards: str, options: list[str], more: dict[str, str], words: str, tmp_path: Path
) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "whichopt.workers", "--queue=cuda", *options],
        env=machine(tmp_path, cards, **more),
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE_S,
    )
    assert ended.returncode == os.EX_UNAVAILABLE
    assert words in ended.stderr


# -- the embedded home ---------------------------------------------------------------------------------


Up = Callable[..., Embedded]


@pytest.fixture
def up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Up]:
    """Starts `whichopt up` on a machine with those cards."""
    homes: list[Embedded] = []

    def begin(cards: str, gpus: str, **more: str) -> Embedded:
        with monkeypatch.context() as patched:
            for name, value in machine(tmp_path, cards, **more).items():
                patched.setenv(name, value)
            for name in ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES"):
                patched.delenv(name, raising=False)
            homes.append(Embedded(tmp_path / "data", workers=1, gpus=gpus))
        return homes[-1]

    yield begin
    for home in homes:
        if home.process.poll() is None:
            home.stop()


def test_up_trains_on_every_gpu_beside_the_cpu(up: Up) -> None:
    home = up("A B", "all")
    wait_until(lambda: home.client.ready().workers == {"cpu": 1, "cuda": 2}, "processes on CPU and GPUs")
    assert len(home.parts("--queue=cuda")) == 1
    printed = home.stop()
    assert "a process trains on each GPU: GPU 0 (Made Up A), GPU 1 (Made Up B)" in printed


def test_up_without_gpus_has_no_worker_for_them(up: Up) -> None:
    home = up("broken driver", "0")
    wait_until(lambda: home.client.ready().workers == {"cpu": 1}, "a process on the CPU")
    assert home.parts("--queue=cuda") == []
    home.stop()


def test_up_goes_on_without_a_driver_that_answers(up: Up, capfd: pytest.CaptureFixture[str]) -> None:
    up("broken driver", "all").stop()
    assert "trains on the CPU alone: NVIDIA's driver does not answer" in capfd.readouterr().err


def test_up_goes_on_without_gpus_that_torch_cannot_use(up: Up) -> None:
    home = up("A", "all", MADE_UP_FAILING="GPU-A")
    wait_until(lambda: "too few GPUs" in _log(home), "the worker to say why it ends")
    wait_until(lambda: home.client.ready().workers == {"cpu": 1}, "a process on the CPU")
    wait_until(lambda: home.parts("--queue=cuda") == [], "the worker to be gone")
    assert _log(home).count("too few GPUs") == 1, "it is not started again"
    home.stop()


def _log(home: Embedded) -> str:
    log = home.data / "logs" / "gpu-worker.log"
    return log.read_text() if log.exists() else ""


def test_up_says_what_it_cannot_give(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "whichopt.workers.embedded",
        f"--data={tmp_path / 'data'}",
        f"--port={free_port()}",
        "--gpus=3",
    ]
    ended = subprocess.run(
        command, env=machine(tmp_path, "A"), capture_output=True, text=True, check=False, timeout=DEADLINE_S
    )
    assert ended.returncode == CANNOT
    assert "whichopt: --gpus=3 asks for 3 GPUs, and there is 1: GPU 0 (Made Up A)" in ended.stderr


def test_a_worker_on_cpus_sees_no_gpu(tmp_path: Path) -> None:
    """It may measure what it plans: a card that it saw, it would share with the process that has it."""
    code = """
import os, sys
import celery
class Seen:
    exitcode = 0
    def __init__(self, **_):
        print(os.environ["CUDA_VISIBLE_DEVICES"], "torch" in sys.modules)
    def start(self):
        pass
celery.Celery.Worker = Seen
sys.argv = ["workers", "--queue=cpu", "--processes=1"]
from whichopt.workers.__main__ import main
main()
"""
    told = subprocess.run(
        [sys.executable, "-c", code],
        env=machine(tmp_path, "A"),
        capture_output=True,
        text=True,
        check=True,
        timeout=DEADLINE_S,
    )
    assert told.stdout.split() == ["-1", "False"]


def test_numbers_below_one_are_refused() -> None:
    for option in ("--processes=0", "--processes-per-gpu=0", "--gpus=1"):
        command = [sys.executable, "-m", "whichopt.workers", "--queue=cpu", option]
        ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=DEADLINE_S)
        assert ended.returncode == 2
        assert option.split("=")[0] in ended.stderr
