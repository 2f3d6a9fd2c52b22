"""
Couple a rare task in ten lines
===============================

Two images of each digit carry their digit. 380 others carry three attributes of it: loops, strokes
and whether it is even. No image carries both. A table says which attributes each digit has.
"""

from digit_tables import KNOWLEDGE, digit_tables

from labelweave import MultiTaskClassifier

X, y, X_test, y_test = digit_tables(per_class=2)
y.notna().sum()

# %%
# The first model sees each task alone. The second couples the tasks by the table. Both use one
# learner here, so that the page builds quickly; leave out ``learners`` to use the whole library.

alone = MultiTaskClassifier(method="best_single_task", learners=["svm"]).fit(X, y)
coupled = MultiTaskClassifier(relations={"digit": KNOWLEDGE}, learners=["svm"]).fit(X, y)


def accuracy(model):
    predicted = model.predict(X_test)
    return {task: float((predicted[task] == y_test[task]).mean()) for task in y_test}


print("alone  ", accuracy(alone))
print("coupled", accuracy(coupled))

# %%
# The attributes of an image narrow down its digit, and the digit confirms its attributes.

import matplotlib.pyplot as plt
import pandas as pd

figures = pd.DataFrame({"alone": accuracy(alone), "coupled": accuracy(coupled)})
figures.plot.barh(xlim=(0, 1), figsize=(7, 3), color=["#b8c4ce", "#2f6f9f"])
plt.xlabel("accuracy on 400 test images")
plt.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.tight_layout()

# %%
# One split shows no more than that it can work. :doc:`A study </tutorials/own-tables>` repeats
# it over seeds and gives intervals.
