"""Settings that the authors recommend for their tasks, and the defaults of their package.

Each is a dict of arguments for ``AdaBelief``, and says everything that a run depends on, so that it stays
what it is whatever the defaults of this package are. To change a setting, merge:

    >>> import torch
    >>> from adabelief import AdaBelief, presets
    >>> model = torch.nn.Linear(2, 1)
    >>> optimizer = AdaBelief(model.parameters(), **presets.CIFAR)
    >>> optimizer = AdaBelief(model.parameters(), **presets.CIFAR | {"lr": 3e-3})

They are starting points, from runs tuned by hand under schedules of their own; none replaces a search. What
matters most is eps: 1e-8 where SGD is known to beat Adam, 1e-16 where Adam beats SGD (``translate`` tells
what either means). beta2 is 0.999 throughout, and ``amsgrad`` and ``fixed_decay`` are off. Those that rectify
are later than the paper, none of whose results did.

References:
    Hyper-parameters in PyTorch, in the README of https://github.com/juntang-zhuang/Adabelief-Optimizer at
    ``adabelief-pytorch`` 0.2.1; of the two default sets, the constructors themselves.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, TypedDict

__all__ = [
    "ALL",
    "CIFAR",
    "DETECTION",
    "HALF_CHEETAH",
    "IMAGENET",
    "LSTM",
    "LSTM_DEEP",
    "RAINBOW",
    "REFERENCE_0_0_5",
    "REFERENCE_0_2_1",
    "SMALL_GAN",
    "SN_GAN",
    "TRANSFORMER",
    "Settings",
]


class Settings(TypedDict):
    """The arguments of ``AdaBelief`` that decide the numbers of a run, in types that pass as ``**``."""

    lr: float
    betas: tuple[float, float]
    eps: float
    weight_decay: float
    decoupled_weight_decay: bool
    fixed_decay: bool
    rectify: bool
    rectify_fallback: str
    amsgrad: bool


def _settings(
    *,
    lr: float,
    eps: float,
    beta1: float = 0.9,
    weight_decay: float = 0.0,
    decoupled: bool = True,
    rectify: bool = False,
) -> Settings:
    return {
        "lr": lr,
        "betas": (beta1, 0.999),
        "eps": eps,
        "weight_decay": weight_decay,
        "decoupled_weight_decay": decoupled,
        "fixed_decay": False,
        "rectify": rectify,
        "rectify_fallback": "sgd",
        "amsgrad": False,
    }


CIFAR: Final = _settings(lr=1e-3, eps=1e-8, weight_decay=5e-4, decoupled=False)
"""Convolutional networks on CIFAR-10 and CIFAR-100, with the learning rate cut to a tenth late in the run.

Where gradients vary by less than 3e-3, which is the floor of its denominator, this is SGD with momentum 0.9
and a learning rate of 0.032. The decay is that SGD's: coupled, and there some 300 times as strong as a
decoupled one of the same number.
"""

IMAGENET: Final = _settings(lr=1e-3, eps=1e-8, weight_decay=1e-2)
"""ResNet-18 on ImageNet, for 90 epochs, best with the learning rate cut to a tenth at the 70th and 80th.

The decay is decoupled, unlike that of ``CIFAR``. The published comparison is in doubt: its other optimizers
ran with weight decay 1e-4, and AdamW, run again by others with these very settings, reached 69.73%, where
the paper's table has 67.93 (issues 6 and 11).
"""

DETECTION: Final = _settings(lr=1e-4, eps=1e-8, weight_decay=1e-4, decoupled=False)
"""Faster R-CNN on PASCAL VOC."""

LSTM: Final = _settings(lr=1e-3, eps=1e-16, weight_decay=1.2e-6, decoupled=False)
"""An LSTM of one layer on Penn Treebank.

Clip gradients by norm: clipped by value they are constant where they are large, and there AdaBelief's steps
grow. The authors' script of today takes the package's newer defaults for what it does not set, decoupled
decay and rectification, so it does not run what the paper ran.
"""

LSTM_DEEP: Final = _settings(lr=1e-2, eps=1e-12, weight_decay=1.2e-6, decoupled=False)
"""LSTMs of two and three layers on Penn Treebank; what is said at ``LSTM`` holds.

With this eps others have seen spikes in the loss of recurrent networks (issue 10).
"""

SMALL_GAN: Final = _settings(lr=2e-4, eps=1e-12, beta1=0.5)
"""WGAN and WGAN-GP on CIFAR-10, for generator and discriminator.

Do not lower beta1 towards 0, as is common for GANs: the steps grow as 1 / beta1, and 0 is refused.
"""

SN_GAN: Final = _settings(lr=2e-4, eps=1e-16, beta1=0.5, rectify=True)
"""SN-GAN on CIFAR-10; what is said of beta1 at ``SMALL_GAN`` holds."""

TRANSFORMER: Final = _settings(lr=5e-4, eps=1e-16, weight_decay=1e-4, rectify=True)
"""A small Transformer on IWSLT'14, German to English."""

RAINBOW: Final = _settings(lr=1e-4, eps=1e-10, rectify=True)
"""Rainbow on Atari."""

HALF_CHEETAH: Final = _settings(lr=1e-3, eps=1e-12, rectify=True)
"""Soft actor-critic on HalfCheetah-v2. At 0.1.0 the table had eps 1e-16 here."""

REFERENCE_0_0_5: Final = _settings(lr=1e-3, eps=1e-8, decoupled=False)
"""The defaults of ``adabelief-pytorch`` 0.0.5, of October 2020, with which the paper's results were made.

A ``weight_decay`` that is set is coupled. With ``rectify`` or ``amsgrad`` on this is not 0.0.5 any more: that
version rectifies from rho > 4 on (at beta2 = 0.999 from step 5, not 6), takes steps of lr * m without bias
correction until then, and lets eps accumulate in the largest s alone.
"""

REFERENCE_0_2_1: Final = _settings(lr=1e-3, eps=1e-16, rectify=True)
"""The defaults of ``adabelief-pytorch`` 0.2.1, of February 2021, its last; 0.1.0 and 0.2.0 have the same.

A ``weight_decay`` that is set is decoupled. Rectified from rho >= 5 on, and plain SGD until then. With
``amsgrad`` on, that version ignores it.
"""

ALL: Final[Mapping[str, Settings]] = MappingProxyType(
    {
        "CIFAR": CIFAR,
        "IMAGENET": IMAGENET,
        "DETECTION": DETECTION,
        "LSTM": LSTM,
        "LSTM_DEEP": LSTM_DEEP,
        "SMALL_GAN": SMALL_GAN,
        "SN_GAN": SN_GAN,
        "TRANSFORMER": TRANSFORMER,
        "RAINBOW": RAINBOW,
        "HALF_CHEETAH": HALF_CHEETAH,
        "REFERENCE_0_0_5": REFERENCE_0_0_5,
        "REFERENCE_0_2_1": REFERENCE_0_2_1,
    }
)
"""Every preset by its name, the recommended ones first."""
