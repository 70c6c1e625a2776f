"""What adabelief-pytorch 0.2.1 does wrong, by what should be true instead.

Each test takes the way to make an optimizer as an argument. Ours passes it, and where that package is
installed, ``test_the_reference_fails_it`` shows that the test would have caught the fault: given the
reference, the same lines fail, and with the message that names the fault.
"""

import contextlib
import copy
import importlib
import io
import re
import sys
from collections.abc import Callable, Iterable
from typing import Any
from unittest import mock

import pytest
import torch
from torch import Tensor
from torch.optim import Adam, Optimizer
from torch.utils._python_dispatch import TorchDispatchMode

from adabelief import AdaBelief

Make = Callable[..., Optimizer]
"""Takes params and our names of the settings; what is not set is the default of the package."""


@pytest.fixture
def make() -> Make:
    return AdaBelief


def make_reference(params: Iterable[Any], **settings: Any) -> Optimizer:
    from adabelief_pytorch import AdaBelief as Reference

    if "decoupled_weight_decay" in settings:
        settings["weight_decouple"] = settings.pop("decoupled_weight_decay")
    optimizer = Reference(params, print_change_log=False, **settings)
    assert isinstance(optimizer, Optimizer)
    return optimizer


def param(dtype: torch.dtype = torch.float32, value: float = 1.0, size: int = 5) -> Tensor:
    return torch.full((size,), value, dtype=dtype, requires_grad=True)


def noise(p: Tensor, seed: int) -> Tensor:
    return torch.randn(p.shape, generator=torch.Generator().manual_seed(seed)).to(p.dtype)


def go_on(optimizer: Optimizer, first: int, last: int) -> Tensor:
    """Take the steps from ``first`` on, before ``last``, on noise that shrinks; return the last parameter."""
    params = [p for group in optimizer.param_groups for p in group["params"]]
    for t in range(first, last):
        for p in params:
            p.grad = noise(p, t) * 0.8**t
        optimizer.step()
    moved: Tensor = params[-1].detach()
    return moved


def accepted(make: Make, **settings: Any) -> bool:
    try:
        make([param()], **settings)
    except ValueError:
        return False
    return True


def test_f01_amsgrad_counts_under_rectification(make: Make) -> None:
    settings: dict[str, Any] = {"betas": (0.9, 0.9), "rectify": True}
    free = go_on(make([param()], **settings), 0, 40)
    held = go_on(make([param()], **settings, amsgrad=True), 0, 40)
    assert not torch.equal(free, held), "amsgrad changes nothing"
    assert (held - 1).norm() < (free - 1).norm()  # the largest s is from the large gradients of the start


def test_f02_groups_do_not_see_the_betas_of_each_other(make: Make) -> None:
    optimizer = make([param()], rectify=True)
    optimizer.add_param_group({"params": [param()], "betas": (0.5, 0.9)})
    alone = make([param()], rectify=True, betas=(0.5, 0.9))
    assert torch.equal(go_on(optimizer, 0, 20), go_on(alone, 0, 20)), "one group steps by another's betas"


def test_f03_state_dict_has_settings_in_its_groups_and_nothing_else(make: Make) -> None:
    optimizer = make([param()], rectify=True)
    go_on(optimizer, 0, 20)
    (group,) = optimizer.state_dict()["param_groups"]
    assert group.pop("params") == [0]
    unlike = {name for name, x in group.items() if not isinstance(x, bool | int | float | str | tuple | None)}
    assert not unlike, f"these are no settings: {unlike}"


def test_f04_every_setting_travels_in_the_state_dict(make: Make) -> None:
    p = param()
    optimizer = make([p], weight_decay=0.1, decoupled_weight_decay=False, fixed_decay=True, rectify=True)
    go_on(optimizer, 0, 3)
    other = make([p.detach().clone().requires_grad_()])
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    assert torch.equal(go_on(other, 3, 20), go_on(optimizer, 3, 20)), "a loaded run goes on otherwise"
    made_anew = make([{"params": [param()], "rectify": False}], rectify=True)
    assert torch.equal(go_on(made_anew, 0, 20), go_on(make([param()], rectify=False), 0, 20))


