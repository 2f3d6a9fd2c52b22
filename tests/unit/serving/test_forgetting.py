"""Forgetting: the rows are gone from the next fit and from later ones, and the difference shown."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from command_line import CommandLine
from study_example import tables, write_study

import labelweave
from labelweave import LabelweaveError
from labelweave.experiments import Study
from labelweave.fitting._versions import current_version
from labelweave.serving import finish, forget
from labelweave.serving._final import Forgotten
from labelweave.serving._finish import with_sources, without_rows
from labelweave.serving._forgetting import _turned, forgotten_rows, read_rows
from labelweave.serving._update import UpdatedTask


def test_a_study_without_rows_lacks_exactly_these(tmp_path: Path) -> None:
    study = Study.from_file(write_study(tmp_path))
    names = [source.name for source in study.data.collection.sources]
    gone = [Forgotten(source=names[0], rows=[1, 3])]
    less = without_rows(study, gone)
    first, former = less.data.collection.sources[0], study.data.collection.sources[0]
    assert first.numbers.tolist() == [n for n in former.numbers.tolist() if n not in (1, 3)]
    assert first.inputs.iloc[0].equals(former.inputs.iloc[1])
    lost = forgotten_rows(study.data.collection, gone)
    assert lost.sum() == 2
    kept = study.data.collection.annotations[~lost]
    for name, codes in less.data.collection.annotations.labels.items():
        np.testing.assert_array_equal(codes, kept.labels[name])
    assert without_rows(study, []) is study
    shutil.copy(tmp_path / study.config.sources[0].path, tmp_path / "more.csv")
    more = with_sources(study, [{"path": str(tmp_path / "more.csv"), "name": "more"}])
    assert [s.name for s in more.data.collection.sources] == [*names, "more 1"]
    whole = without_rows(more, [Forgotten(source="more 1", rows=None)])
    assert [source.name for source in whole.data.collection.sources] == names


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("source,number\na,1\n", "found the columns 'source', 'number', expected 'source' and"),
        ("source,row\n", "found no data rows, expected at least one"),
        ("source,row\na,1\na,first\n", "line 2, column 'row': found 'first', expected the number"),
        ("source,row\na,0\n", "line 1, column 'row': found '0', expected the number of a row"),
    ],
)
def test_a_list_of_rows_that_makes_no_sense_is_refused(
    tmp_path: Path, content: str, said: str
) -> None:
    path = tmp_path / "gone.csv"
    path.write_text(content)
    with pytest.raises(LabelweaveError) as error:
        read_rows(path)
    assert said in str(error.value)


def test_rows_are_read_by_source_and_unknown_ones_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "gone.csv"
    path.write_text("source,row\nb,7\na,2\nb,5\nb,7\n")
    found = read_rows(path)
    assert [(each.source, each.rows) for each in found] == [("b", [5, 7]), ("a", [2])]
    collection = Study.from_file(write_study(tmp_path)).data.collection
    name = collection.sources[0].name
    with pytest.raises(LabelweaveError, match=r"^source: found 'zz', expected "):
        forgotten_rows(collection, [Forgotten(source="zz", rows=None)])
    with pytest.raises(LabelweaveError, match=f"^source '{name}': found no row 9999999"):
        forgotten_rows(collection, [Forgotten(source=name, rows=[9999999])])


def test_the_comparison_is_turned_from_with_to_without() -> None:
    found = UpdatedTask("kind", "earlier", "accuracy", 0.7, 0.9, 0.1, 0.3, 40, False)
    turned = _turned(found)
    assert (turned.before, turned.after) == (0.9, 0.7)
    assert (turned.low, turned.high, turned.falls) == (-0.3, -0.1, True)
    assert _turned(replace(found, low=None, high=None)).falls is False


def test_source_or_rows_and_labels_that_are_left_are_asked_for(
    finished_study: Path, network: Path, tmp_path: Path
) -> None:
    with pytest.raises(LabelweaveError, match=r"^found neither or both of source and rows"):
        forget(network, study=finished_study)
    names = [s.name for s in Study.from_file(finished_study).data.collection.sources]
    path = tmp_path / "gone.csv"
    rows = [f"{name},{row}" for name in names for row in range(1, len(tables()[0]) + 1)]
    path.write_text("\n".join(["source,row", *rows]))
    with pytest.raises(LabelweaveError, match=r"^task 'kind': all its labels are to be forgotten"):
        forget(network, study=finished_study, rows=path)


@pytest.mark.slow
def test_what_is_forgotten_stays_forgotten(
    finished_study: Path, tmp_path: Path, cli: CommandLine
) -> None:
    study = shutil.copytree(finished_study.parent, tmp_path / "study") / finished_study.name
    shutil.rmtree(study.parent / "runs/parts/model", ignore_errors=True)
    model = finish(study, "full")
    rows = labelweave.load(model).facts.rows
    name = Study.from_file(study).data.collection.sources[0].name
    (tmp_path / "gone.csv").write_text(f"source,row\n{name},1\n{name},2\n")
    answer = cli("forget", model, "--rows", tmp_path / "gone.csv")
    assert "Forgotten: 2 rows; labels: kind 2" in answer.out
    assert f"An earlier version still holds what it learnt from them: {model}" in answer.out
    assert ": kind, earlier rows: accuracy" in answer.out
    facts = labelweave.load(model).facts
    assert facts.rows == rows - 2
    assert [each.model_dump() for each in facts.forgotten] == [{"source": name, "rows": [1, 2]}]
    frame = tables()[0].drop(columns="kind")[:4]
    assert labelweave.load(model).seen(frame).tolist() == [False, False, True, True]
    finish(study, "full", new_version=True)
    assert current_version(model).number == 3
    assert labelweave.load(model).facts.rows == rows - 2
    shown = json.loads(cli("audit", model, "--json").out)
    assert shown["forgotten"] == [f"2 rows of {name}"]
