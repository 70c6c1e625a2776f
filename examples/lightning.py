"""A small network on handwritten digits, with Lightning."""

import pytorch_lightning as pl
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

import whichopt

digits = load_digits()
data = TensorDataset(torch.tensor(digits.data, dtype=torch.float32) / 16, torch.tensor(digits.target))


class Net(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(64, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Dropout(0.2), nn.Linear(64, 10)
        )

    def training_step(self, batch, _):
        return F.cross_entropy(self.net(batch[0]), batch[1])

    def validation_step(self, batch, _):
        self.log("val_loss", F.cross_entropy(self.net(batch[0]), batch[1]))

    def test_step(self, batch, _):
        self.log("test_loss", F.cross_entropy(self.net(batch[0]), batch[1]))

    def configure_optimizers(self):
        return self.run.optimizer(self)


def train(run):
    train_set, val_set = run.split(data)
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = pl.Trainer(max_epochs=run.max_epochs, callbacks=[run.lightning()], **quiet)
    model = Net()
    model.run = run
    trainer.fit(model, DataLoader(train_set, 64, shuffle=True), DataLoader(val_set, 512))
    run.test(lambda test_set: trainer.test(model, DataLoader(test_set, 512))[0]["test_loss"])


if __name__ == "__main__":
    print(whichopt.tune(train, minimize="val_loss", epochs=5, trials=3, report="lightning.html"))
