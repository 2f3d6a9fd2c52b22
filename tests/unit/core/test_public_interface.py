"""The names that users may rely on: the list, tab completion, and a docstring for each."""

import inspect
import subprocess
import sys
from importlib import import_module

import pytest

import labelweave

TOP = [
    "Annotations",
    "Binary",
    "LabelweaveError",
    "Model",
    "MultiTaskClassifier",
    "Multiclass",
    "Multilabel",
    "NoisyOr",
    "Relatedness",
    "Relation",
    "Source",
    "Study",
    "TrainingError",
    "read_knowledge",
    "read_table",
    "relate",
    "trust",
]
PACKAGES = {
    "data": """BatchShares Collection Coverage EncodedImageColumn Encoder ImageColumn ImageFormat
        InputEncoder Inputs MediaColumn Part RowStore Scale Source StoredInputs
        TableEncoder TextColumn TokenColumn encoder_from_dict leak_check
        prepare prepare_sources row_weights scatter split_rows token_column""",
    "datasets": """DataSet Reader described_cases find_reader write_digits write_leaves
        write_named""",
    "fitting": """METHODS FitConfig Method Predictor Rows Split check_split find_method
        find_relatedness fit load_model make_training_split mislabelled_table with_relations""",
    "tables": "SUFFIXES infer_tasks read_folder read_table table_source",
}


def test_the_top_names_are_those_of_the_list_and_complete_by_tab() -> None:
    assert labelweave.__all__ == TOP
    assert set(TOP) <= set(dir(labelweave))
    with pytest.raises(AttributeError, match="no attribute 'Studdy'"):
        labelweave.Studdy  # noqa: B018


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_exports_the_names_of_the_list(package: str) -> None:
    assert sorted(import_module(f"labelweave.{package}").__all__) == sorted(
        PACKAGES[package].split()
    )


@pytest.mark.parametrize("name", TOP)
def test_every_top_name_has_a_docstring(name: str) -> None:
    described = getattr(labelweave, name)
    assert len(inspect.getdoc(described) or "") > 40
    if inspect.isfunction(described):
        text = inspect.getdoc(described) or ""
        missing = [each for each in inspect.signature(described).parameters if each not in text]
        assert missing == []


def test_importing_labelweave_or_its_data_sets_loads_no_reader() -> None:
    code = (
        "import sys, labelweave; assert 'torch' not in sys.modules; import labelweave.datasets;"
        "print(sorted(m.rpartition('.')[2] for m in sys.modules if 'labelweave.datasets.' in m))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "['_official', '_registry', '_writing']"
