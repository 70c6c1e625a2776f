"""The function `ourlab.train:fit`, which docker-compose.functions.yml allows jobs to name."""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

WIDTHS = (16, 32, 64, 128)

digits = load_digits()
data = TensorDataset(torch.tensor(digits.data, dtype=torch.float32) / 16, torch.tensor(digits.target))


def score(model, part):
    model.eval()
    with torch.no_grad():
        return sum(
            F.cross_entropy(model(x), t, reduction="sum").item() for x, t in DataLoader(part, 512)
        ) / len(part)


def fit(run):
    width = run.options.get("width", 64)
    if width not in WIDTHS:  # options come from whoever may send jobs
        raise ValueError(f"width={width!r}; allowed: {', '.join(map(str, WIDTHS))}")
    train_set, val_set = run.split(data)
    loader = DataLoader(train_set, 64, shuffle=True)
    model = nn.Sequential(nn.Linear(64, width), nn.ReLU(), nn.Dropout(0.2), nn.Linear(width, 10))
    optimizer = run.optimizer(model)
    run.keep(model=model, optimizer=optimizer)  # if this worker ends, another one goes on from here
    for _ in run.epochs:
        model.train()
        for x, t in loader:
            optimizer.zero_grad()
            F.cross_entropy(model(x), t).backward()
            optimizer.step()
        run.report(val_loss=score(model, val_set))
    run.test(lambda test_set: score(model, test_set))
