"""Handwritten digits of scikit-learn with ten written attributes, labelled on different rows.

Data: 1,797 images of 8 x 8 pixels (Alpaydin and Kaynak, 1998), shipped with scikit-learn.
"""

from pathlib import Path

import pandas as pd

from labelweave.cases.writing import rows_of, write_case

# what a printed digit looks like, written down by hand; handwriting differs now and then
ATTRIBUTES: dict[str, tuple[int, ...]] = {
    "closed_loop": (0, 6, 8, 9),
    "two_loops": (8,),
    "loop_above": (8, 9),
    "loop_below": (6, 8),
    "only_straight": (1, 4, 7),
    "top_bar": (5, 7),
    "base_bar": (2,),
    "open_to_the_left": (2, 3, 5, 7, 9),
    "long_upright": (1, 4),
    "mirror_symmetric": (0, 1, 8),
}

STUDY = """\
# Digits: the digit labelled in one place, ten attributes of its strokes in another.
name: digits

tasks:
  - {{name: digit}}
  - name: strokes
    kind: multilabel
    labels: [{labels}]

sources:
  - path: digits.csv

relations:
  - {{table: knowledge.csv, source: digit}}   # written down: one row a digit

split: {{test: 500, validation: 0}}

# This table knows every label. To see what scattered labels would do, hide most of them:
scatter:
  - {{name: digit_lab, tasks: [digit], per_class: {k}}}
  - {{name: stroke_lab, tasks: [strokes]{rows}}}

network: {{backbone: mlp, hidden: [256, 256], dropout: 0.2}}
training: {{steps: 800, batch_size: 128, sampling: equal, learning_rate: 0.005}}
label_curves: false   # without this line: what labels joining saves, for twice the time
seeds: {seeds}
"""


def write_digits(folder: Path, seeds: int, k: int = 2, others: int | None = None) -> Path:
    """Write the digits study with k digit labels a class; return its study file.

    Args:
        folder: where to write.
        seeds: number of seeds.
        k: images of each digit that carry their digit.
        others: images that carry the strokes; None = all others.
    """
    from sklearn.datasets import load_digits

    images, digits = load_digits(return_X_y=True)
    frame = pd.DataFrame(images.astype(int), columns=[f"pixel_{i}" for i in range(64)])
    frame.insert(0, "digit", digits)
    for name, members in reversed(ATTRIBUTES.items()):
        frame.insert(1, name, frame["digit"].isin(members).astype(int))
    knowledge = pd.DataFrame({"digit": range(10)})
    for name, members in ATTRIBUTES.items():
        knowledge[name] = knowledge["digit"].isin(members).astype(int)
    text = STUDY.format(labels=", ".join(ATTRIBUTES), seeds=seeds, k=k, rows=rows_of(others))
    return write_case(folder, {"digits.csv": frame, "knowledge.csv": knowledge}, text)
