"""The VAE: its size, its bound against an integral, and what a predictor that knows nothing pays."""

from __future__ import annotations

import base64
import math
from typing import Any

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from whichopt.service.catalog.generation import VAE, VaeOptions
from whichopt.service.catalog.shapes import Shape
from whichopt.service.spec import JobSpec, resolve
from whichopt.workers.workload import Batch, Workload, build
from whichopt.workers.workload.vae import Vae, answer, loss, parts

SHAPE = Shape(100, 12, 12, image=(3, 2, 2))
NAMES = ("negative_elbo", "reconstruction", "kl")


def _workload(**options: Any) -> Workload:
    body = {"dataset": "digits", "model": {"name": "vae", **options}, "task": "autoencoding"}
    return build(resolve(JobSpec.model_validate({"workload": body})).cataloged)


def _batch(latent: int, examples: int = 9) -> Batch:
    random = torch.Generator().manual_seed(1)
    inputs = torch.rand(examples, 12, generator=random).double()
    return Batch(inputs, inputs, None, torch.randn(examples, latent, generator=random).double())


@pytest.mark.parametrize("options", [{}, {"latent": 1, "hidden": [7]}, {"latent": 3, "hidden": [6, 5, 4]}])
def test_its_params_are_counted_in_closed_form(options: dict[str, Any]) -> None:
    wanted = VaeOptions(**options)
    assert VAE.params(wanted, SHAPE) == sum(param.numel() for param in Vae(wanted, SHAPE).parameters())


def test_its_loss_is_torchs() -> None:
    """The cross-entropy of the decoder and the divergence of Gaussians, both as torch has them: float64."""
    torch.manual_seed(0)
    net, batch = Vae(VaeOptions(latent=3, hidden=(6,)), SHAPE).double(), _batch(3)
    center, log_variance = net("encoder", batch.inputs).chunk(2, dim=1)
    deviation = (log_variance / 2).exp()
    logits = net("decoder", center + deviation * batch.noise)
    cost = torch.nn.functional.binary_cross_entropy_with_logits(logits, batch.inputs, reduction="none").sum(1)
    divergence = kl_divergence(Normal(center, deviation), Normal(0.0, 1.0)).sum(1)
    found = parts(net, batch)
    torch.testing.assert_close(found[0], cost, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(found[1], divergence, rtol=1e-10, atol=1e-12)
    assert loss(net, batch, {})[0].item() == pytest.approx((cost + divergence).mean().item(), rel=1e-10)


def test_it_bounds_the_likelihood_from_above() -> None:
    """With one code of one number the likelihood is an integral, here by a fine grid; the bound, a mean over
    codes, lies above it, and meets it where the decoder does not listen."""
    torch.manual_seed(0)
    net = Vae(VaeOptions(latent=1, hidden=(6,)), SHAPE).double()
    example = torch.rand(1, 12).double()
    grid = torch.linspace(-8, 8, 4001).double().unsqueeze(1)

    def exact() -> float:
        logits = net("decoder", grid)
        cost = torch.nn.functional.binary_cross_entropy_with_logits(
            logits, example.expand_as(logits), reduction="none"
        ).sum(1)
        weights = -grid[:, 0].square() / 2 - math.log(2 * math.pi) / 2 + math.log(16 / 4000)
        return -float((weights - cost).logsumexp(0))

    def bound() -> float:
        noise = torch.randn(20_000, 1, generator=torch.Generator().manual_seed(0)).double()
        batch = Batch(example.expand(20_000, -1), example, None, noise)
        return answer(net, batch).sum(dim=1).mean().item()

    with torch.no_grad():
        assert bound() > exact()
        # A decoder that does not listen, and an encoder that does not tell.
        for name in ("decoder.0.weight", "encoder.1.weight", "encoder.1.bias"):
            net.get_parameter(name).zero_()
        assert bound() == pytest.approx(exact(), rel=1e-6)


def test_inputs_are_scaled_to_0_to_1_and_noise_is_fixed() -> None:
    workload = _workload(latent=5)
    one, other = workload.splits(1), workload.splits(2)
    assert (one.train.inputs.min().item(), one.train.inputs.max().item()) == (0, 1)
    assert one.test.noise is not None
    assert one.test.noise.shape == (len(one.test), 5)
    assert other.test.noise is not None
    assert torch.equal(one.test.noise, other.test.noise)
    model = workload.model(0).eval()
    first, again = (workload.evaluate(model, one.test) for _ in range(2))
    assert first == again


def test_what_a_constant_predictor_pays_is_the_entropy_of_the_means() -> None:
    """A pixel that is white in training and not so elsewhere costs much, but not infinitely much."""
    workload = _workload()
    splits = workload.splits(3)
    chance = splits.train.inputs.double().mean(dim=0).clamp(0.5 / 1078, 1 - 0.5 / 1078)
    wanted = torch.nn.functional.binary_cross_entropy(
        chance.expand(len(splits.test), -1), splits.test.inputs.double(), reduction="none"
    ).sum(dim=1)
    reference = workload.reference(splits)
    assert reference["negative_elbo"] == pytest.approx(wanted.mean().item(), rel=1e-9)
    assert reference["reconstruction"] == pytest.approx(wanted.mean().item(), rel=1e-9)
    assert reference["kl"] == 0


def test_values_by_example_are_those_of_the_metric() -> None:
    workload = _workload()
    examples, model = workload.splits(0).test, workload.model(0).eval()
    values = workload.values(workload.outputs(model, examples), examples)
    assert values is not None
    assert values.shape == (len(examples),)
    found = workload.evaluate(model, examples, NAMES)
    assert values.mean().item() == pytest.approx(found["negative_elbo"].item(), rel=1e-12)
    assert found["negative_elbo"].item() == pytest.approx(
        (found["reconstruction"] + found["kl"]).item(), rel=1e-12
    )


def test_its_sample_is_64_images_of_fixed_noise() -> None:
    workload = _workload()
    model, test = workload.model(0).eval(), workload.splits(0).test
    sample = workload.sample(model, test)
    assert sample is not None
    assert (sample.kind, sample.shape) == ("images", (64, 1, 8, 8))
    shown = torch.frombuffer(bytearray(base64.b64decode(sample.content)), dtype=torch.uint8)
    assert test.noise is not None
    with torch.no_grad():
        wanted = model("decoder", test.noise[:64]).sigmoid()
    assert (shown.double().reshape(64, 64) / 255 - wanted).abs().max() <= 0.5001 / 255
