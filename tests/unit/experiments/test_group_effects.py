"""What joining did to each group: from the runs of a study to its results and its page."""

from dataclasses import replace
from pathlib import Path

import pytest

from labelweave import LabelweaveError
from labelweave.experiments import Study
from labelweave.experiments._groups import finished_runs, group_effects, test_rows
from labelweave.experiments._sections import StatisticsSection
from labelweave.report import write_html, write_markdown
from labelweave.results import GroupEffect, GroupEffects, Results, read_results

test_rows.__test__ = False  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def found(trained: Path) -> tuple[Study, Results, GroupEffects]:
    study = Study.from_file(trained, statistics=StatisticsSection(by="colour", replicates=100))
    results = read_results(study.output)
    methods = [results.baseline, *results.coupled_methods]
    runs = {name: finished_runs(study.output, results, name) for name in methods}
    effects = group_effects(study.config, study.data, results, runs)
    assert effects is not None
    return study, results, effects


def test_every_joint_method_is_compared_in_every_group(
    found: tuple[Study, Results, GroupEffects],
) -> None:
    study, results, effects = found
    assert effects.column == "colour"
    cells = {(each.method, each.question, each.group): each for each in effects.effects}
    assert {method for method, _, _ in cells} == set(results.coupled_methods)
    assert {group for _, _, group in cells} == {"red", "blue"}
    method = results.coupled_methods[0]
    rows, places = test_rows(study.data, finished_runs(study.output, results, method))
    inside = (study.data.collection.inputs["colour"].iloc[places] == "red").to_numpy()
    truth = rows.labels("kind")
    seen = inside & (truth >= 0)
    right = rows.probabilities["kind"].argmax(axis=1) == truth
    each = cells[method, "kind", "red"]
    assert each.joint == pytest.approx(right[seen].mean())
    assert each.n == seen.sum()
    assert effects.sizes["red"] == inside.sum()
    assert each.low <= each.difference <= each.high


def test_results_with_groups_are_read_again_as_they_were(
    found: tuple[Study, Results, GroupEffects],
) -> None:
    _, results, effects = found
    again = Results.from_json(replace(results, groups=effects).to_json())
    assert again.groups == effects


@pytest.mark.parametrize("language", ["en", "ja"])
def test_a_group_that_is_hurt_is_in_the_verdict(
    found: tuple[Study, Results, GroupEffects], tmp_path: Path, language: str
) -> None:
    _, results, effects = found
    hurt = GroupEffect(
        method=results.recommended.shown, question="kind", group="<b>red", single=0.9, joint=0.7,
        difference=-0.2, low=-0.31, high=-0.1, n=40, verdict="negative transfer",
    )  # fmt: skip
    few = GroupEffect(method="full", question="kind", group="green")
    shown = replace(effects, effects=(hurt, few))
    assert shown.hurt(hurt.method) == (hurt,)
    write_html(replace(results, groups=shown), tmp_path / "page.html", language)
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    verdict = page[page.index('<section id="verdict"') : page.index('<section id="results"')]
    assert "&lt;b&gt;red" in verdict
    assert "20.0" in verdict
    assert "<b>red" not in page
    table = page[page.index('<section id="fairness"') : page.index('<section id="audit"')]
    assert ("fewer than 10" if language == "en" else "10件未満") in table
    write_markdown(replace(results, groups=shown), tmp_path / "page.md", language)
    assert "31" in (tmp_path / "page.md").read_text(encoding="utf-8")


def test_an_unknown_column_is_refused_before_any_run(trained: Path) -> None:
    with pytest.raises(
        LabelweaveError,
        match=r"^key 'statistics.by': found 'color', expected a column of the inputs, .*did you "
        r"mean 'colour'\?$",
    ):
        Study.from_file(trained, statistics=StatisticsSection(by="color"))
