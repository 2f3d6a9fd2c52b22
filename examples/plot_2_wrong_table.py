"""
A wrong table, and the guard
============================

An expert's table can be wrong. Here someone shifted its rows by one: the attributes of each digit
are those of the next one. What does that cost?
"""

from digit_tables import KNOWLEDGE, digit_tables

from labelweave import MultiTaskClassifier

ATTRIBUTES = ["loops", "strokes", "even"]
WRONG = KNOWLEDGE.copy()
WRONG[ATTRIBUTES] = KNOWLEDGE[ATTRIBUTES].shift(-1)
WRONG = WRONG[:-1]  # the last digit has no next one


def fitted(per_class, method="coupled", relations=()):
    X, y, X_test, y_test = digit_tables(per_class)
    model = MultiTaskClassifier(relations=relations, method=method, learners=["svm"]).fit(X, y)
    return model, float((model.predict(X_test)["digit"] == y_test["digit"]).mean())


# %%
# With two labels of each digit, the wrong table is found out. It costs what an expert's table would
# have brought, and no more: the result is that of no table.

import pandas as pd

few = {
    "each task alone": fitted(2, "best_single_task"),
    "right table": fitted(2, relations={"digit": KNOWLEDGE}),
    "wrong table": fitted(2, relations={"digit": WRONG}),
    "no table": fitted(2),
}
pd.Series({name: accuracy for name, (_, accuracy) in few.items()})

# %%
# ``history_`` says what happened to it.

few["wrong table"][0].history_

# %%
# Out-of-fold labels set how strongly each relation couples, from 0 to 1. In place of the wrong
# table stands the estimated one.

strengths = {
    name: {each["relation"]: each["to_source"] for each in few[name][0].strengths_}
    for name in ("right table", "wrong table")
}
pd.DataFrame(strengths).round(3)

# %%
# The guard then weighs the candidates by held-out labels. ``alone`` is always among them.

guards = {name: few[name][0].guard_["digit"] for name in ("right table", "wrong table")}
pd.DataFrame(guards).fillna(0).round(3)

# %%
# The same with ten labels of each digit:

many = {
    "each task alone": fitted(10, "best_single_task"),
    "right table": fitted(10, relations={"digit": KNOWLEDGE}),
    "wrong table": fitted(10, relations={"digit": WRONG}),
    "no table": fitted(10),
}
accuracies = pd.DataFrame(
    {
        "2 labels a digit": {name: accuracy for name, (_, accuracy) in few.items()},
        "10 labels a digit": {name: accuracy for name, (_, accuracy) in many.items()},
    }
)
accuracies.round(3)

# %%
# The same as a picture:

import matplotlib.pyplot as plt

accuracies.plot.barh(xlim=(0, 1), figsize=(7, 3), color=["#b8c4ce", "#2f6f9f"])
plt.xlabel("accuracy of the digit on 400 test images")
plt.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.tight_layout()

# %%
# A table that is wrong in a few rows only is harder to see. ``labelweave check`` and
# ``labelweave relate`` show a table next to the data before anything is trained; how a table is
# judged: :doc:`/explanation/evidence` and :doc:`/explanation/coupling`.
