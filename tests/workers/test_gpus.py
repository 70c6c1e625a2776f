"""Which GPUs there are, which a worker takes, and which process has which: on made-up cards."""

from __future__ import annotations

import fcntl
import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from whichopt.workers import gpus
from whichopt.workers.gpu_claims import Claims, claim
from whichopt.workers.gpus import GPU, CannotUse, Wanted

MADE_UP = Path(__file__).parent / "made_up_gpus"


@pytest.fixture
def cards(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Puts cards into the machine, and takes what lists cards out of the environment."""
    spec = importlib.util.spec_from_file_location("pynvml", MADE_UP / "pynvml.py")
    assert spec is not None
    assert spec.loader is not None
    driver = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(driver)
    monkeypatch.setitem(sys.modules, "pynvml", driver)
    monkeypatch.setattr(gpus, "torch_platform", lambda: "cuda")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.delenv("HIP_VISIBLE_DEVICES", raising=False)
    return lambda listed: monkeypatch.setenv("MADE_UP_GPUS", listed)


def _ids(found: list[GPU]) -> list[str]:
    return [gpu.id for gpu in found]


# -- which there are -----------------------------------------------------------------------------------


def test_every_card_is_found_and_named(cards: Callable[[str], None]) -> None:
    cards("A B")
    assert gpus.visible() == [GPU("GPU-A", "GPU 0 (Made Up A)"), GPU("GPU-B", "GPU 1 (Made Up B)")]


def test_a_divided_card_is_its_instances(cards: Callable[[str], None]) -> None:
    cards("A B:2 C:0")
    assert _ids(gpus.visible()) == ["GPU-A", "MIG-B-1", "MIG-B-2"]


def test_a_machine_without_a_driver_has_none(cards: Callable[[str], None]) -> None:
    cards("no driver")
    assert gpus.visible() == []


def test_a_driver_that_does_not_answer_is_said_so(cards: Callable[[str], None]) -> None:
    cards("broken driver")
    with pytest.raises(CannotUse, match="version mismatch"):
        gpus.visible()


def test_nothing_is_found_where_torch_is_built_for_cpus(
    cards: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    cards("A")
    monkeypatch.setattr(gpus, "torch_platform", lambda: None)
    assert gpus.visible() == []
    with pytest.raises(CannotUse, match="built for CPUs alone"):
        gpus.wanted("1", [])


def test_what_torch_is_built_for_is_known_without_its_import() -> None:
    import torch

    expected = "cuda" if torch.version.cuda else "hip" if torch.version.hip else None
    code = (
        "import sys; from whichopt.workers import gpus; print(gpus.torch_platform(), 'torch' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.split() == [str(expected), "False"]


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        ("2,0", ["GPU-Bab", "GPU-Aa"]),
        ("", []),
        ("-1", []),
        ("0,-1,2", ["GPU-Aa"]),
        ("0,7,2", ["GPU-Aa"]),
        ("0,0", []),
        ("1", ["MIG-C-1", "MIG-C-2"]),
        ("GPU-Bab,GPU-Aa", ["GPU-Bab", "GPU-Aa"]),
        ("GPU-Ba", ["GPU-Bab"]),
        ("GPU-nothing,GPU-Aa", []),
        ("MIG-C-2", ["MIG-C-2"]),
    ],
)
def test_the_environment_is_read_as_cuda_reads_it(
    listed: str, expected: list[str], cards: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Up to the first that is not there, and nothing if one is listed twice."""
    cards("Aa C:2 Bab")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", listed)
    assert _ids(gpus.visible()) == expected


@pytest.mark.parametrize(
    ("hip", "cuda", "expected"),
    [
        (None, None, ["0"]),
        ("1,3", None, ["1", "3"]),
        ("2", "0,1", ["2"]),
        (None, "0,1", ["0", "1"]),
        ("-1", None, []),
    ],
)
def test_amd_cards_are_those_that_the_environment_lists(
    hip: str | None,
    cuda: str | None,
    expected: list[str],
    cards: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    cards("A")  # never looked for
    monkeypatch.setattr(gpus, "torch_platform", lambda: "hip")
    for variable, listed in (("HIP_VISIBLE_DEVICES", hip), ("CUDA_VISIBLE_DEVICES", cuda)):
        if listed is not None:
            monkeypatch.setenv(variable, listed)
    monkeypatch.setattr(gpus, "AMD_DRIVER", tmp_path / "none")
    assert gpus.visible() == []
    monkeypatch.setattr(gpus, "AMD_DRIVER", tmp_path)
    assert _ids(gpus.visible()) == expected


# -- which are wanted ----------------------------------------------------------------------------------

THREE = tuple(GPU(f"GPU-{name}", f"GPU {index} (Made Up)") for index, name in enumerate("ABC"))


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("all", Wanted(THREE, least=1, most=3)),
        ("2", Wanted(THREE, least=2, most=2)),
        ("0", Wanted(THREE, least=0, most=0)),
        ("2,0", Wanted((THREE[2], THREE[0]), least=2, most=2)),
        ("1,", Wanted((THREE[1],), least=1, most=1)),
    ],
)
def test_gpus_are_asked_for_by_number_or_by_index(asked: str, expected: Wanted) -> None:
    assert gpus.wanted(asked, THREE) == expected


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("4", "asks for 4 GPUs, and there are 3: GPU 0 (Made Up), GPU 1"),
        ("1,3", "asks for index 3, counted from 0, and there are 3"),
        ("1,1", "names a GPU twice"),
        ("two", "is none of: all, a number of GPUs"),
        ("-1", "is none of"),
        ("", "is none of"),
        ("0,,1", "is none of"),
        ("²", "is none of"),
    ],
)
def test_what_cannot_be_had_is_said_in_words(asked: str, words: str) -> None:
    with pytest.raises(CannotUse) as raised:
        gpus.wanted(asked, THREE)
    assert words in str(raised.value)


