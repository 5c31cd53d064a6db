"""Train the regression that the service scores with. A SageMaker script-mode script."""

import json
import os
from pathlib import Path

from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

if __name__ == "__main__":
    table = load_breast_cancer()
    parts = train_test_split(table.data, 1 - table.target, test_size=0.25, random_state=7)
    features, held_back, labels, truth = parts
    scaler = StandardScaler().fit(features)
    model = LogisticRegression(max_iter=1000).fit(scaler.transform(features), labels)
    print(f"validation accuracy: {model.score(scaler.transform(held_back), truth):.4f}")
    facts = {
        "mean": scaler.mean_.tolist(),
        "scale": scaler.scale_.tolist(),
        "weights": model.coef_[0].tolist(),
        "bias": float(model.intercept_[0]),
    }
    Path(os.environ["SM_MODEL_DIR"], "model.json").write_text(json.dumps(facts))
