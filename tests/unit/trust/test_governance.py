"""Cards, audits, provenance of labels, and membership inference."""

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from command_line import CommandLine
from sklearn.metrics import roc_auc_score
from trust_example import HOT, KIND, classifier, rows

from labelweave import Annotations, LabelweaveError, Multiclass, Source
from labelweave.evaluation import evaluate
from labelweave.trust import (
    Predictions,
    audit_model,
    evaluate_sets,
    fairness,
    fit_sets,
    label_provenance,
    membership_advantage,
    model_card,
    predict_rows,
    write_manifest,
)

TWO = Multiclass("two", ("a", "b"))


def guessed(n: int, seed: int, sure: float) -> Predictions:
    """Return rows whose right class has a probability of about `sure`."""
    rng = np.random.default_rng(seed)
    labels = (rng.random(n) < 0.1).astype(int)
    right = np.clip(sure + rng.normal(0, 0.1, n), 0.01, 0.99)
    p = np.stack([1 - right, right], axis=1)
    p[labels == 0] = p[labels == 0][:, ::-1]
    return Predictions(Annotations((TWO,), {"two": labels}), {"two": p})


def test_a_model_that_remembers_its_rows_gives_them_away_and_one_that_does_not_gives_nothing():
    found = membership_advantage(guessed(800, 0, 0.9), guessed(800, 1, 0.6)).set_index("part")
    assert found.loc["all", "advantage"] > 0.5
    assert found.loc["all", "low"] > 0.4
    assert found.loc["class=b", "members"] < 120  # the rarest class has its own line
    same = membership_advantage(guessed(800, 0, 0.7), guessed(800, 1, 0.7)).set_index("part")
    assert abs(same.loc["all", "advantage"]) < 0.08
    assert same.loc["all", "low"] < 0 < same.loc["all", "high"]


def test_the_advantage_is_that_of_counting_and_the_auc_scikit_learn_s():
    inside, outside = guessed(200, 2, 0.8), guessed(150, 3, 0.7)
    found = membership_advantage(inside, outside).iloc[0]
    loss, other = (
        -np.log(r.probabilities["two"][np.arange(len(r)), r.labels("two")])
        for r in (inside, outside)
    )
    assert found["advantage"] == pytest.approx(
        (loss <= loss.mean()).mean() - (other <= loss.mean()).mean()
    )
    truth = np.r_[np.ones(200), np.zeros(150)]
    assert found["auc"] == pytest.approx(roc_auc_score(truth, -np.r_[loss, other]))


def test_too_few_rows_give_no_advantage():
    found = membership_advantage(guessed(8, 0, 0.9), guessed(300, 1, 0.5))
    assert found["advantage"].isna().all()
    other = Predictions(
        Annotations((HOT,), {"hot": np.ones((3, 1), int)}), {"hot": np.ones((3, 1))}
    )
    with pytest.raises(LabelweaveError, match=r"^others: found the tasks 'hot', expected those of"):
        membership_advantage(guessed(8, 0, 0.9), other)


def test_a_card_has_the_figures_with_intervals_as_text_and_names_what_was_not_measured():
    X, y = rows(300, 21)
    held = predict_rows(classifier(), X, y)
    shown = model_card(classifier(), held, name="parts", license="apache-2.0",
                       data={"plant <a>": "CC-BY | 4"})  # fmt: skip
    _, head, body = shown.split("---\n", 2)
    found = yaml.safe_load(head)
    assert found["license"] == "apache-2.0"
    results = {r["task"]["name"]: r["metrics"][0] for r in found["model-index"][0]["results"]}
    accuracy = evaluate(KIND, held.probabilities["kind"], held.labels("kind"))["accuracy"]
    assert isinstance(results["kind"]["value"], str)
    assert results["kind"]["value"].startswith(f"{accuracy:.3f} (")
    assert body.count("Not measured.") == 3  # sets, groups and privacy
    assert "plant &lt;a> | CC-BY \\| 4" in body
    bare = model_card(classifier(), name="parts")
    assert bare.count("Not measured.") == 5
    assert "model-index" not in bare


