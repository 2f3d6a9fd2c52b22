import re
from pathlib import Path

import torch

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "losses.md").read_text(encoding="utf-8")


def test_the_bare_loop_of_the_page_runs_and_learns():
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(blocks) == 1
    torch.manual_seed(0)
    names = {}
    exec(blocks[0], names)
    assert names["loss"].names == (
        "supervised/mood",
        "supervised/face",
        "distribution_matching/mood->face",
        "soft_labels/mood->face",
        "marginal/mood",
    )
    assert (names["found"] == names["moods"]).mean() > 0.8


def test_every_form_stands_on_the_page():
    from labelweave.losses._co_annotation import BACKWARD, FORWARD
    from labelweave.losses._distribution_matching import FORMS

    for form in (*FORMS, *FORWARD, *BACKWARD):
        assert f"| `{form}` |" in PAGE, form
