"""Train a logistic regression. A SageMaker script-mode script: it knows that contract, no more."""

import argparse
import os
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

LABEL = "malignant"


def read(channel: str) -> tuple[np.ndarray, np.ndarray]:
    """Read every CSV file of a channel; give features and labels as arrays."""
    files = sorted(Path(channel).glob("*.csv"))
    table = pd.concat([pd.read_csv(file) for file in files])
    return table.drop(columns=LABEL).to_numpy(), table[LABEL].to_numpy()


def model_fn(model_dir: str) -> Pipeline:
    """Load the model for serving."""
    model: Pipeline = joblib.load(Path(model_dir) / "model.joblib")
    return model


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--C", type=float, default=1.0)
    parser.add_argument("--max-iter", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--train", default=os.environ.get("SM_CHANNEL_TRAIN"))
    parser.add_argument("--validation", default=os.environ.get("SM_CHANNEL_VALIDATION"))
    parser.add_argument("--model-dir", default=os.environ.get("SM_MODEL_DIR"))
    args = parser.parse_args()

    features, labels = read(args.train)
    regression = LogisticRegression(C=args.C, max_iter=args.max_iter, random_state=args.seed)
    model = make_pipeline(StandardScaler(), regression)
    model.fit(features, labels)

    features, labels = read(args.validation)
    print(f"validation accuracy: {accuracy_score(labels, model.predict(features)):.4f}")
    joblib.dump(model, Path(args.model_dir) / "model.joblib")
