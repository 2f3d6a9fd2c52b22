"""Networks with several trunks: what reads what, how they start, learn, are saved and exported."""

import json
import math

import numpy as np
import pandas as pd
import pytest
import torch

from labelweave import Binary, LabelweaveError, Multiclass, Multilabel
from labelweave.data._table_encoder import TableEncoder
from labelweave.model import Model, NetworkSpec
from labelweave.networks._multi_task import SideBySide, parameter_groups
from labelweave.networks._trunks import BlockHeads, places

TASKS = (Multiclass("species", ("a", "b", "c")), Multilabel("signs", ("x", "y")), Binary("b"))
SPEC = NetworkSpec("mlp", {"hidden": [6], "dropout": 0.0})


def network(*own: str):
    torch.manual_seed(0)
    return SPEC.build(5, TASKS, own)


@pytest.mark.parametrize(
    ("own", "expected"),
    [((), [0, 0, 0]), (("signs",), [0, 1, 0]), (("b", "species"), [1, 0, 2]),
     (("species", "signs", "b"), [0, 1, 2])],
)  # fmt: skip
def test_tasks_that_are_not_apart_share_the_first_trunk(own, expected):
    assert places([task.name for task in TASKS], own) == expected
    assert network(*own).own_trunks == tuple(t.name for t in TASKS if t.name in own)


def test_without_trunks_apart_the_network_is_the_plain_one():
    made = network()
    assert not isinstance(made.heads, BlockHeads)
    assert set(made.state_dict()) == {
        "backbone.body.0.weight", "backbone.body.0.bias", "heads.weight", "heads.bias",
    }  # fmt: skip


def test_a_tasks_loss_reaches_its_own_trunk_alone():
    made = network("signs")
    shared, own = made.backbone.body
    scores = made(torch.randn(8, 5))
    assert {name: tuple(s.shape) for name, s in scores.items()} == {
        "species": (8, 3), "signs": (8, 2), "b": (8, 1),
    }  # fmt: skip
    scores["signs"].square().sum().backward()
    assert all(not p.grad.any() for p in shared.parameters())
    assert all(p.grad.any() for p in own.parameters())


def test_heads_start_as_heads_of_their_trunk_alone_and_stay_apart_in_training():
    made = network("species")
    block = made.heads.block.bool()
    assert made.heads.weight[~block].abs().max() == 0
    assert 0.5 / math.sqrt(6) < made.heads.weight[block].abs().max() <= 1 / math.sqrt(6)
    before = made.heads.weight.detach().clone()
    optimiser = torch.optim.AdamW(made.parameters(), lr=0.01, weight_decay=0.1)
    for _ in range(5):
        optimiser.zero_grad()
        sum(s.square().sum() for s in made(torch.randn(8, 5)).values()).backward()
        optimiser.step()
    assert made.heads.weight[~block].abs().max() == 0
    assert (made.heads.weight[block] != before[block]).all()


def test_every_trunk_has_the_rates_of_a_backbone():
    groups = parameter_groups(network("b"), 0.5, 0.5)
    found = {group["factor"]: len(group["params"]) for group in groups}
    assert found == {1.0: 2, 0.5: 4}


def test_trunks_apart_are_not_trained_side_by_side():
    assert SideBySide.of([network("b"), network("b")]) is None


def saved(tmp_path):

    rows = pd.DataFrame(np.random.default_rng(0).normal(size=(9, 5))).add_prefix("x")
    encoder = TableEncoder().fit(rows)
    model = Model(encoder, SPEC, [network("signs").eval()])
    model.save(tmp_path)
    return model, rows


def test_a_saved_model_is_the_same_when_loaded(tmp_path):
    model, rows = saved(tmp_path)
    again = Model.load(tmp_path)
    assert again.networks[0].own_trunks == ("signs",)
    found, expected = again.predict_proba(rows), model.predict_proba(rows)
    assert all(np.array_equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([["sings"]], "model.json: key 'own_trunks': no task 'sings', expected 'species', 'signs', "
         "'b'; did you mean 'signs'?"),
        ([["b", "b"]], "model.json: key 'own_trunks': found a task twice, expected it once"),
        ([[], []], "model.json: key 'own_trunks': found 2 lists, expected 1, one a network"),
        ([[]], ": the weights do not fit model.json"),
        ([["b"]], None),
    ],
)  # fmt: skip
def test_the_trunks_in_model_json_must_fit(tmp_path, value, message):
    saved(tmp_path)
    path = tmp_path / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"own_trunks": value}))
    if message is None:  # same shapes
        assert Model.load(tmp_path).networks[0].own_trunks == ("b",)
        return
    with pytest.raises(LabelweaveError) as caught:
        Model.load(tmp_path)
    assert str(caught.value).endswith(message)


def test_models_saved_before_there_were_trunks_are_read(tmp_path):
    model, rows = saved(tmp_path)
    model.networks = [network().eval()]
    model.save(tmp_path)
    path = tmp_path / "model.json"
    content = json.loads(path.read_text())
    assert content.pop("own_trunks") == [[]]
    path.write_text(json.dumps(content))
    found, expected = Model.load(tmp_path).predict_proba(rows), model.predict_proba(rows)
    assert all(np.array_equal(found[name], expected[name]) for name in expected)


def test_the_graph_is_one_and_can_be_exported():
    made = network("signs", "b").eval()
    rows = torch.randn(4, 5)
    exported = torch.export.export(made, (rows,)).module()
    for name, scores in exported(rows).items():
        torch.testing.assert_close(scores, made(rows)[name])
