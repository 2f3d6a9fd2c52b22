from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from study_example import content, tables, write_study

from labelweave.errors import LabelweaveError
from labelweave.experiments import Study, StudyConfig, parse_study, read_study_file

TOP = (
    "inputs network training couplings label_shift relatedness teachers learners budget name tasks "
    "sources relations split scatter methods seeds statistics label_curves label_next label_tools "
    "prices only tune output use language tracking"
)
TOP = ", ".join(f"'{key}'" for key in TOP.split())


def refused(**changes: Any) -> str:
    with pytest.raises(LabelweaveError) as error:
        parse_study(content(**changes), "study.yaml")
    message = str(error.value)
    assert "\n" not in message
    return message.removeprefix("study.yaml: ")


def test_a_study_file_survives_reading_and_writing() -> None:
    config = parse_study(content())
    assert parse_study(yaml.safe_load(yaml.safe_dump(config.model_dump(mode="json")))) == config


def test_unknown_keys_name_the_nearest() -> None:
    assert refused(seed=3) == f"key 'seed': no such key, expected {TOP}; did you mean 'seeds'?"
    assert refused(sources=[{"path": "a.csv", "inputz": ["x"]}]) == (
        "key 'sources.0.inputz': no such key, expected 'path', 'name', 'case', 'root', "
        "'options', 'rows', 'folders', 'inputs', 'exclude', 'identifier', 'format', 'unticked', "
        "'annotators', 'multiple', 'read', 'rename', "
        "'map', 'join', 'group', 'tasks', 'split', 'missing', 'license'; "
        "did you mean 'inputs'?"
    )
    assert refused(network={"hiden": [3]}) == (
        "key 'network.hiden': no such key, expected 'backbone', 'hidden', 'dropout', "
        "'shape', 'channels', 'config', 'pooling', 'weights', 'download', 'norm', 'frozen', "
        "'trunks'; did you mean 'hidden'?"
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"methods": ["ful"]},
            "key 'methods': no such method 'ful', expected 'single_task', 'multi_task', "
            "'co_annotation', 'distribution_matching', 'full', 'coupled', 'student', "
            "'distillation', 'post_hoc', 'oracle', 'shuffled_relations', 'strong_single_task', "
            "'best_single_task'; did you mean 'full'?",
        ),
        ({"methods": "full"}, "key 'methods': should be a valid list, found 'full'"),
        (
            {"couplings": {"co_anotation": {}}},
            "key 'couplings': no such coupling 'co_anotation', expected "
            "'distribution_matching', 'co_annotation', 'distillation'; did you mean "
            "'co_annotation'?",
        ),
        (
            {"training": {"sampling": "equall"}},
            "key 'training.sampling': no such sampling 'equall', expected 'proportional', "
            "'equal', 'temperature', 'round_robin', 'labels'; did you mean 'equal'?",
        ),
        (
            {"training": {"sampling": {"temperature": {"alfa": 0.5}}}},
            "key 'training.sampling': sampling 'temperature': no such option 'alfa', expected "
            "'balance', 'alpha'; did you mean 'alpha'?",
        ),
        (
            {"training": {"weighting": {"stch": {"mu": 0}}}},
            "key 'training.weighting': weighting 'stch': option 'mu' should be greater than or "
            "equal to 0.01, found 0",
        ),
        (
            {"methods": [{"method": "multi_task", "training": {"weighting": "mgda"}}]},
            "key 'methods.0': method 'multi_task' with its own training needs a 'name'",
        ),
        (
            {
                "methods": [
                    {"method": "single_task", "name": "s", "training": {"sampling": "equal"}}
                ]
            },
            "key 'methods.0': method 'single_task' has no joint training, found 'training'",
        ),
        (
            {"methods": [{"method": "full", "name": "s", "training": {"weighting": "mgdb"}}]},
            "key 'methods.0.training': no such weighting 'mgdb', expected 'sum', 'constant', "
            "'uncertainty', 'dwa', 'famo', 'stch', 'geometric_mean', 'upgrad', "
            "'pcgrad', 'cagrad', 'nash_mtl', 'mgda', 'aligned_mtl', 'config'; did you mean "
            "'mgda'?",
        ),
        (
            {"network": {"backbone": "mpl"}},
            "key 'network.backbone': no such backbone 'mpl', expected 'linear', 'mlp', 'cnn', "
            "'hf:...', 'timm:...', 'module:...'; did you mean 'mlp'?",
        ),
        (
            {"network": {"backbone": "cnn"}},
            "key 'network': the backbone 'cnn', and it alone, needs 'shape'; found none",
        ),
        (
            {"network": {"shape": [1, 8, 8]}},
            "key 'network': the backbone 'cnn', and it alone, needs 'shape'; found it for 'mlp'",
        ),
        ({"training": 3}, "key 'training': should be a section of keys, found 3"),
        (
            {"training": {"steps": 3, "epochs": 2}},
            "key 'training': found both steps and epochs, expected one of them",
        ),
        (
            {"training": {"learning_rate": float("nan")}},
            "key 'training.learning_rate': should be a finite number, found nan",
        ),
        (
            {"inputs": {"clip": float("inf")}},
            "key 'inputs.clip': should be a finite number, found inf",
        ),
        (
            {"split": {"test": 1.5}},
            "key 'split.test': found 1.5, expected a share below 1 or a whole number of rows",
        ),
        ({"seeds": 0}, "key 'seeds': found 0, expected at least one seed"),
        ({"seeds": []}, "key 'seeds': found [], expected at least one seed"),
        ({"seeds": [2, 2]}, "key 'seeds': found the seed 2 twice, expected it once"),
        ({"seeds": [-1]}, "key 'seeds': found the seed -1, expected 0 to 4294967295"),
        (
            {"sources": [{"path": "a/t.csv"}, {"path": "b/t.csv"}]},
            "key 'sources': two sources are called 't'; give each a different 'name'",
        ),
        (
            {"sources": [{"path": "a.csv", "inputs": [1]}]},
            "key 'sources.0.inputs.0': should be a valid string (write it in quotes), found 1",
        ),
        (
            {"tasks": [{"name": "a", "kind": "binary", "classes": ["x", "y"]}]},
            "key 'tasks.0': a binary task has no 'classes'",
        ),
        (
            {"tasks": [{"name": "a", "kind": "multilabel"}]},
            "key 'tasks.0': a multilabel task needs 'labels', the names of its columns",
        ),
        (
            {"relations": [{"source": "kind"}]},
            "key 'relations.0': counting from annotations needs 'targets' (or give a 'table')",
        ),
        ({"name": None}, "key 'name': missing"),
        (
            {"name": "../x"},
            "key 'name': should match pattern '^[A-Za-z0-9][A-Za-z0-9._-]*$', found '../x'",
        ),
    ],
)
def test_wrong_values_give_one_line(changes: dict[str, Any], message: str) -> None:
    assert refused(**changes) == message


