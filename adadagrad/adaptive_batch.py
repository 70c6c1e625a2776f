"""A batch size that grows, for a training loop of one's own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from adadagrad.gathering import Gathered, Growth


class AdaptiveBatch:
    """Gathers the gradients of micro-batches, and says when the optimizer is to step.

    The loop goes through the data in micro-batches of `micro` examples. `add` takes the gradients that
    `backward` has just left; once the batch is full it leaves the mean gradient of the batch instead, and the
    optimizer steps with that. From the noise among the micro-batches it decides how large the next batch is:
    the norm test of arXiv 2402.11215. There is no need of per-example gradients, so any model will do.

    Args:
        params: the params that are trained, of one dtype and device.
        growth: the way in which the batch grows.

    Raises:
        ValueError: there are no params.

    Example:
        >>> import torch
        >>> from adadagrad import AdaptiveBatch, Growth
        >>> model = torch.nn.Linear(3, 1)
        >>> optimizer = torch.optim.Adagrad(model.parameters(), lr=0.1)
        >>> batch = AdaptiveBatch(model.parameters(), Growth(eta=0.5, start=16, most=64, micro=4))
        >>> inputs = torch.randn(400, 3, generator=torch.Generator().manual_seed(0))
        >>> for part in inputs.split(batch.micro):
        ...     optimizer.zero_grad()
        ...     model(part).square().mean().backward()
        ...     if batch.add(len(part)):
        ...         optimizer.step()
        >>> 16 <= batch.size <= 64
        True
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        growth: Growth,
    ) -> None:
        self.params: Sequence[Tensor] = list(params)
        if not self.params:
            raise ValueError("there are no params to gather gradients of")
        entries = sum(param.numel() for param in self.params)
        like = self.params[0].detach().new_empty(entries)
        self.gathered = Gathered([growth], like)

    @property
    def micro(self) -> int:
        """The examples of a micro-batch."""
        return self.gathered.growths[0].micro

    @property
    def size(self) -> int:
        """The examples of the batch that is being gathered."""
        return self.gathered.sizes[0]

    @property
    def test(self) -> float | None:
        """The last test: V / (b eta^2 |g|^2), so that above 1 there was too much noise; None before any."""
        return self.gathered.tests[0]

    @property
    def seen(self) -> int:
        """The examples that are in the batch."""
        return self.gathered.examples[0]

    def filled(self, count: int, *, last: bool = False) -> int | None:
        """Return how many examples the batch has once `count` more are added; None if it is not full then."""
        return self.gathered.after(count, last=last)[0]

    @torch.no_grad()
    def add(self, count: int, *, last: bool = False) -> bool:
        """Add the gradients of a micro-batch of `count` examples, and tell if the optimizer is to step.

        If so, each param's gradient is that of the whole batch.

        Args:
            count: the examples of the micro-batch.
            last: whether it is the last of the training, so that a batch is full with what it has.
        """
        full = self.filled(count, last=last) is not None
        gradients = [torch.zeros_like(param) if param.grad is None else param.grad for param in self.params]
        self.gathered.add(torch.cat([one.flatten() for one in gradients])[None], count)
        if full:
            mean = self.gathered.mean(0)
            parts = torch.split(mean, [param.numel() for param in self.params])
            for param, part in zip(self.params, parts, strict=True):
                if param.grad is None:
                    param.grad = part.view_as(param).clone()
                else:
                    param.grad.copy_(part.view_as(param))
            self.gathered.close([0])
        return full

    def state_dict(self) -> dict[str, Any]:
        """Return a copy of all that `load_state_dict` needs, inside a half-full batch as well."""
        state = self.gathered.state()
        return {**state, "sums": state["sums"].clone(), "squares": state["squares"].clone()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self.gathered.load(state, [0])
