"""The Python of docs/howto/trust.md runs, block after block, on a small classifier."""

import re
from pathlib import Path

import numpy as np
import pytest
from trust_example import KIND, RELATIONS, classifier, rows

from labelweave import Annotations

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "trust.md"
MADE = 'MultiTaskClassifier(relations={"species": "species.csv"}).fit(X, y)'


def test_every_block_of_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    text = PAGE.read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(blocks) >= 7
    (X, y), (X_new, _) = rows(240, 0), rows(30, 31)
    X_held_out, y_held_out = rows(200, 32)
    X_test, y_test = rows(200, 33)
    given = {
        "made": classifier(), "X": X, "y": y, "X_new": X_new, "X_held_out": X_held_out,
        "y_held_out": y_held_out, "X_test": X_test, "y_test": y_test,
        "plant": np.arange(200) // 2, "relations": RELATIONS,
        "own_X": X[:60], "own_labels": Annotations.from_columns([KIND], y[["kind"]][:60]),
        "sex": np.repeat(["f", "m"], 100), "new_sex": np.repeat(["f", "m"], 15),
    }  # fmt: skip
    code = "\n".join(blocks)
    assert MADE in code
    code = code.replace(MADE, "made").replace('"species"', '"kind"').replace('"income"', '"hot"')
    exec(compile(code, str(PAGE), "exec"), given)