def test_every_part_of_an_unreadable_file_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"

    def refused_text(text: str | bytes) -> str:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        with pytest.raises(LabelweaveError) as error:
            read_study_file(path)
        return str(error.value).removeprefix(f"{path}: ")

    empty = "found no keys, expected a study (see 'labelweave init')"
    assert refused_text("") == empty
    assert refused_text("- a\n") == empty
    assert refused_text("name: a\ntasks: [\n") == (
        "line 3: cannot be read as YAML: expected the node content, but found '<stream end>'"
    )
    assert refused_text("name: a\nseeds: 1\nname: b\n") == (
        "line 3: cannot be read as YAML: key 'name' appears twice"
    )
    assert refused_text("name: !!python/object:os.system []\n").startswith(
        "line 1: cannot be read as YAML: could not determine a constructor"
    )
    assert refused_text("name: Größe".encode("latin-1")) == "not a text file in UTF-8"
    path.unlink()
    with pytest.raises(LabelweaveError) as error:
        read_study_file(tmp_path / "stduy.yaml")
    assert str(error.value) == f"{tmp_path / 'stduy.yaml'}: no such study file"
    write_study(tmp_path)
    with pytest.raises(LabelweaveError) as error:
        read_study_file(tmp_path / "stduy.yaml")
    expected = f"{tmp_path / 'stduy.yaml'}: no such study file; did you mean 'study.yaml'?"
    assert str(error.value) == expected


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=4,
)


