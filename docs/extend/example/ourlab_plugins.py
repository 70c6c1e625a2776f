import torch

from whichopt.extend import Dataset, Float, Optimizer, Shape


def net(shape, width=16):
    layers = torch.nn.Linear(shape.features, width), torch.nn.Mish(), torch.nn.Linear(width, shape.outputs)
    return torch.nn.Sequential(*layers)


def load(radius=1.2):
    points = torch.randn(600, 2, generator=torch.Generator().manual_seed(0))
    return points, points.norm(dim=1) > radius


class OurSGD(torch.optim.SGD): ...


LR = {"lr": Float(low=1e-3, high=1.0, scale="log")}
rings = Dataset(load=load, task="classification", shape=Shape(examples=600, features=2, outputs=2))
sgd = Optimizer(target="ourlab_plugins.OurSGD", default={"lr": 0.1}, space=LR, state_bytes=0)