def test_a_machine_without_gpus_says_why(
    cards: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    cards("A")
    assert gpus.wanted("all", []).most == 0
    with pytest.raises(CannotUse, match=r"there are none \(its driver reports none\)"):
        gpus.wanted("1", [])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(CannotUse, match="with CUDA_VISIBLE_DEVICES=''"):
        gpus.wanted("1", gpus.visible())


# -- who has which -------------------------------------------------------------------------------------


def _never(words: str) -> None:
    raise AssertionError(f"waits: {words}")


def _give_up(claims: Claims) -> None:
    for gpu in claims.gpus:
        claims.give_up(gpu)


def test_two_workers_never_have_the_same_gpu(tmp_path: Path) -> None:
    folder = tmp_path / "locks"
    first = claim(gpus.wanted("2", THREE), folder, _never)
    second = claim(gpus.wanted("all", THREE), folder, _never)
    assert (first.gpus, second.gpus) == ([*THREE[:2]], [THREE[2]])
    first.give_up(THREE[0])
    third = claim(gpus.wanted("1", THREE), folder, _never)
    assert third.gpus == [THREE[0]]
    for claims in (first, second, third):
        _give_up(claims)


def test_a_worker_waits_for_gpus_and_says_who_has_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = claim(gpus.wanted("all", THREE), tmp_path, _never)
    told: list[str] = []
    naps: list[float] = []

    def nap(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 2:
            first.give_up(THREE[1])

    monkeypatch.setattr("whichopt.workers.gpu_claims.time.sleep", nap)
    second = claim(gpus.wanted("all", THREE), tmp_path, told.append)
    assert second.gpus == [THREE[1]]
    assert len(naps) == 2
    (words,) = told
    assert "waits for 1 of 3 GPUs" in words
    assert f"GPU 0 (Made Up) is taken by process {os.getpid()} on host" in words
    _give_up(first)
    _give_up(second)


def test_while_it_waits_a_worker_holds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = claim(gpus.wanted("0,", THREE), tmp_path, _never)

    def nap(_: float) -> None:
        _give_up(claim(gpus.wanted("1,2", THREE), tmp_path, _never))
        _give_up(first)

    monkeypatch.setattr("whichopt.workers.gpu_claims.time.sleep", nap)
    second = claim(gpus.wanted("3", THREE), tmp_path, lambda _: None)
    assert second.gpus == [*THREE]
    _give_up(second)


def test_the_kernel_frees_the_gpus_of_a_worker_that_is_killed(tmp_path: Path) -> None:
    code = f"""
import sys, time
from pathlib import Path
from whichopt.workers import gpus
from whichopt.workers.gpu_claims import claim
held = claim(gpus.Wanted((gpus.GPU("GPU-A", ""),), 1, 1), Path({str(tmp_path)!r}), print)
print("held", flush=True)
sys.stdin.read()
"""
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with (tmp_path / "GPU-A.lock").open() as file, pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        holder.kill()
    again = claim(gpus.wanted("0,", THREE), tmp_path, _never)
    assert f"process {os.getpid()} " in (tmp_path / "GPU-A.lock").read_text()
    _give_up(again)


def test_another_users_lock_is_respected_without_a_right_to_write_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "GPU-A.lock").write_text("process 1 on host other\n")
    monkeypatch.setattr("whichopt.workers.gpu_claims.os.access", lambda *_: False)
    first = claim(gpus.wanted("0,", THREE), tmp_path, _never)
    assert (tmp_path / "GPU-A.lock").read_text() == "process 1 on host other\n"
    second = claim(gpus.wanted("all", THREE), tmp_path, _never)
    assert second.gpus == [*THREE[1:]]
    _give_up(first)
    _give_up(second)


def test_a_folder_that_cannot_hold_locks_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotUse, match="WHICHOPT_GPU_LOCKS"):
        claim(gpus.wanted("all", THREE), tmp_path / "file", _never)


# -- what a process sees -------------------------------------------------------------------------------


def test_processes_are_dealt_the_gpus_by_their_numbers(
    cards: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    cards("A B C")
    for variable in ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES"):
        monkeypatch.setenv(variable, "")  # which is put back after the test
    seen = []
    for number in range(6):
        gpus.show(THREE)
        assert (
            gpus.take_place(number) == os.environ["CUDA_VISIBLE_DEVICES"] == os.environ["HIP_VISIBLE_DEVICES"]
        )
        seen.append(os.environ["CUDA_VISIBLE_DEVICES"])
    assert seen == ["GPU-A", "GPU-B", "GPU-C"] * 2
    gpus.show([])
    assert gpus.take_place(1) == ""
    assert gpus.visible() == []


def test_a_card_that_torch_cannot_use_is_told_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each card is tried by a process that sees it alone."""
    program = "import os, sys; sys.exit(os.environ['CUDA_VISIBLE_DEVICES'] == 'GPU-B' and 'too old a card')"
    monkeypatch.setattr(gpus, "FIRST_OPERATION", program)
    assert gpus.failing(THREE) == {THREE[1]: "too old a card"}


def test_a_card_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpus, "FIRST_OPERATION", "import sys; sys.stdin = None; import time; time.sleep(600)")
    monkeypatch.setattr(gpus, "TRIAL_S", 0.5)
    assert "over 0.5 s" in gpus.failing(THREE[:1])[THREE[0]]
