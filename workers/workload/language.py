"""Language modeling: the loss along a text with a carried state, what is judged, and what is written."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from whichopt.service.trials import Sample
from whichopt.workers.workload.criteria import Criteria
from whichopt.workers.workload.functions import mean
from whichopt.workers.workload.players import Carry, Net, Player
from whichopt.workers.workload.stream import Batch, Examples, Splits

LANES = 64
"""Most lanes in which an evaluation walks along a split."""

LANE = 16
"""Windows of the shortest lane of an evaluation: each begins with an empty state, which must not weigh."""

WRITTEN = 200
"""Tokens that a network writes as a sample."""

WRITING_SEED = 0

HIGHEST_NLL = 700.0
"""Nats beyond which e to their power is no number any more."""

LOSS, HIT = 0, 1
"""What is kept of each token: its negative log-likelihood, and 1 if the likeliest token was right."""


def _stepped(net: Net, tokens: Tensor, state: Sequence[Tensor]) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Return the outputs for tokens (N, T), and the next state; a network without one has an empty state."""
    answered = net(tokens.long(), *state)
    if isinstance(answered, Tensor):
        return answered, ()
    outputs, *after = answered
    return outputs, tuple(after)


def losses(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the negative log-likelihood of each target (N, T) under outputs (N, T, tokens)."""
    chosen = outputs.gather(-1, targets.long().unsqueeze(-1)).squeeze(-1)
    return outputs.logsumexp(dim=-1) - chosen


def _loss(net: Net, batch: Batch, carry: Carry) -> tuple[Tensor, Carry]:
    # The last step of a trial may have fewer lanes than those before.
    state = [carry[name][: len(batch.inputs)] for name in sorted(carry)]
    outputs, state_after = _stepped(net, batch.inputs, state)
    after = {f"state{at}": tensor.detach() for at, tensor in enumerate(state_after)}
    return mean(losses(outputs, batch.targets)), after


def _answer(net: Net, whole: Batch) -> Tensor:
    """The loss and the hit of each token (N, T, 2), from lanes that walk along the windows side by side.

    The outputs of one step of all lanes are in memory at once, and no more.
    """
    windows = len(whole.inputs)
    rounds = -(-windows // max(1, min(LANES, windows // LANE)))
    begins = torch.arange(-(-windows // rounds), device=whole.inputs.device) * rounds
    state: tuple[Tensor, ...] = ()
    found = []
    for step in range(rounds):
        at = (begins + step).clamp(max=windows - 1)  # the last lane may be shorter
        targets = whole.targets[at].long()
        outputs, state = _stepped(net, whole.inputs[at], state)
        hits = (outputs.argmax(dim=-1) == targets).to(outputs.dtype)
        found.append(torch.stack([losses(outputs, targets), hits], dim=-1))
    return torch.stack(found, dim=1).flatten(0, 1)[:windows]


def _reference(splits: Splits) -> Tensor:
    """The same of the frequencies of training; a token that training lacks counts as half a one."""
    tokens = 1 + max(int(part.targets.max()) for part in (splits.train, splits.validation, splits.test))
    counts = torch.bincount(splits.train.targets.long().flatten(), minlength=tokens).double()
    smoothed = counts.clamp_min(0.5)
    nll = smoothed.sum().log() - smoothed.log()
    targets = splits.test.targets.long()
    return torch.stack([nll[targets], (targets == counts.argmax()).double()], dim=-1)


def _metrics(outputs: Tensor, targets: Tensor, unit: float, names: Sequence[str]) -> dict[str, Tensor]:  # noqa: ARG001
    means = outputs.double().mean(dim=(0, 1))
    return {name: _OF_MEANS[name](means) for name in names}


def _by_example(outputs: Tensor, targets: Tensor, unit: float, name: str) -> Tensor:  # noqa: ARG001
    """Its mean over the tokens of each window."""
    return _OF_MEANS[name](outputs.double().mean(dim=1))


_OF_MEANS: dict[str, Callable[[Tensor], Tensor]] = {
    "nll": lambda means: means[..., LOSS],
    "perplexity": lambda means: means[..., LOSS].clamp(max=HIGHEST_NLL).exp(),
    "bits_per_character": lambda means: means[..., LOSS] / math.log(2),
    "accuracy": lambda means: means[..., HIT],
}


@torch.no_grad()
def _sample(net: Net, examples: Examples) -> Sample:
    """What the network writes after the first window, each token drawn by its chances with a fixed seed."""
    assert examples.written is not None
    random = torch.Generator().manual_seed(WRITING_SEED)
    seen = examples.inputs[:1].long()
    outputs, state = _stepped(net, seen, ())
    written = []
    for _ in range(WRITTEN):
        chances = outputs[0, -1].float().softmax(dim=-1).cpu()
        if not chances.isfinite().all():
            break  # on its own text a network may diverge that did not on the test split
        token = torch.multinomial(chances, 1, generator=random)
        written.append(token)
        new = token.to(seen.device).view(1, 1)
        # A network that carries no state has to see the tokens before again.
        seen = new if state else torch.cat([seen, new], dim=1)[:, -examples.inputs.shape[1] :]
        outputs, state = _stepped(net, seen, state)
    text = examples.written(torch.cat(written)) if written else ""
    shown = (
        letter if letter.isprintable() or letter in "\n\t" else "\N{REPLACEMENT CHARACTER}" for letter in text
    )
    return Sample(kind="text", content="".join(shown))


LANGUAGE = Criteria(
    metrics=_metrics,
    by_example=_by_example,
    followed=("nll", "accuracy"),
    players=lambda params: (Player("network", tuple(params), _loss),),
    answer=_answer,
    reference=_reference,
    sample=_sample,
)
"""The task `language`: outputs are, of each token, its loss and whether it was guessed."""