@given(st.sampled_from(sorted(StudyConfig.model_fields)), junk)
def test_whatever_stands_at_a_key_gives_a_study_or_one_line(key: str, value: object) -> None:
    message = ""
    try:
        parse_study(content() | {key: value})
    except LabelweaveError as error:
        message = str(error)
    assert "\n" not in message
    assert not message or message.startswith(f"study: key '{key}")


def described(path: Path) -> str:
    with pytest.raises(LabelweaveError) as error:
        Study.from_file(path).describe()
    return str(error.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tasks": None}, "key 'tasks': found none, expected at least one"),
        ({"relations": None}, "key 'methods': method 'full' needs relations, found none"),
        (
            {"methods": ["oracle"]},
            "key 'methods': method 'oracle' needs hidden labels (a 'scatter' section), found none",
        ),
        (
            {"training": {"patience": 2}},
            "early stopping (patience) needs validation rows, found none; "
            "set their number or share",
        ),
        (
            {"couplings": {"distribution_matching": {"from": "js"}}},
            "coupling 'distribution_matching': no such option 'from', expected 'weight', "
            "'smoothing', 'fade', 'form'; did you mean 'form'?",
        ),
        (
            {"couplings": {"distribution_matching": {"form": "jss"}}},
            "coupling 'distribution_matching': unknown form 'jss', expected 'symmetric', 'js', "
            "'source_to_target', 'target_to_source', 'paper'; did you mean 'js'?",
        ),
        (
            {"couplings": {"co_annotation": {"weight": -1}}},
            "coupling 'co_annotation': option 'weight' should be greater than or equal to 0, "
            "found -1",
        ),
        (
            {"relations": [{"table": "knowledge.csv", "source": "knd"}]},
            "key 'relations.0': no task 'knd', expected 'kind', 'form'; did you mean 'kind'?",
        ),
        (
            {"sources": [{"path": "a.csv", "inputs": ["kind"]}, {"path": "b.csv"}]},
            "a.csv: column 'kind' is a label column of task 'kind' and cannot be an input",
        ),
        (
            {
                "tasks": [
                    {"name": "kind"},
                    {"name": "form", "kind": "multilabel", "labels": ["round", "hola"]},
                ]
            },
            "task 'form': no table has a column 'hola'; did you mean 'hole'?",
        ),
        (
            {
                "tasks": [{"name": "kind", "classes": ["bolt", "disc", "rng"]}],
                "relations": None,
                "methods": None,
            },
            "a.csv: row 1, column 'kind': unknown label 'ring'; "
            "expected 'bolt', 'disc', 'rng'; did you mean 'rng'?",
        ),
        (
            {"training": {"accelerator": "mps"}},
            "training: accelerator 'mps' with precision '32-true' cannot be used here: ",
        ),
    ],
)
def test_check_finds_what_training_would(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    assert described(write_study(tmp_path, **changes)).startswith(message)


def test_a_table_that_is_not_there_names_the_nearest(tmp_path: Path) -> None:
    path = write_study(tmp_path, sources=[{"path": "aa.csv"}])
    expected = f"{tmp_path / 'aa.csv'}: no such file; did you mean 'a.csv'?"
    assert described(path) == expected


def test_labels_of_the_wrong_kind_are_named_with_their_row(tmp_path: Path) -> None:
    path = write_study(tmp_path)
    b = tables()[1].astype({"round": object})
    b.loc[4, "round"] = "yess"
    b.to_csv(tmp_path / "b.csv", index=False)
    assert described(path) == (
        "b.csv: row 5, column 'round': found 'yess', expected one of "
        "'1', 'true', 'yes', '0', 'false', 'no'; did you mean 'yes'?"
    )


@pytest.mark.parametrize("name", ["con", "NUL", "aux.parts", "com1", "parts."])
def test_a_name_that_no_folder_can_have_somewhere_is_refused(name: str) -> None:
    assert refused(name=name).endswith("expected a name that a folder can have on Windows too")
    assert parse_study({"name": "console"}).name == "console"
