"""
Conformal sets and abstention
=============================

A set holds all classes that are plausible for a row; nine sets in ten hold the truth. Abstention
answers only where an answer is likely right. Both need labelled rows that the model has not seen.
"""

import matplotlib.pyplot as plt
from digit_tables import KNOWLEDGE, digit_tables

from labelweave import MultiTaskClassifier
from labelweave.trust import evaluate_sets, fit_abstention, fit_sets, predict_rows, risk_coverage

X, y, X_new, y_new = digit_tables(per_class=2)
model = MultiTaskClassifier(relations={"digit": KNOWLEDGE}, learners=["logistic"]).fit(X, y)
held_out = predict_rows(model, X_new[:200], y_new[:200])  # set the thresholds
test = predict_rows(model, X_new[200:], y_new[200:])  # measure

# %%
# Sets at 90 %:

sets = fit_sets(held_out, coverage=0.9)
for task, figures in evaluate_sets(test, sets.predict(test.probabilities)).items():
    print(f"{task:8} coverage {figures.coverage:.3f}, {figures.size:.2f} classes in a set")

# %%
# A higher coverage needs larger sets.

coverages = [0.7, 0.8, 0.9, 0.95, 0.98]
measured = [
    evaluate_sets(test, fit_sets(held_out, c).predict(test.probabilities))["digit"]
    for c in coverages
]
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3))
left.plot(coverages, [m.coverage for m in measured], "o-")
left.plot([0.7, 1], [0.7, 1], ":", color="grey")
left.set(xlabel="promised coverage", ylabel="measured coverage of the digit")
right.plot(coverages, [m.size for m in measured], "o-")
right.set(xlabel="promised coverage", ylabel="classes in a set")
figure.tight_layout()

# %%
# Abstention: of the answers that remain, at most one in twenty is to be wrong.

rule = fit_abstention(held_out, error=0.05)
answered = rule.answers(test.probabilities)["digit"]
right_ones = model.predict(X_new[200:])["digit"] == y_new["digit"][200:]
print(f"answered {answered.mean():.2f} of the rows, wrong {1 - right_ones[answered].mean():.3f}")
print(f"without the rule: wrong {1 - right_ones.mean():.3f}")

# %%
# The whole trade, from the surest answers to all of them:

curve = risk_coverage(test)
for task, part in curve.groupby("question"):
    plt.plot(part["answered"], part["error"], label=task)
plt.xlabel("share of rows answered")
plt.ylabel("share of answers that are wrong")
plt.legend()
plt.tight_layout()