def test_f05_half_precision_stays_in_its_storage(make: Make) -> None:
    flat = torch.ones(10, dtype=torch.float16)
    p = flat[2:7].requires_grad_()
    optimizer = make([p])
    p.grad = gradient = noise(p, 0)
    address = p.data_ptr()
    optimizer.step()
    assert p.data_ptr() == address, "the storage of the parameter was replaced"
    assert p.grad is gradient
    assert gradient.dtype == torch.float16
    assert not torch.equal(flat[2:7], torch.ones(5, dtype=torch.float16))


def test_f06_half_precision_keeps_wide_moments_through_a_load(make: Make) -> None:
    p, q = param(torch.float16), param(torch.float16)
    optimizer, other = make([p], eps=1e-16), make([q], eps=1e-16)
    p.grad = torch.zeros_like(p)
    optimizer.step()
    other.load_state_dict(optimizer.state_dict())
    assert bool((other.state[q]["exp_avg_var"] > 0).all()), "eps was rounded to 0"
    assert other.state[q]["exp_avg_var"].dtype == torch.float32


def test_f07_bfloat16_forgets_old_gradients(make: Make) -> None:
    p = param(torch.bfloat16)
    optimizer = make([p], lr=0.0, betas=(0.5, 0.999))
    s = []
    for t in range(500):
        p.grad = torch.full_like(p, float(t == 0))
        optimizer.step()
        s.append(optimizer.state[p]["exp_avg_var"][0].item())
    # After 20 steps m is 1e-6, so s only shrinks; 500 roundings of float32 are 3e-5.
    assert s[-1] == pytest.approx(s[20] * 0.999 ** (499 - 20), rel=1e-4), "s does not decay"


def test_f08_gradients_are_only_read(make: Make) -> None:
    p = param()
    p.grad = torch.zeros_like(p)
    make([p], weight_decay=0.5, decoupled_weight_decay=False).step()
    assert p.grad.tolist() == [0.0] * 5, "the decay was added to the gradient"
    assert p.grad._version == 0


def test_f09_imaginary_gradients_move_the_imaginary_axis(make: Make) -> None:
    z = param(torch.complex64, value=0)
    z.grad = torch.full_like(z, 1j)
    make([z], lr=0.09, rectify=False).step()
    assert z.real.tolist() == [0.0] * 5, "an imaginary gradient moved the real axis"
    assert z.imag.tolist() == pytest.approx([-0.1] * 5, rel=1e-6)  # lr / beta1, in float32


def test_f10_closure_has_gradients_even_under_no_grad(make: Make) -> None:
    p = param()
    optimizer = make([p])

    def closure() -> float:
        loss = p.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.item()

    with torch.no_grad():
        assert optimizer.step(closure) == 5
        assert not torch.is_grad_enabled()
    optimizer.step()
    assert torch.is_grad_enabled()
    assert bool((p < 1).all())


def test_f11_nothing_is_printed(make: Make) -> None:
    with contextlib.redirect_stdout(io.StringIO()) as output, contextlib.redirect_stderr(output):
        go_on(make([param()], amsgrad=True), 0, 3)
    assert output.getvalue() == "", "something was printed"


