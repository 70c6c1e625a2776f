"""The networks of a generator and its critic: size, spectral normalization, and the gradient penalty."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from whichopt.service.catalog.generation import GAN, GanOptions
from whichopt.service.catalog.shapes import Shape
from whichopt.workers.workload import Batch, Player
from whichopt.workers.workload.gan import Gan, SpectralLinear
from whichopt.workers.workload.generation import drawn, players

OURS = {
    "bias": "bias",
    "parametrizations.weight.original": "weight",
    "parametrizations.weight.0._u": "u",
    "parametrizations.weight.0._v": "v",
}
"""Our names of torch's tensors."""

POINTS = Shape(100, 2, 2)
IMAGES = Shape(100, 12, 12, image=(3, 2, 2))

WASSERSTEIN = GanOptions(latent=3, hidden=(6, 5), loss="wgan-gp")


def _network(options: GanOptions, shape: Shape = POINTS, seed: int = 0) -> Gan:
    torch.manual_seed(seed)
    return Gan(options, shape).double()


def _batch(options: GanOptions, examples: int = 9) -> Batch:
    random = torch.Generator().manual_seed(5)
    real = torch.randn(examples, 2, generator=random)
    batch = drawn(Batch(real, real), random, latent=options.latent)
    assert batch.noise is not None
    return Batch(real.double(), real.double(), None, batch.noise.double())


def _critic(options: GanOptions, model: nn.Module) -> Player:
    return players([name for name, _ in model.named_parameters()], options)[0]


@pytest.mark.parametrize("shape", [POINTS, IMAGES])
@pytest.mark.parametrize(
    "options",
    [{}, {"latent": 1, "hidden": [7]}, {"spectral_norm": True, "hidden": [3, 4, 5]}, {"loss": "wgan-gp"}],
)
def test_its_params_are_counted_in_closed_form(options: dict[str, Any], shape: Shape) -> None:
    wanted = GanOptions(**options)
    assert GAN.params(wanted, shape) == sum(param.numel() for param in _network(wanted, shape).parameters())


def test_each_param_has_one_player() -> None:
    names = [name for name, _ in _network(WASSERSTEIN).named_parameters()]
    critic, generator = players(names, GanOptions(critic_steps=3))
    assert sorted((*critic.params, *generator.params)) == sorted(names)
    assert (critic.name, critic.every, generator.name, generator.every) == ("critic", 1, "generator", 3)


def test_what_it_makes_of_images_lies_between_black_and_white() -> None:
    made = _network(GanOptions(), IMAGES)("generator", 100 * torch.randn(50, 8).double())
    assert made.shape == (50, 12)
    assert 0 <= made.min() < 0.1
    assert 0.9 < made.max() <= 1


# -- spectral normalization ------------------------------------------------------------------------------


def _both(inputs: int, outputs: int) -> tuple[SpectralLinear, nn.Module]:
    """Our layer and torch's, from the same weights and singular vectors."""
    torch.manual_seed(3)
    theirs: nn.Module = spectral_norm(nn.Linear(inputs, outputs).double())
    ours = SpectralLinear(inputs, outputs).double()
    ours.load_state_dict({OURS[name]: tensor for name, tensor in theirs.state_dict().items()})
    return ours, theirs


def _use(layer: SpectralLinear, x: Tensor) -> Tensor:
    return nn.functional.linear(x, layer.weight_in_use(iterating=layer.training), layer.bias)


@pytest.mark.parametrize(("inputs", "outputs"), [(4, 3), (1, 7), (8, 1)])
def test_spectral_normalization_has_torchs_values(inputs: int, outputs: int) -> None:
    """In training, in evaluation after it, and in the gradients: only float64's last bits differ."""
    ours, theirs = _both(inputs, outputs)
    x = torch.randn(5, inputs).double()
    for training in (True, True, True, False):
        ours.train(training)
        theirs.train(training)
        found, wanted = _use(ours, x), theirs(x)
        assert torch.allclose(found, wanted, rtol=1e-12, atol=1e-14)
        (slope,) = torch.autograd.grad(found.square().sum(), ours.weight)
        (other,) = torch.autograd.grad(
            wanted.square().sum(), theirs.get_parameter("parametrizations.weight.original")
        )
        assert torch.allclose(slope, other, rtol=1e-10, atol=1e-13)


def test_the_largest_singular_value_becomes_one() -> None:
    layer = SpectralLinear(6, 4)
    for _ in range(50):
        weight = layer.weight_in_use(iterating=True)
    # Power iteration converges by the square of the ratio of the two largest values each time.
    assert torch.linalg.matrix_norm(weight.detach(), 2).item() == pytest.approx(1, abs=1e-3)


