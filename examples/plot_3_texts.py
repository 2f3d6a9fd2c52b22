"""
From labelled texts to a plain table
====================================

Labels of texts often come as words, from several people, with gaps. labelweave needs a table: one
row a text, one column a task, an empty cell where nobody labelled. Here are 300 remarks on
machines.
"""

import numpy as np
import pandas as pd

from labelweave import MultiTaskClassifier

PARTS = {"pump": "hydraulics", "valve": "hydraulics", "motor": "electrics", "cable": "electrics"}
SIGNS = {"leaks": "fault", "hums loudly": "fault", "runs well": "fine", "was cleaned": "fine"}
rng = np.random.default_rng(0)
parts, signs = rng.choice(list(PARTS), 300), rng.choice(list(SIGNS), 300)
ends = rng.choice(["since Monday", "after the test", "in hall two", "as reported"], 300)
remarks = pd.Series([f"the {p} {s} {e}" for p, s, e in zip(parts, signs, ends, strict=True)])
answers = pd.DataFrame({"part": parts, "team": [PARTS[p] for p in parts]})
answers["state"] = [SIGNS[s] for s in signs]
remarks.head(3).tolist()

# %%
# One office named the part of 12 remarks. Another named team and state of all others.

y = answers.astype(object)
y.loc[:11, ["team", "state"]] = None
y.loc[12:199, "part"] = None
y.loc[200:] = None  # kept for the test
y.iloc[[0, 1, 12, 13, 299]]

# %%
# scikit-learn turns texts into columns. Sentence encoders do it better (:doc:`/howto/inputs`,
# ``text: {encoder: minilm}``), but bring 91 MB of weights.

from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline

to_columns = make_pipeline(TfidfVectorizer(), TruncatedSVD(8, random_state=0))
X = pd.DataFrame(to_columns.fit_transform(remarks)).add_prefix("topic_")
teams = pd.DataFrame({"part": list(PARTS), "team": list(PARTS.values())})
model = MultiTaskClassifier(relations={"part": teams}, learners=["logistic"], output="frame").fit(
    X[:200], y[:200]
)

# %%
# With ``output="frame"`` the answers are a plain table with the index of the inputs.

predicted = model.predict(X[200:])
predicted.assign(remark=remarks[200:]).head()

# %%
# The share of right answers on the 100 remarks that nobody labelled:

(predicted == answers[200:]).mean().round(2)

# %%
# Exports of Label Studio, Prodigy, doccano and others are read as they are:
# :doc:`/reference/tables`.
