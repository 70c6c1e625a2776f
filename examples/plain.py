"""A small network on handwritten digits, in plain PyTorch."""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

import whichopt

digits = load_digits()
data = TensorDataset(torch.tensor(digits.data, dtype=torch.float32) / 16, torch.tensor(digits.target))


def score(model, part):
    model.eval()
    with torch.no_grad():
        return sum(
            F.cross_entropy(model(x), t, reduction="sum").item() for x, t in DataLoader(part, 512)
        ) / len(part)


def train(run):
    train_set, val_set = run.split(data)
    loader = DataLoader(train_set, 64, shuffle=True)
    model = nn.Sequential(
        nn.Linear(64, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Dropout(0.2), nn.Linear(64, 10)
    )
    optimizer = run.optimizer(model)
    for _ in run.epochs:
        model.train()
        for x, t in loader:
            optimizer.zero_grad()
            F.cross_entropy(model(x), t).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
        run.report(nll=score(model, val_set))
    run.test(lambda test_set: score(model, test_set))


if __name__ == "__main__":
    print(whichopt.tune(train, minimize="nll", epochs=5, trials=6, report="plain.html"))