def test_an_evaluation_does_not_iterate() -> None:
    critic = _network(GanOptions(spectral_norm=True)).critic.eval()
    before = [tensor.clone() for tensor in critic.buffers()]
    critic(torch.randn(4, 2).double())
    assert all(torch.equal(one, other) for one, other in zip(before, critic.buffers(), strict=True))


# -- the gradient penalty --------------------------------------------------------------------------------


def _by_autograd(model: Gan, batch: Batch, options: GanOptions) -> Tensor:
    """The critic's loss of WGAN-GP with the slopes by `torch.autograd`."""
    assert batch.noise is not None
    made = model("generator", batch.noise[:, : options.latent]).detach()
    share = batch.noise[:, -1:]
    between = (batch.inputs + share * (made - batch.inputs)).requires_grad_()
    judged = model.critic(between, iterating=False)
    (slopes,) = torch.autograd.grad(judged.sum(), between, create_graph=True)
    penalty = options.penalty * (slopes.norm(dim=1) - 1).square().mean()
    loss: Tensor = model("critic", made).mean() - model("critic", batch.inputs).mean() + penalty
    return loss


@pytest.mark.parametrize("spectral", [False, True])
def test_the_penalty_is_autograds_to_the_second_order(spectral: bool) -> None:
    """The gradient of the penalty is a second derivative of the critic. Float64; 1e-12 is added to the square
    of a slope's length, which is about 0.1 or more."""
    options = WASSERSTEIN.model_copy(update={"spectral_norm": spectral})
    model = _network(options).eval()  # or the singular vectors would differ from one call to the next
    batch = _batch(options)
    player = _critic(options, model)
    params = [model.get_parameter(name) for name in player.params]
    found, _ = player.loss(model, batch, {})
    wanted = _by_autograd(model, batch, options)
    assert found.item() == pytest.approx(wanted.item(), rel=1e-8)
    slopes = torch.autograd.grad(found, params, allow_unused=True, materialize_grads=True)
    others = torch.autograd.grad(wanted, params, allow_unused=True, materialize_grads=True)
    for name, slope, other in zip(player.params, slopes, others, strict=True):
        torch.testing.assert_close(slope, other, rtol=1e-6, atol=1e-8, msg=name)


@pytest.mark.parametrize(
    "options",
    [
        GanOptions(latent=3, hidden=(6, 5)),
        GanOptions(latent=3, hidden=(6, 5), spectral_norm=True),
        WASSERSTEIN,
        WASSERSTEIN.model_copy(update={"spectral_norm": True}),
    ],
    ids=["nonsaturating", "spectral", "penalty", "both"],
)
def test_losses_and_buffers_are_the_same_under_vmap(options: GanOptions) -> None:
    """Each network of a stack has the loss, the gradients and the singular vectors that it has alone."""
    models = [_network(options, seed=seed) for seed in (1, 2, 3)]
    params, buffers = torch.func.stack_module_state(models)
    skeleton, batch = _network(options), _batch(options)
    for player in players(list(params), options):

        def loss(own: dict[str, Tensor], kept: dict[str, Tensor], player: Player = player) -> Tensor:
            def net(*inputs: Any) -> Any:
                return torch.func.functional_call(skeleton, (own, kept), inputs)

            return player.loss(net, batch, {})[0]

        losses = torch.func.vmap(loss)(params, buffers)
        together = torch.autograd.grad(losses.sum(), [params[name] for name in player.params])
        for row, model in enumerate(models):
            alone, _ = player.loss(model, batch, {})
            assert losses[row].item() == pytest.approx(alone.item(), rel=1e-10)
            own = [model.get_parameter(name) for name in player.params]
            for stacked, slope in zip(together, torch.autograd.grad(alone, own), strict=True):
                torch.testing.assert_close(stacked[row], slope, rtol=1e-8, atol=1e-10)
            for name, buffer in model.named_buffers():
                torch.testing.assert_close(buffers[name][row], buffer, rtol=1e-10, atol=1e-12)


def test_a_dead_critic_has_gradients() -> None:
    """A slope of length 0 has no direction; its root must not make a NaN of all params."""
    model = _network(WASSERSTEIN)
    with torch.no_grad():
        model.get_parameter("critic.layers.2.weight").zero_()
    player = _critic(WASSERSTEIN, model)
    loss, _ = player.loss(model, _batch(WASSERSTEIN), {})
    torch.autograd.backward(loss, inputs=[model.get_parameter(name) for name in player.params])
    for name in player.params:
        slope = model.get_parameter(name).grad
        assert slope is None or slope.isfinite().all(), name