def test_f12_flags_of_torch_optimizers_work(make: Make) -> None:
    up, down = param(), param()
    go_on(make([up], maximize=True, capturable=True), 0, 3)
    go_on(make([down], foreach=True), 0, 3)
    make([param()], fused=True)  # steps of which are tested elsewhere, as they need a compiler
    # Mirrored about 1, but for the rounding of parameters near 1.
    torch.testing.assert_close(up - 1, 1 - down, rtol=0, atol=3 * torch.finfo(torch.float32).eps)
    lr = torch.tensor(0.1, requires_grad=True)
    leaf = param()
    p = leaf.clone()
    p.grad = torch.ones_like(p)
    make([p], lr=lr, differentiable=True).step()
    p.sum().backward()  # type: ignore[no-untyped-call]
    assert lr.grad is not None
    assert lr.grad.item() == pytest.approx(-5 / 0.9, rel=1e-6)  # each of 5 entries goes lr / beta1


def test_f13_first_steps_do_not_grow_with_the_gradient(make: Make) -> None:
    p = param()
    optimizer = make([p], lr=1e-3)
    for _ in range(5):
        before = p.detach().clone()
        p.grad = 1e4 * torch.ones_like(p)
        optimizer.step()
        # lr / beta1 at step 1; a constant gradient does not go twice as far for some ten more.
        assert bool(((p - before).abs() < 2e-3 / 0.9).all()), "a step is as large as the gradient"


def test_f14_beta1_of_0_is_refused(make: Make) -> None:
    assert not accepted(make, betas=(0.0, 0.999)), "beta1 = 0 is accepted, where s is 0 but for eps"
    assert accepted(make, betas=(0.01, 0.999))


def test_f15_any_version_of_torch_is_the_same(make: Make) -> None:
    package = type(make([param()])).__module__.split(".")[0]
    assert calls_under(package, "1.10.0") == calls_under(package, "1.9.0"), "1.10 is taken to be before 1.5"


def calls_under(package: str, version: str) -> list[Any]:
    """How a step makes its state, if torch says that it is of that version when the package is imported."""
    loaded = {name: sys.modules.pop(name) for name in [*sys.modules] if name.split(".")[0] == package}
    try:
        # A plain string, as torch's version once was; today's is of a type that compares by number.
        with mock.patch.object(torch, "__version__", version):
            fresh = importlib.import_module(package)
    finally:
        sys.modules.update(loaded)
    assert fresh is not loaded[package]
    with mock.patch.object(torch, "zeros_like", wraps=torch.zeros_like) as zeros_like:
        go_on(fresh.AdaBelief([param()]), 0, 1)
    return [call.kwargs for call in zeros_like.call_args_list]


def test_f16_settings_without_meaning_are_refused(make: Make) -> None:
    nan, inf = float("nan"), float("inf")
    bad: list[dict[str, Any]] = [{"weight_decay": x} for x in (-0.1, nan, inf)] + [{"lr": inf}, {"eps": inf}]
    taken = [setting for setting in bad if accepted(make, **setting)]
    assert not taken, f"these are accepted: {taken}"
    for setting in ({"lr": -1.0}, {"betas": (1.0, 0.9)}):
        with pytest.raises(ValueError, match="must be a number"):
            make([{"params": [param()], **setting}])


def test_f17_checkpoint_of_adam_is_refused_when_it_is_loaded(make: Make) -> None:
    adam = Adam([param()])
    go_on(adam, 0, 3)
    optimizer = make([param()])
    with contextlib.suppress(ValueError):
        optimizer.load_state_dict(adam.state_dict())
    go_on(optimizer, 0, 3)  # as if nothing had been tried
    with pytest.raises(ValueError, match="exp_avg_sq"):
        optimizer.load_state_dict(adam.state_dict())


def test_f18_every_value_is_computed_once(make: Make) -> None:
    for rectify in (True, False):
        # m takes 2 + 3 passes, g - m 3, s 2 + 3 + 2, the denominator up to 2 + 2 + 2, and theta 4.
        assert traffic_of_a_step(make, rectify).passes < 26, "something is computed twice, or for nothing"


def test_f18_a_step_takes_no_memory_of_the_size_of_a_parameter(make: Make) -> None:
    for rectify in (True, False):
        assert traffic_of_a_step(make, rectify).allocated < 1, "memory is taken at every step"


