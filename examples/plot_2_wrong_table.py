"""
A wrong table, and the guard
============================

An expert's table can be wrong. Here someone shifted its rows by one: the attributes of each digit
are those of the next one. What does that cost?
"""

from digit_tables import KNOWLEDGE, digit_tables

from labelweave import MultiTaskClassifier

WRONG = KNOWLEDGE.copy()
WRONG[["loops", "strokes", "even"]] = KNOWLEDGE[["loops", "strokes", "even"]].shift(-1)
WRONG = WRONG[:-1]  # the last digit has no next one
X, y, X_test, y_test = digit_tables(per_class=10)


def fitted(method="coupled", relations=()):
    model = MultiTaskClassifier(relations=relations, method=method, learners=["svm"])
    return model.fit(X, y)


models = {
    "each task alone": fitted("best_single_task"),
    "right table": fitted(relations={"digit": KNOWLEDGE}),
    "wrong table": fitted(relations={"digit": WRONG}),
}
for name, model in models.items():
    print(f"{name:16} {(model.predict(X_test)['digit'] == y_test['digit']).mean():.3f}")

# %%
# Out-of-fold labels set how strongly each direction of a relation couples, from 0 to 1. The
# wrong table gets less.

import pandas as pd

strengths = {
    name: {each["relation"]: each["to_source"] for each in models[name].strengths_}
    for name in ("right table", "wrong table")
}
pd.DataFrame(strengths).round(2)

# %%
# The guard then weighs the candidates by held-out labels. ``alone`` is always among them.

guards = {name: models[name].guard_["digit"] for name in ("right table", "wrong table")}
pd.DataFrame(guards).fillna(0).round(3)

# %%
# The guard needs labels to judge by: with one or two labels a class it cannot know that a table
# is wrong, and an expert's table then stands. ``labelweave check`` and ``labelweave relate``
# show a table next to the data before anything is trained; see :doc:`/explanation/coupling`.

import matplotlib.pyplot as plt

pd.DataFrame(guards).fillna(0).T.plot.barh(stacked=True, figsize=(7, 2.5), colormap="viridis")
plt.xlabel("weight of each candidate for the task 'digit'")
plt.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.tight_layout()
