"""A small BERT that reads handwritten digits as sentences of 64 words, with Hugging Face's Trainer."""

import torch
from sklearn.datasets import load_digits
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments

import whichopt

digits = load_digits()
data = [
    {"input_ids": torch.tensor(pixels, dtype=torch.long), "labels": int(digit)}
    for pixels, digit in zip(digits.data[:400], digits.target[:400], strict=True)
]
SMALL = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}


def train(run):
    train_set, val_set = run.split(data)
    model = BertForSequenceClassification(BertConfig(vocab_size=17, num_labels=10, **SMALL))
    often = {
        "eval_strategy": "epoch",
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "per_device_train_batch_size": 32,
    }
    args = TrainingArguments("out", num_train_epochs=run.max_epochs, seed=run.seed, **often)
    ours = {"optimizers": (run.optimizer(model), None), "callbacks": [run.transformers()]}
    trainer = Trainer(model, args, train_dataset=train_set, eval_dataset=val_set, **ours)
    trainer.train()
    run.test(lambda test_set: trainer.evaluate(test_set)["eval_loss"])


if __name__ == "__main__":
    print(whichopt.tune(train, minimize="eval_loss", epochs=5, trials=3, report="transformers.html"))
