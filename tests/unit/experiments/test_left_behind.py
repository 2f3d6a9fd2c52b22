from dataclasses import replace

import numpy as np
import pytest
from report_example import example_results, with_value
from study_example import as_json, write_study

from labelweave._messages import Messages
from labelweave.annotations import Annotations
from labelweave.experiments import Study
from labelweave.experiments._results import learning, state
from labelweave.fitting._networks import task_fits
from labelweave.fitting._split import Rows
from labelweave.networks import MultiTaskNetwork, backbone
from labelweave.report._figures import advice, cosine_map, task_rows, watched
from labelweave.results import MethodLearning, TaskLearning
from labelweave.tasks import Binary, Multiclass

KIND, SICK = Multiclass("kind", ("a", "b")), Binary("sick")
FINE = TaskLearning(
    train=0.95, validation=0.9, train_score=0.99, validation_score=0.97,
    share=0.5, rate=1.0, half=0.2,
)  # fmt: skip


def rows(kind, sick):
    labels = Annotations((KIND, SICK), {"kind": np.array(kind), "sick": np.array(sick)[:, None]})
    n = len(labels)
    return Rows(np.eye(n, 2, dtype=np.float32), labels, np.arange(n), np.arange(n))


def test_the_fit_of_a_network_that_knows_nothing_is_that_of_a_coin():
    network = MultiTaskNetwork(backbone("linear", 2), (KIND, SICK))
    for parameter in network.parameters():
        parameter.data.zero_()
    train = rows([0, 0, 0, 1, -1], [1, -1, -1, -1, 0])
    found = task_fits(network, train, train.annotations, rows([1, 1], [-1, -1]))
    shares = (3.5 / 5, 1.5 / 5)  # with half a label a class more than there are
    entropy = -(3 * np.log(shares[0]) + np.log(shares[1])) / 4
    kind, sick = found["kind"], found["sick"]
    assert (kind["labels"], kind["rarest"], kind["rarest_labels"]) == (4, "b", 1)
    assert kind["train"] == pytest.approx({"loss": np.log(2), "constant": entropy, "score": 0.75})
    assert kind["validation"]["constant"] == pytest.approx(-np.log(shares[1]))
    assert kind["validation"]["score"] == 0
    assert (sick["labels"], sick["rarest_labels"], sick["validation"]) == (2, 1, None)
    alone = task_fits(network, train, train.annotations, rows(train.index[:0], train.index[:0]))
    assert alone["kind"]["validation"] is None


@pytest.mark.parametrize(
    ("changes", "cosine", "expected"),
    [
        ({}, None, "fine"),
        ({}, -0.9, "fine"),  # what has been learnt can be in nobody's way
        ({"share": 0.01}, None, "fine"),
        ({"train": 0.5, "share": 0.01}, None, "starved"),
        ({"train": 0.05}, None, "underfit"),
        ({"train": 0.5, "rate": 1.5}, None, "slow"),
        ({"train": 0.5, "half": 0.8}, None, "slow"),
        ({"train": 0.5}, -0.3, "conflict"),
        ({"train": 0.5}, -0.1, "fine"),
        ({"validation_score": 0.8}, None, "overfit"),
        ({"validation": -0.1}, None, "overfit"),
        ({"validation": None, "validation_score": None, "share": None, "rate": None,
          "half": None}, None, "fine"),
        ({"train": None, "train_score": None}, None, "fine"),
    ],
)  # fmt: skip
def test_the_state_of_a_task(changes, cosine, expected):
    assert state(replace(FINE, **changes), 4, cosine) == expected


def test_a_study_covers_every_joint_method(tmp_path):
    path = write_study(
        tmp_path, split={"test": 60, "validation": 40}, methods=["multi_task"], seeds=2
    )
    study = Study.from_file(path)
    results = as_json(study.compare(jobs=1, progress=False))
    assert list(results["learning"]) == ["multi_task"]
    found = results["learning"]["multi_task"]
    assert list(found["tasks"]) == ["kind", "form"]
    for facts in found["tasks"].values():
        assert 0 < facts["share"] < 1
        assert facts["rate"] > 0
        assert facts["train"] < 1
        assert facts["validation"] < 1
    assert sum(facts["share"] for facts in found["tasks"].values()) == pytest.approx(1)
    assert np.diagonal(found["cosine"]) == pytest.approx(1)
    logs = list(study.output.glob("runs/multi_task-*/training/network0/log.jsonl"))
    assert len(logs) == 2
    assert all('"gradients"' in log.read_text() and '"fit"' in log.read_text() for log in logs)


def test_runs_of_an_earlier_version_show_nothing():
    class Old:
        def record(self):
            return {"seconds": 1.0}

    assert learning({"multi_task": [Old()]}) == {}
    assert watched(example_results(1, 2, 1, large_table=False), "full") is None


@pytest.mark.parametrize("language", ["en", "ja"])
def test_the_report_gives_one_sentence_a_task_that_is_not_fine(language):
    say = Messages(language)
    found = with_value(example_results(6, 5, 2, large_table=False)).learning["full"]
    texts = advice(found, say)
    assert len(texts) == 5
    assert all(sum(name in text for text in texts) for name in ("species", "shape", "apex_form"))
    assert "0.3%" in texts[0]
    assert "41" in texts[0]
    words = [row.word for row in task_rows(found, say)]
    assert len(set(words)) == 6


def test_the_picture_shows_the_worst_and_the_best_pair():
    cosine = ((1, -0.5, 0.2), (-0.5, 1, None), (0.2, None, 1))
    found = MethodLearning(dict.fromkeys("abc", FINE), cosine)
    picture = cosine_map(found, "key", Messages())
    assert "from -0.50 (b and a) to 0.20 (c and a)" in picture
    assert "-.50" in picture
    nothing = MethodLearning(dict.fromkeys("ab", FINE), ((None, None), (None, None)))
    assert "no data" in cosine_map(nothing, "key", Messages())