class Traffic(TorchDispatchMode):
    """Counts how often kernels read or write a tensor, or take memory for one, in units of a size."""

    def __init__(self, size: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.size = size
        self.passes = self.allocated = 0.0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if not func.is_view:
            read = {x.data_ptr(): x.numel() for x in args if isinstance(x, Tensor)}
            out = {x.data_ptr() for x in kwargs.values() if isinstance(x, Tensor)}
            written = {x.data_ptr(): x.numel() for x in [result] if isinstance(x, Tensor)}
            new = written.keys() - read.keys() - out
            self.passes += (sum(read.values()) + sum(written.values())) / self.size
            self.allocated += sum(written[x] for x in new) / self.size
        return result


def traffic_of_a_step(make: Make, rectify: bool) -> Traffic:
    p = param(size=2**19)
    optimizer = make([p], rectify=rectify)
    for _ in range(6):  # those before are plain SGD under rectification
        p.grad = torch.ones_like(p)
        optimizer.step()
    traffic = Traffic(p.numel())
    with traffic:
        optimizer.step()
    return traffic


WRONG = AssertionError
FAULTS: dict[Callable[[Make], None], tuple[type[Exception], str]] = {
    test_f01_amsgrad_counts_under_rectification: (WRONG, "amsgrad changes nothing"),
    test_f02_groups_do_not_see_the_betas_of_each_other: (WRONG, "one group steps by another's betas"),
    test_f03_state_dict_has_settings_in_its_groups_and_nothing_else: (WRONG, "no settings: {'buffer'}"),
    test_f04_every_setting_travels_in_the_state_dict: (WRONG, "a loaded run goes on otherwise"),
    test_f05_half_precision_stays_in_its_storage: (WRONG, "the storage of the parameter was replaced"),
    test_f06_half_precision_keeps_wide_moments_through_a_load: (WRONG, "eps was rounded to 0"),
    test_f07_bfloat16_forgets_old_gradients: (WRONG, "s does not decay"),
    test_f08_gradients_are_only_read: (WRONG, "the decay was added to the gradient"),
    test_f09_imaginary_gradients_move_the_imaginary_axis: (WRONG, "gradient moved the real axis"),
    test_f10_closure_has_gradients_even_under_no_grad: (RuntimeError, "does not require grad"),
    test_f11_nothing_is_printed: (WRONG, "something was printed"),
    test_f12_flags_of_torch_optimizers_work: (TypeError, "unexpected keyword argument 'maximize'"),
    test_f13_first_steps_do_not_grow_with_the_gradient: (WRONG, "a step is as large as the gradient"),
    test_f14_beta1_of_0_is_refused: (WRONG, "beta1 = 0 is accepted"),
    test_f15_any_version_of_torch_is_the_same: (WRONG, "1.10 is taken to be before 1.5"),
    test_f16_settings_without_meaning_are_refused: (WRONG, "these are accepted: [{'weight_decay': -0.1}, "),
    test_f17_checkpoint_of_adam_is_refused_when_it_is_loaded: (KeyError, "'exp_avg_var'"),
    test_f18_every_value_is_computed_once: (WRONG, "something is computed twice"),
    test_f18_a_step_takes_no_memory_of_the_size_of_a_parameter: (WRONG, "memory is taken at every step"),
}


@pytest.mark.parametrize("check", FAULTS, ids=lambda check: check.__name__.removeprefix("test_"))
def test_the_reference_fails_it(check: Callable[[Make], None]) -> None:
    pytest.importorskip("adabelief_pytorch")
    error, message = FAULTS[check]
    with pytest.raises(error, match=re.escape(message)):
        check(make_reference)


def test_every_fault_has_its_test() -> None:
    checks = {value for name, value in globals().items() if re.match(r"test_f\d", name)}
    assert checks == FAULTS.keys()
    assert {int(check.__name__[6:8]) for check in checks} == set(range(1, 19))
