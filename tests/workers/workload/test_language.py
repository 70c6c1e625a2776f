"""The networks for texts as the catalog counts them, and texts as tokens."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
import torch
from torch import nn

from whichopt.service.catalog.built_in import built_in
from whichopt.service.catalog.language import (
    LSTM,
    NAMES_CHARACTERS,
    NAMES_VOCABULARY,
    TRANSFORMER,
    NamesOptions,
    TextOptions,
)
from whichopt.service.catalog.model_entry import ModelEntry
from whichopt.service.catalog.shapes import Shape
from whichopt.service.errors import InvalidSpec
from whichopt.service.spec import JobSpec, ResolvedSpec, resolve
from whichopt.service.spec.executors import only_solo
from whichopt.workers.workload import texts
from whichopt.workers.workload.functions import gelu
from whichopt.workers.workload.gone import DatasetGone
from whichopt.workers.workload.models import builder
from whichopt.workers.workload.text_networks import Block, over_tokens

SHAPE = Shape(100, 12, 39, tokens=39)


@pytest.mark.parametrize(
    ("entry", "options"),
    [
        (LSTM, {}),
        (LSTM, {"layers": 3, "hidden": 7, "embedding": 5}),
        (LSTM, {"layers": 2, "dropout": 0.5}),
        (TRANSFORMER, {}),
        (TRANSFORMER, {"layers": 3, "heads": 2, "width": 10}),
    ],
)
def test_the_catalog_counts_what_torch_counts(entry: ModelEntry, options: dict[str, Any]) -> None:
    chosen = entry.options(**options)
    network = builder(entry)(chosen, SHAPE)
    assert sum(param.numel() for param in network.parameters()) == entry.params(chosen, SHAPE)
    answered = network(torch.randint(39, (3, 12)))
    outputs = answered if isinstance(answered, torch.Tensor) else answered[0]
    assert outputs.shape == (3, 12, 39)


def test_no_token_sees_a_later_one() -> None:
    for entry in (LSTM, TRANSFORMER):
        torch.manual_seed(0)
        network = builder(entry)(entry.options(), SHAPE).eval()
        tokens = torch.randint(39, (2, 12))
        changed = tokens.clone()
        changed[:, 7] = (changed[:, 7] + 1) % 39
        before, after = (
            found if isinstance(found, torch.Tensor) else found[0]
            for found in (network(tokens), network(changed))
        )
        assert torch.equal(before[:, :7], after[:, :7])
        assert not torch.equal(before[:, 7], after[:, 7])


def test_a_block_is_torchs_own() -> None:
    """But for the order of sums: a pre-norm encoder layer with a causal mask."""
    torch.manual_seed(0)
    block = Block(12, 3).double()
    theirs = nn.TransformerEncoderLayer(
        12, 3, 48, dropout=0.0, activation=gelu, batch_first=True, norm_first=True, dtype=torch.float64
    )
    attention = theirs.self_attn
    pairs = [
        (attention.in_proj_weight, block.attention.weight),
        (attention.in_proj_bias, block.attention.bias),
        *zip(attention.out_proj.parameters(), block.project.parameters(), strict=True),
        *zip(theirs.linear1.parameters(), block.up.parameters(), strict=True),
        *zip(theirs.linear2.parameters(), block.down.parameters(), strict=True),
    ]
    with torch.no_grad():
        for their, ours in pairs:
            their.copy_(ours)
    x = torch.randn(2, 5, 12, dtype=torch.float64)
    mask = torch.full((5, 5), -torch.inf, dtype=torch.float64).triu(1)
    torch.testing.assert_close(block(x, mask), theirs(x, src_mask=mask))


def test_gelu_is_torchs_by_tanh() -> None:
    x = torch.linspace(-6, 6, 101)
    torch.testing.assert_close(gelu(x), nn.functional.gelu(x, approximate="tanh"))


def test_a_linear_layer_acts_on_each_token() -> None:
    torch.manual_seed(0)
    linear, x = nn.Linear(4, 3), torch.randn(2, 5, 4)
    torch.testing.assert_close(over_tokens(linear, x), linear(x))


def test_the_names_of_characters_are_the_text_that_the_catalog_means(monkeypatch: pytest.MonkeyPatch) -> None:
    text = texts.names()
    assert len(text) == NAMES_CHARACTERS
    assert "".join(sorted(set(text))) == NAMES_VOCABULARY
    assert hashlib.sha256(text.encode()).hexdigest() == texts.NAMES_SHA256
    monkeypatch.setattr(texts, "UNNAMED", ("LATIN",))
    with pytest.raises(DatasetGone, match="another text"):
        texts.unicode_names(NamesOptions())


def test_rare_characters_share_a_token() -> None:
    windows = texts.of_characters("abxcé€", "abc", TextOptions(length=2))
    assert windows.tokens.tolist() == [0, 1, 3, 2, 3, 3]
    assert windows.written(torch.tensor(windows.tokens)) == "ab\N{REPLACEMENT CHARACTER}c" + 2 * texts.UNKNOWN


def test_bytes_are_written_as_the_text_that_they_are() -> None:
    windows = texts.of_bytes("né".encode(), TextOptions(length=2, tokens="bytes"))
    assert windows.tokens.tolist() == [0x6E, 0xC3, 0xA9]
    assert windows.written(torch.tensor(windows.tokens)) == "né"
    assert windows.written(torch.tensor([0xC3, 0x6E])) == texts.UNKNOWN + "n"


def _resolved(**changes: Any) -> ResolvedSpec:
    workload = {"dataset": "unicode_names", "model": "lstm", **changes.pop("workload", {})}
    return resolve(JobSpec.model_validate({"workload": workload, **changes}))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"workload": {"model": "mlp"}}, "the models for it are lstm, transformer"),
        ({"workload": {"task": {"name": "language", "class_weight": "balanced"}}}, "no option"),
        ({"workload": {"dataset": "wine"}}, "'lstm' is for language"),
        ({"workload": {"dataset": {"name": "unicode_names", "characters": 1000, "length": 300}}}, "1,501"),
        ({"workload": {"model": {"name": "transformer", "width": 30}}}, "28 or 32"),
        ({"batch_size": 939}, "938 examples"),
        ({"workload": {"model": {"name": "lstm", "dropout": 0.1}}, "executor": "stacked"}, "dropout"),
    ],
)
def test_what_cannot_be_is_refused_in_words(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidSpec, match=words):
        _resolved(**changes)


def test_with_dropout_it_is_trained_solo() -> None:
    resolved = _resolved(workload={"model": {"name": "lstm", "dropout": 0.1}})
    assert "dropout draws random numbers" in only_solo(resolved, built_in())["adabelief"]
    assert only_solo(_resolved(), built_in()) == {}
