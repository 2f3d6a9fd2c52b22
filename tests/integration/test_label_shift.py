"""Label shift end to end: training with a prior for every source, predicting under any prior."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from command_line import CommandLine
from study_example import as_json, content, draw_nothing, tables, write_study

from labelweave.annotations import Annotations
from labelweave.class_priors import AssumedPrior, labelled_prior, log_odds, source_priors
from labelweave.data import Source
from labelweave.errors import LabelweaveError
from labelweave.estimator import MultiTaskClassifier
from labelweave.experiments import Study
from labelweave.experiments._runs import plan_run
from labelweave.losses import Objective
from labelweave.model import Model
from labelweave.report import write_report
from labelweave.tasks import Multiclass

SIDE = Multiclass("side", ("left", "right"))
SHARES = (0.9, 0.1)  # of the left side in either source


def two_sources() -> list[Source]:
    """Return two sources with opposite shares, whose second input identifies the source."""
    parts = []
    for number, share in enumerate(SHARES):
        rng = np.random.default_rng(number)
        right = (rng.random(3000) > share).astype(int)
        inputs = np.stack(
            [rng.normal(2 * right - 1), rng.normal(2 * number - 1, size=3000)], axis=1
        )
        frame = pd.DataFrame(inputs, columns=["x", "place"])
        parts.append(Source(f"part {number}", frame, Annotations((SIDE,), {"side": right})))
    return parts


def fitted(steps: int = 300, **label_shift: Any) -> MultiTaskClassifier:
    classifier = MultiTaskClassifier(
        backbone="linear", method="multi_task", steps=steps, batch_size=256, learning_rate=0.05,
        weight_decay=0.0, label_shift=label_shift,
    )  # fmt: skip
    return classifier.fit(two_sources())


def bayes(frame: pd.DataFrame, left: float) -> np.ndarray:
    """Return P(right | x) under a share of the left side: the log-odds of x are 2 x."""
    odds = np.exp(2 * frame["x"].to_numpy()) * (1 - left) / left
    return np.asarray(odds / (1 + odds))


@pytest.fixture(scope="module")
def adjusted() -> MultiTaskClassifier:
    return fitted(training="adjust")


def test_training_with_a_prior_for_every_source_finds_the_posterior_of_bayes(
    adjusted: MultiTaskClassifier,
) -> None:
    plain = fitted()
    for source, share in zip(two_sources(), SHARES, strict=True):
        prior = {"side": {"left": share, "right": 1 - share}}
        expected = bayes(source.inputs, share)
        found = adjusted.predict_proba(source.inputs, prior)["side"][:, 1]
        assert np.abs(found - expected).mean() < 0.02
        # rows of either place under the even prior: the place says nothing of the side
        even = adjusted.predict_proba(source.inputs, "uniform")["side"][:, 1]
        assert np.abs(even - bayes(source.inputs, 0.5)).mean() < 0.02
        # without it the network reads the side off the place
        torn = plain.predict_proba(source.inputs, "uniform")["side"][:, 1]
        assert np.abs(torn - bayes(source.inputs, 0.5)).mean() > 0.1


def test_the_prior_of_rows_is_found_where_the_network_is_right(
    adjusted: MultiTaskClassifier,
) -> None:
    for source, share in zip(two_sources(), SHARES, strict=True):
        found = adjusted.predict_proba(source.inputs, "rows")["side"][:, 1]
        assert np.abs(found - bayes(source.inputs, share)).mean() < 0.03


def test_without_a_shift_adjusting_changes_no_loss() -> None:
    labels = Annotations((SIDE,), {"side": np.tile([0, 1, 1], 40)})
    source = np.arange(120) % 2
    training = {"side": labelled_prior(labels, "side")}
    own = source_priors(labels, source, [], training)
    shift = {"side": log_odds(SIDE, own["side"]) - log_odds(SIDE, training["side"])}
    logits = {"side": torch.randn(120, 2, generator=torch.Generator().manual_seed(0))}
    codes = {"side": torch.tensor(labels.labels["side"])}
    plain = Objective([SIDE])(logits, codes)
    adjusted = Objective([SIDE], shift=shift)(logits, codes, source=torch.tensor(source))
    assert torch.allclose(plain.total, adjusted.total)


def test_the_objective_adds_a_rows_shift_to_its_scores() -> None:
    shift = {"side": np.array([[0.0, 0.0], [1.0, -2.0]])}
    logits = {"side": torch.randn(6, 2, generator=torch.Generator().manual_seed(0))}
    source, codes = torch.tensor([0, 1, 1, 0, 1, 0]), {"side": torch.tensor([0, 1, -1, 1, 0, -1])}
    objective = Objective([SIDE], shift=shift)
    moved = {"side": logits["side"] + torch.tensor(shift["side"]).float()[source]}
    assert torch.equal(
        objective(logits, codes, source=source).total, Objective([SIDE])(moved, codes).total
    )
    with pytest.raises(LabelweaveError) as error:
        objective(logits, codes)
    assert str(error.value) == "objective: a shift between sources needs source=, found none"


def test_a_saved_model_keeps_its_priors_and_an_old_one_still_predicts(tmp_path: Path) -> None:
    classifier, frame = fitted(5, prediction="uniform"), two_sources()[0].inputs
    classifier.save(tmp_path)
    loaded = MultiTaskClassifier.load(tmp_path)
    for prior in (None, "training", "population", "rows", {"side": {"left": 0.2, "right": 0.8}}):
        given = classifier.predict_proba(frame, prior)["side"]
        assert np.array_equal(loaded.predict_proba(frame, prior)["side"], given)
    assert np.allclose(loaded.model_.priors["training"]["side"], 0.5, atol=0.01)
    file = tmp_path / "model.json"
    description = json.loads(file.read_text(encoding="utf-8"))
    assert description.pop("prior") == {"name": "uniform", "given": {}}
    del description["priors"]
    file.write_text(json.dumps(description), encoding="utf-8")
    old = Model.load(tmp_path)
    assert old.prior == AssumedPrior()
    before = classifier.predict_proba(frame, "training")["side"]
    assert np.array_equal(old.predict_proba(frame)["side"], before)
    with pytest.raises(LabelweaveError) as error:
        old.predict_proba(frame, "uniform")
    assert str(error.value) == (
        "prior: the model does not say with which shares task 'side' was trained; train it again, "
        "or predict with prior 'training'"
    )


def test_a_study_says_and_sets_the_prior_of_its_predictions(
    tmp_path: Path, cli: CommandLine
) -> None:
    shift = {
        "training": "adjust",
        "prediction": {"kind": {"bolt": 0.5, "disc": 0.25, "ring": 0.25}},
    }
    methods = ["single_task", "full"]
    study = Study.from_file(write_study(tmp_path, label_shift=shift, methods=methods))
    found = study.run(jobs=1, progress=False)
    write_report(found, study.output, draw=draw_nothing)
    results = as_json(found)
    said = "as given for 'kind', else training (the shares among the labelled training rows)"
    assert results["prior"]["text"] == said
    assert f"prior that predictions assume: {said}" in study.describe()
    report = (study.output / "report.html").read_text(encoding="utf-8")
    assert "Class prior that predictions assume: as given for" in report
    assert '<th scope="col">balanced</th>' in report
    new = tables(20, seed=9)[0].drop(columns="kind")
    new.to_csv(tmp_path / "new.csv", index=False)
    answer = cli("predict", study.output, tmp_path / "new.csv", "--method", "full")
    assert (answer.code, answer.err) == (0, f"prior: {said}\n")
    model = Model.load(next((study.output / "runs").glob("full-*/model")))
    columns = ["kind=bolt", "kind=disc", "kind=ring"]
    table = pd.read_csv(StringIO(answer.out))[columns]
    assert np.allclose(table, model.predict_proba(new)["kind"], atol=1e-6)
    for prior in ("rows", "population"):
        answer = cli(
            "predict", study.output, tmp_path / "new.csv", "--method", "full", "--prior", prior
        )
        assert answer.err.startswith(f"prior: {prior} (")
        found = model.predict_proba(new, prior)["kind"]
        assert np.allclose(pd.read_csv(StringIO(answer.out))[columns], found, atol=1e-6)
        assert not np.allclose(found, table, atol=1e-3)
    assert cli.refused("predict", study.output, tmp_path / "new.csv", "--prior", "row") == (
        "prior: found 'row', expected 'training', 'population', 'uniform', 'rows' or a CSV file; "
        "did you mean 'rows'?"
    )


def test_only_a_study_with_label_shift_gets_separate_runs(tmp_path: Path) -> None:
    write_study(tmp_path)
    study = Study(content(), tmp_path)
    split = study.first_split()
    prints = split.fingerprint()

    def key(**changes: Any) -> str:
        config = Study(content(**changes), tmp_path, data=study.data).config
        return plan_run("full", split, prints, config, tmp_path).key

    same = key(label_shift={"training": "none", "prediction": "training"})
    others = [key(label_shift={"training": "adjust"}), key(label_shift={"prediction": "rows"})]
    assert same == key()
    assert len({same, *others}) == 3


def test_a_prior_that_does_not_fit_the_study_is_reported_before_training(tmp_path: Path) -> None:
    write_study(tmp_path)
    shift = {"prediction": {"kind": {"bolt": 1, "disk": 0}}}
    with pytest.raises(LabelweaveError) as error:
        Study(content(label_shift=shift), tmp_path).first_split()
    assert str(error.value) == (
        "key 'label_shift.prediction', task 'kind': no class 'disk', expected 'bolt', 'disc', "
        "'ring'; did you mean 'disc'?"
    )
    with pytest.raises(LabelweaveError) as error:
        Study(content(label_shift={"training": "ajust"}), tmp_path)
    assert str(error.value) == (
        "study: key 'label_shift.training': should be 'none' or 'adjust', found 'ajust'"
    )
