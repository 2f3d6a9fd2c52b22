"""
A model card and an explanation
===============================

What does a model look at, why did a row get its answer, and what should its users know?
"""

from digit_tables import KNOWLEDGE, digit_tables

from labelweave import MultiTaskClassifier
from labelweave.trust import explain_rows, input_importance, model_card, predict_rows

X, y, X_test, y_test = digit_tables(per_class=2)
model = MultiTaskClassifier(relations={"digit": KNOWLEDGE}, learners=["svm"]).fit(X, y)

# %%
# Permutation importance: by how much each task gets worse when a column is exchanged between
# rows. The inputs are pixels, so the columns make a picture.

import matplotlib.pyplot as plt

table = input_importance(model, X_test[:150], y_test[:150], repeats=1)
pixels = table.pivot_table(index="task", columns="column", values="log_loss")[X.columns]
figure, axes = plt.subplots(1, 4, figsize=(9, 2.6))
for axis, task in zip(axes, ["digit", "loops", "strokes", "even"], strict=True):
    axis.imshow(pixels.loc[task].to_numpy().reshape(8, 8), cmap="magma")
    axis.set_title(task)
    axis.axis("off")
figure.tight_layout()

# %%
# One row: the answer, its probability by the task's own learners, what each relation and column
# contributed, and the nearest labelled rows.

why = explain_rows(model, X_test[:1], labelled=(X, y), columns=3, nearest=2)[0]
why.to_dict()

# %%
# A card in Markdown, with intervals. What was not measured is named.

card = model_card(
    model,
    predict_rows(model, X_test, y_test),
    name="digits",
    license="apache-2.0",
    intended_use="To show what a card looks like.",
)
print(card)
