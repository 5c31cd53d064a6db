# ruff: noqa: PTH118, PTH123, PTH208, T201
# mypy: ignore-errors
"""A decision tree, in the form of SageMaker's scikit-learn examples."""

import argparse
import os

import joblib
import pandas as pd
from sklearn import tree
from sklearn.metrics import accuracy_score


def read(folder):
    """Read all files of a channel: the label in the first column, no header."""
    files = [os.path.join(folder, file) for file in sorted(os.listdir(folder))]
    if not files:
        raise ValueError(f"There are no files in {folder}: is the channel misspelt?")
    data = pd.concat([pd.read_csv(file, header=None) for file in files])
    return data.iloc[:, 1:].to_numpy(), data.iloc[:, 0].to_numpy()


def model_fn(model_dir):
    return joblib.load(os.path.join(model_dir, "model.joblib"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--max_leaf_nodes", type=int, default=-1)
    parser.add_argument("--random-state", type=int, default=0)
    parser.add_argument("--output-data-dir", type=str, default=os.environ["SM_OUTPUT_DATA_DIR"])
    parser.add_argument("--model-dir", type=str, default=os.environ["SM_MODEL_DIR"])
    parser.add_argument("--train", type=str, default=os.environ["SM_CHANNEL_TRAIN"])
    parser.add_argument("--validation", type=str, default=os.environ["SM_CHANNEL_VALIDATION"])
    args = parser.parse_args()

    features, labels = read(args.train)
    classifier = tree.DecisionTreeClassifier(
        max_leaf_nodes=args.max_leaf_nodes, random_state=args.random_state
    )
    classifier.fit(features, labels)

    features, labels = read(args.validation)
    print(f"validation-accuracy:{accuracy_score(labels, classifier.predict(features))};")
    with open(os.path.join(args.output_data_dir, "tree.txt"), "w") as file:
        file.write(tree.export_text(classifier))
    joblib.dump(classifier, os.path.join(args.model_dir, "model.joblib"))