def test_a_card_shows_sets_groups_and_privacy_and_no_value_of_an_input():
    X, y = rows(300, 22)
    X["site"] = np.where(X["site"] == "north", "north", "Jane Roe")
    held = predict_rows(classifier(), X.drop(columns="site").assign(site="north"), y)
    sets = fit_sets(held).predict(held.probabilities)
    shown = model_card(
        classifier(), held, name="parts", sets=evaluate_sets(held, sets),
        groups=fairness(held, np.repeat(["u", "v"], 150), column="shift", replicates=50),
        membership=membership_advantage(held, held),
    )  # fmt: skip
    assert "Not measured." not in shown
    assert "Gaps between the groups of `shift`" in shown
    assert "Jane Roe" not in shown
    assert f"{X['heat'].iloc[0]:.4f}" not in shown


def test_an_audit_finds_what_changed_since_the_manifest(tmp_path: Path):
    folder = tmp_path / "model"
    classifier().save(folder)
    before = audit_model(folder)
    assert (before.kind, before.manifest, before.intact) == ("stack", False, False)
    write_manifest(folder)
    sound = audit_model(folder)
    assert sound.intact
    path = folder / "stack" / "stack.json"
    assert sound.files["stack/stack.json"] == hashlib.sha256(path.read_bytes()).hexdigest()
    path.write_text(path.read_text() + " ")
    (folder / "more.txt").write_text("x")
    found = audit_model(folder)
    assert (found.changed, found.added, found.missing) == (("stack/stack.json",), ("more.txt",), ())
    (folder / "more.txt").rename(folder / "schema.yaml.old")
    assert audit_model(folder).added == ("schema.yaml.old",)
    (folder / "manifest.json").write_text("[]")
    with pytest.raises(LabelweaveError, match=r"manifest\.json"):
        audit_model(folder)


def test_an_audit_reports_lineage_and_age_of_a_final_model(tmp_path: Path):
    folder = tmp_path / "model"
    classifier().save(folder)
    facts = {"created": "2026-01-01T00:00:00+00:00", "study": "parts", "method": "coupled",
             "seed": 3, "sources": ["a", "b"]}  # fmt: skip
    (folder / "final.json").write_text(json.dumps(facts))
    found = audit_model(folder, now=datetime(2026, 1, 11, tzinfo=UTC))
    assert found.age_days == 10
    assert found.lineage == {k: v for k, v in facts.items() if k != "created"}


def test_audit_and_card_on_the_command_line(tmp_path: Path, cli: CommandLine):
    folder, out = tmp_path / "model", tmp_path / "card.md"
    classifier().save(folder)
    assert "no manifest to compare with" in cli("audit", folder).out
    assert "files are as the manifest says" in cli("audit", folder, "--write").out
    (folder / "schema.yaml").write_text((folder / "schema.yaml").read_text() + "\n")
    changed = cli("audit", folder, "--json")
    assert changed.code == 1
    assert json.loads(changed.out)["changed"] == ["schema.yaml"]
    (tmp_path / "results.json").write_text("[]")  # of a damaged study: the audit goes on
    again = cli("audit", folder)
    assert (again.code, "changed: schema.yaml" in again.out) == (1, True)
    assert again.err.startswith("note: not kept for the report: ")
    assert again.err.count("\n") == 1
    (tmp_path / "results.json").unlink()
    X, y = rows(200, 23)
    X.assign(**y).to_csv(tmp_path / "rows.csv", index=False)
    cli("card", folder, tmp_path / "rows.csv", "--by", "site", "--out", out, "--name", "parts")
    assert "Gaps between the groups of `site`" in out.read_text()
    found = cli.refused("card", folder, "--by", "site")
    assert found == "found --by or --group without a table of rows, expected one"
    assert "no model here" in cli.refused("audit", tmp_path)


def test_every_label_has_its_source_file_and_row(tmp_path: Path):
    path = tmp_path / "a.csv"
    path.write_text("x")
    labels = Annotations(
        (KIND, HOT), {"kind": np.array([-1, 2, 0]), "hot": np.array([[1], [-1], [0]])}
    )
    source = Source("a", pd.DataFrame({"heat": [1.0, 2.0, 3.0]}), labels)
    found = label_provenance([source], {"a": path})
    assert found[["row", "task", "label"]].to_numpy().tolist() == [
        [2, "kind", "k2"], [3, "kind", "k0"], [1, "hot", "hot=1"], [3, "hot", "hot=0"],
    ]  # fmt: skip
    assert set(found["sha256"]) == {hashlib.sha256(b"x").hexdigest()}
    assert label_provenance([source])["sha256"].isna().all()
