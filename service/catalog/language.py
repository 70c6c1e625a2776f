"""Language modeling: its task and metrics, the text that comes with Python, and the networks for texts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Self

from pydantic import Field, model_validator

from whichopt.service.catalog.dataset_entry import DatasetEntry, DatasetOptions
from whichopt.service.catalog.metrics import Metric
from whichopt.service.catalog.model_entry import ModelEntry
from whichopt.service.catalog.model_options import ModelOptions
from whichopt.service.catalog.shapes import Shape
from whichopt.service.catalog.task_entry import TaskEntry
from whichopt.service.errors import InvalidSpec
from whichopt.service.states import Direction
from whichopt.service.texts import LANGUAGE, Text
from whichopt.service.windows import FEWEST, LENGTH, count_of, windowed

# -- the task ------------------------------------------------------------------------------------------

METRICS = (
    Metric(
        name="nll",
        title="Negative log-likelihood of the next token",
        direction=Direction.MINIMIZE,
        unit="nats a token",
        constant="the cross-entropy of the test tokens under their frequencies in training",
        code="losses.mean().item()",
        by_example=True,
    ),
    Metric(
        name="perplexity",
        title="Perplexity: among how many equally likely tokens the next one is as hard to guess",
        direction=Direction.MINIMIZE,
        unit="tokens",
        constant="e to the power of its negative log-likelihood",
        code="losses.mean().exp().item()",
    ),
    Metric(
        name="bits_per_character",
        title="Bits a character, or a byte if the tokens are bytes",
        direction=Direction.MINIMIZE,
        unit="bits a token",
        constant="its negative log-likelihood over ln 2",
        code="losses.mean().item() / math.log(2)",
        by_example=True,
    ),
    Metric(
        name="accuracy",
        title="Accuracy",
        direction=Direction.MAXIMIZE,
        unit="share of tokens",
        constant="the share of the token that training has most of",
        code="hits.mean().item()",
        by_example=True,
    ),
)

TASK = TaskEntry(
    name=LANGUAGE,
    title="Language modeling",
    metrics=METRICS,
    loss="torch.nn.functional.cross_entropy",
    targets=lambda examples, tokens: f"torch.randint({tokens}, ({examples},))",
    about="The next token of a text. Cross-entropy in training, along the text in as many lanes as a batch "
    "has windows, with the state carried from step to step; selected on the mean negative log-likelihood "
    "(nats a token) unless the job names another metric.",
)

# -- texts ---------------------------------------------------------------------------------------------

BYTES = 256
"""Tokens of a text that is read as bytes."""


class TextOptions(DatasetOptions):
    length: int = Field(
        default=LENGTH,
        ge=2,
        le=4096,
        description="Tokens of a window. Gradients go no further back; a recurrent network's state does.",
    )
    tokens: Literal["characters", "bytes"] = Field(
        default="characters", description="Pieces of the text that are predicted one after the other."
    )


def of_text(text: Text) -> Callable[[DatasetOptions], Shape]:
    """Say of a text which shape its windows have."""

    def shape(options: DatasetOptions) -> Shape:
        assert isinstance(options, TextOptions)
        if options.tokens == "bytes":
            return _windows(text.bytes, BYTES, options.length)
        return _windows(text.characters, text.tokens, options.length)

    return shape


def _windows(size: int, tokens: int, length: int) -> Shape:
    shape = windowed(size, tokens, length)
    if shape.examples < FEWEST:
        longest = (size - 1) // FEWEST
        raise InvalidSpec(
            f"a text of {size:,} tokens has {shape.examples} windows of {length}, and at least {FEWEST} "
            "are needed: training, validation and test each want some; "
            + (f"set length to at most {longest}" if longest >= 2 else "use a longer text"),
            field="workload.dataset.length",
            value=length,
            allowed=f"2 to {longest}" if longest >= 2 else None,
        )
    return shape


NAMES_CHARACTERS = 354_744
NAMES_VOCABULARY = "\n -0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class NamesOptions(TextOptions):
    characters: int = Field(
        default=100_000,
        ge=1000,
        le=NAMES_CHARACTERS,
        description="Characters of the text that are used, from its beginning.",
    )

    @model_validator(mode="after")
    def _long_enough(self) -> Self:
        if count_of(self.characters, self.length) < FEWEST:
            raise ValueError(
                f"{self.characters:,} characters have fewer than {FEWEST} windows of {self.length}; set "
                f"characters to at least {FEWEST * self.length + 1:,}, or length to a smaller number"
            )
        return self


def _names(options: DatasetOptions) -> Shape:
    assert isinstance(options, NamesOptions)
    tokens = BYTES if options.tokens == "bytes" else len(NAMES_VOCABULARY)
    return _windows(options.characters, tokens, options.length)


UNICODE_NAMES = DatasetEntry(
    name="unicode_names",
    title="Names of characters, a line each",
    task=LANGUAGE,
    shape=_names,
    source="Python's unicodedata.ucd_3_2_0: the 12,886 names of Unicode 3.2, which every Python has alike",
    options=NamesOptions,
)

# -- networks ------------------------------------------------------------------------------------------


class LSTMOptions(ModelOptions):
    layers: int = Field(default=1, ge=1, le=3, description="Layers, one on the other.")
    hidden: int = Field(default=64, ge=1, le=4096, description="Numbers in the state of a layer.")
    embedding: int = Field(default=32, ge=1, le=4096, description="Numbers that a token becomes.")
    dropout: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="Chance of each output of a layer to be set to 0 in training. Trials with it are trained "
        "one at a time.",
    )


def lstm_params(options: ModelOptions, shape: Shape) -> int:
    assert isinstance(options, LSTMOptions)
    inputs = (options.embedding, *[options.hidden] * (options.layers - 1))
    layers = sum(4 * options.hidden * (size + options.hidden + 2) for size in inputs)
    return shape.outputs * options.embedding + layers + (options.hidden + 1) * shape.outputs


def _lstm_kept(options: ModelOptions, shape: Shape) -> int:
    """A layer keeps its gates, its state and what follows of them: about 12 numbers for each of its own."""
    assert isinstance(options, LSTMOptions)
    of_token = options.embedding + 12 * options.hidden * options.layers + 3 * shape.outputs
    return of_token * shape.features


def _only_solo(options: ModelOptions) -> str | None:
    assert isinstance(options, LSTMOptions)
    if not options.dropout:
        return None
    return "its dropout draws random numbers, which torch's vmap cannot do as each trial's own seed says"


LSTM = ModelEntry(
    name="lstm",
    title="LSTM",
    params=lstm_params,
    about="An embedding, 1 to 3 LSTM layers and a linear layer. Its state goes on from window to window.",
    options=LSTMOptions,
    kept=_lstm_kept,
    only_solo=_only_solo,
    tasks=(LANGUAGE,),
)


class TransformerOptions(ModelOptions):
    layers: int = Field(default=2, ge=1, le=12, description="Blocks, one after the other.")
    heads: int = Field(default=4, ge=1, le=64, description="Heads of the attention.")
    width: int = Field(
        default=64, ge=1, le=4096, description="Numbers that a token becomes; a multiple of heads."
    )

    @model_validator(mode="after")
    def _divisible(self) -> Self:
        if self.width % self.heads:
            down = self.width // self.heads * self.heads
            fitting = " or ".join(str(one) for one in (down, down + self.heads) if one)
            raise ValueError(f"width must be a multiple of heads ({self.heads}), such as {fitting}")
        return self


def transformer_params(options: ModelOptions, shape: Shape) -> int:
    assert isinstance(options, TransformerOptions)
    width = options.width
    attention = 2 * width + 3 * width * (width + 1) + width * (width + 1)
    block = attention + 2 * width + 4 * width * (width + 1) + width * (4 * width + 1)
    embeddings = (shape.outputs + shape.features) * width
    return embeddings + options.layers * block + 2 * width + (width + 1) * shape.outputs


def _transformer_kept(options: ModelOptions, shape: Shape) -> int:
    assert isinstance(options, TransformerOptions)
    of_token = 18 * options.width + 3 * options.heads * shape.features
    return (options.layers * of_token + 4 * options.width + 3 * shape.outputs) * shape.features


TRANSFORMER = ModelEntry(
    name="transformer",
    title="Small causal transformer",
    params=transformer_params,
    about="Blocks of causal attention and two linear layers with a GELU between them, each with layer "
    "normalization before it; learned positions. It sees the tokens of its window, and no state.",
    options=TransformerOptions,
    kept=_transformer_kept,
    tasks=(LANGUAGE,),
)
