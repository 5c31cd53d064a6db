# ruff: noqa: LOG015, PTH118, PTH208
# mypy: ignore-errors
"""Boosted trees, in the form of SageMaker's XGBoost examples."""

import argparse
import json
import logging
import os

import numpy as np
import xgboost as xgb


def read(folder):
    """Read all files of a channel: the label in the first column, no header."""
    rows = np.vstack(
        [
            np.loadtxt(os.path.join(folder, file), delimiter=",", ndmin=2)
            for file in sorted(os.listdir(folder))
        ]
    )
    return xgb.DMatrix(rows[:, 1:], label=rows[:, 0])


def model_fn(model_dir):
    booster = xgb.Booster()
    booster.load_model(os.path.join(model_dir, "xgboost-model.json"))
    return booster


def input_fn(request_body, request_content_type):
    if request_content_type != "text/csv":
        raise ValueError(f"Content type {request_content_type} is not supported.")
    lines = request_body.decode() if isinstance(request_body, bytes) else request_body
    rows = [[float(cell) for cell in line.split(",")] for line in lines.strip().splitlines()]
    return xgb.DMatrix(np.array(rows))


def predict_fn(input_data, model):
    return model.predict(input_data)


def output_fn(prediction, accept):
    return ",".join(str(score) for score in prediction), "text/csv"


if __name__ == "__main__":
    logging.basicConfig(level=int(os.environ.get("SM_LOG_LEVEL", logging.INFO)))
    parser = argparse.ArgumentParser()
    parser.add_argument("--max_depth", type=int)
    parser.add_argument("--eta", type=float)
    parser.add_argument("--gamma", type=float, default=0)
    parser.add_argument("--objective", type=str)
    parser.add_argument("--num_round", type=int)
    parser.add_argument("--verbose", type=lambda text: bool(json.loads(text.lower())), default=True)
    parser.add_argument("--train", type=str, default=os.environ.get("SM_CHANNEL_TRAIN"))
    parser.add_argument("--validation", type=str, default=os.environ.get("SM_CHANNEL_VALIDATION"))
    parser.add_argument("--model_dir", type=str, default=os.environ.get("SM_MODEL_DIR"))
    args, _ = parser.parse_known_args()

    hosts, host = json.loads(os.environ["SM_HOSTS"]), os.environ["SM_CURRENT_HOST"]
    logging.info("training on %s of %s", host, hosts)
    train, validation = read(args.train), read(args.validation)
    parameters = {
        "max_depth": args.max_depth,
        "eta": args.eta,
        "gamma": args.gamma,
        "objective": args.objective,
        "eval_metric": "error",
        "nthread": 1,
    }
    booster = xgb.train(
        parameters,
        train,
        num_boost_round=args.num_round,
        evals=[(train, "train"), (validation, "validation")],
        verbose_eval=args.verbose,
    )
    if host == hosts[0]:
        booster.save_model(os.path.join(args.model_dir, "xgboost-model.json"))
