# ruff: noqa: PTH118, PTH208
# mypy: ignore-errors
"""A small network, alone or on several processes, in the form of SageMaker's PyTorch examples."""

import argparse
import json
import logging
import os
import sys

import numpy as np
import torch
import torch.distributed as dist
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.data.distributed import DistributedSampler

logger = logging.getLogger(__name__)
logger.setLevel(logging.DEBUG)
logger.addHandler(logging.StreamHandler(sys.stdout))


class Net(nn.Module):
    def __init__(self, features, hidden):
        super().__init__()
        self.layers = nn.Sequential(
            nn.BatchNorm1d(features), nn.Linear(features, hidden), nn.ReLU(), nn.Linear(hidden, 2)
        )

    def forward(self, rows):
        return self.layers(rows)


def read(folder):
    """Read all files of a channel: the label in the first column, no header."""
    files = [os.path.join(folder, file) for file in sorted(os.listdir(folder))]
    rows = np.vstack([np.loadtxt(file, delimiter=",", ndmin=2) for file in files])
    return TensorDataset(
        torch.tensor(rows[:, 1:], dtype=torch.float32), torch.tensor(rows[:, 0]).long()
    )


def train(args):
    distributed = int(os.environ.get("WORLD_SIZE", "1")) > 1
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    if distributed:
        dist.init_process_group(args.backend)
        logger.info("rank %d of %d", dist.get_rank(), dist.get_world_size())
    data = read(args.data_dir)
    sampler = DistributedSampler(data, seed=args.seed) if distributed else None
    loader = DataLoader(data, args.batch_size, shuffle=sampler is None, sampler=sampler)
    model = Net(data.tensors[0].shape[1], args.hidden)
    net = nn.parallel.DistributedDataParallel(model) if distributed else model
    optimizer = torch.optim.Adam(net.parameters(), lr=args.lr)
    for epoch in range(1, args.epochs + 1):
        net.train()
        if sampler is not None:
            sampler.set_epoch(epoch)
        seen = 0
        for rows, labels in loader:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(net(rows), labels)
            loss.backward()
            optimizer.step()
            seen += len(rows)
        logger.info("Train Epoch: %d rows: %d Loss: %.6f", epoch, seen, loss.item())
    if not distributed or dist.get_rank() == 0:
        test(model, args.test_dir)
        save_model(model, args)
    if distributed:
        dist.barrier()
        dist.destroy_process_group()


def test(model, folder):
    model.eval()
    rows, labels = read(folder).tensors
    with torch.no_grad():
        right = (model(rows).argmax(1) == labels).float().mean().item()
    logger.info("Test set: Accuracy: %.4f", right)


def save_model(model, args):
    logger.info("Saving the model.")
    sizes = {"features": model.layers[1].in_features, "hidden": args.hidden}
    torch.save(
        {"sizes": sizes, "state": model.state_dict()}, os.path.join(args.model_dir, "model.pth")
    )


def model_fn(model_dir):
    saved = torch.load(os.path.join(model_dir, "model.pth"), weights_only=True)
    model = Net(**saved["sizes"])
    model.load_state_dict(saved["state"])
    return model.eval()


def input_fn(request_body, content_type):
    return torch.tensor(json.loads(request_body), dtype=torch.float32)


def predict_fn(input_data, model):
    with torch.no_grad():
        return model(input_data).argmax(1).tolist()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--hidden", type=int, default=16)
    parser.add_argument("--lr", type=float, default=0.01)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--backend", type=str, default="gloo")
    parser.add_argument("--hosts", type=list, default=json.loads(os.environ["SM_HOSTS"]))
    parser.add_argument("--current-host", type=str, default=os.environ["SM_CURRENT_HOST"])
    parser.add_argument("--model-dir", type=str, default=os.environ["SM_MODEL_DIR"])
    parser.add_argument("--data-dir", type=str, default=os.environ["SM_CHANNEL_TRAIN"])
    parser.add_argument("--test-dir", type=str, default=os.environ["SM_CHANNEL_VALIDATION"])
    parser.add_argument("--num-gpus", type=int, default=os.environ["SM_NUM_GPUS"])
    train(parser.parse_args())
