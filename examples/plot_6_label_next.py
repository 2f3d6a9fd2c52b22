"""
Which rows to label next
========================

A study suggests the rows whose labels would help most: rows that the model is unsure of and that
lie far from labelled ones and from each other.
"""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from digit_tables import KNOWLEDGE, digit_tables

from labelweave import Study

X, y, X_test, y_test = digit_tables(per_class=2)
folder = Path(tempfile.mkdtemp())
rows = X.join(y)
few, many = rows[rows["digit"].notna()], rows[rows["digit"].isna()]
few.drop(columns=["loops", "strokes", "even"]).to_csv(folder / "few.csv", index_label="image")
many.drop(columns="digit").to_csv(folder / "many.csv", index_label="image")
KNOWLEDGE.to_csv(folder / "knowledge.csv", index=False)

# %%
# The same keys stand in a study file (:doc:`/reference/study-file`).

study = Study(
    {
        "name": "digits",
        "tasks": [{"name": name} for name in ("digit", "loops", "strokes", "even")],
        "sources": [
            {"path": "few.csv", "identifier": ["image"]},
            {"path": "many.csv", "identifier": ["image"]},
        ],
        "relations": [{"table": "knowledge.csv", "source": "digit"}],
        "methods": ["multi_task", "full"],
        "relatedness": {"from": "given"},
        "training": {"steps": 150},
        "split": {"test": 0.2, "validation": 0},
        "label_curves": False,
        "label_next": 12,
        "seeds": 1,
    },
    folder,
)
results = study.run(jobs=1, progress=False)
wanted = pd.read_csv(study.output / "label_next.csv")
wanted.head()

# %%
# ``source`` and ``row`` name the line of the file, ``score`` runs from 0 to 1, and ``why`` says
# what it is made of: ``entropy`` where the model is unsure, ``disagreement`` where the answers
# of related tasks contradict each other. Here are the images of the digit's task:

asked = wanted[wanted["task"] == "digit"][:10]
figure, axes = plt.subplots(1, max(2, len(asked)), figsize=(9, 1.6))
for axis in axes:
    axis.axis("off")
for axis, source, row, why in zip(axes, asked["source"], asked["row"], asked["why"], strict=False):
    pixels = pd.read_csv(folder / f"{source}.csv").loc[row - 1, list(X.columns)]
    axis.imshow(pixels.to_numpy(float).reshape(8, 8), cmap="gray_r")
    axis.set_title(why, fontsize=7)
figure.tight_layout()

# %%
# On the command line: ``labelweave run study.yaml --label-next 12``. ``label_tools`` in the
# study file writes the same rows for Label Studio and Prodigy, with the model's answers to
# correct.
