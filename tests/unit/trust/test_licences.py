"""What licences say about a use, and the description of the training data in Croissant."""

import json
from datetime import date
from pathlib import Path

import pytest
from command_line import CommandLine
from study_example import write_study

from labelweave import LabelweaveError
from labelweave.importers._croissant import read_croissant
from labelweave.trust import DataColumn, DataFile, croissant, licence_answers
from labelweave.trust._audit import file_hash

# https://docs.mlcommons.org/croissant/docs/croissant-spec.html, "Required", and "distribution"
REQUIRED = {
    "@context", "@type", "conformsTo", "description", "license", "name", "url", "creator",
    "datePublished", "distribution",
}  # fmt: skip


@pytest.mark.parametrize(
    ("licence", "use", "allowed"),
    [
        ("CC-BY-4.0", "commercial", "yes"),
        ("cc-by-nc-4.0", "commercial", "no"),
        ("CC-BY-NC-SA-4.0", "research", "yes"),
        ("CC-BY-NC-4.0", None, "ask"),
        ("CC-BY-ND-4.0", "research", "ask"),
        ("own", "commercial", "yes"),
        ("ODbL-1.0", None, "yes"),
        ("House rules", "research", "ask"),
        (None, "commercial", "ask"),
    ],
)
def test_a_licence_allows_a_use_forbids_it_or_must_be_read(
    licence: str | None, use: str | None, allowed: str
) -> None:
    (found,) = licence_answers({"site": licence}, use)  # type: ignore[arg-type]
    assert found.allowed == allowed
    assert str(found).startswith(f"site: {licence or 'no licence recorded'}, ")
    assert ("NOT allowed" in str(found)) == (allowed == "no")


def test_an_unknown_licence_names_the_nearest_and_another_use_is_refused() -> None:
    (found,) = licence_answers({"site": "CC-BY-40"})
    assert "CC-BY-4.0" in found.reason
    with pytest.raises(
        LabelweaveError,
        match=r"^use: found 'comercial', expected 'commercial', 'research'; did you mean "
        r"'commercial'\?$",
    ):
        licence_answers({"site": "own"}, "comercial")  # type: ignore[arg-type]


def test_a_description_has_all_that_croissant_requires_and_is_read_again(tmp_path: Path) -> None:
    table = tmp_path / "parts.csv"
    table.write_text("Länge,kind,surname\n1.5,gear,Nakamura\n", encoding="utf-8")
    columns = [DataColumn("Länge", "length", "number"), DataColumn("kind", "kind", label=True)]
    files = [DataFile("site_a", table, "parts.csv", columns, "CC-BY-4.0")]
    made = croissant(
        "parts", files, description="Parts.", url="https://example.org", creator="Lab",
        published=date(2026, 11, 29),
    )  # fmt: skip
    assert made.keys() >= REQUIRED
    assert made["@type"] == "sc:Dataset"
    assert made["conformsTo"] == "http://mlcommons.org/croissant/1.0"
    assert made["license"] == ["https://spdx.org/licenses/CC-BY-4.0.html"]
    (file,) = made["distribution"]
    assert file["sha256"] == file_hash(table)
    assert file["encodingFormat"] == "text/csv"
    assert file.keys() >= {"@id", "name", "contentUrl", "contentSize"}
    path = tmp_path / "croissant.json"
    path.write_text(json.dumps(made, ensure_ascii=False), encoding="utf-8")
    assert "Nakamura" not in path.read_text(encoding="utf-8")
    again = read_croissant(path)
    assert again.name == "parts"
    assert again.files[0].path == table
    assert again.files[0].columns == {"Länge": "length", "kind": "kind"}
    assert again.files[0].labels == ("kind",)


def test_a_description_needs_a_file_and_a_licence(tmp_path: Path) -> None:
    given = {"description": "", "url": "u", "creator": "c"}
    with pytest.raises(LabelweaveError, match=r"^croissant: found no file, expected at least one"):
        croissant("parts", [], **given)
    (tmp_path / "a.csv").write_text("x\n1\n")
    files = [DataFile("a", tmp_path / "a.csv", "a.csv", [])]
    with pytest.raises(LabelweaveError, match=r"^croissant: found no licence, expected --license"):
        croissant("parts", files, **given)


def test_the_command_describes_the_files_of_a_study(tmp_path: Path, cli: CommandLine) -> None:
    path = write_study(tmp_path)
    out = tmp_path / "croissant.json"
    asked = ["croissant", path, "--url", "https://example.org", "--creator", "Lab", "--out", out]
    assert cli.refused(*asked).startswith("croissant: found no licence")
    cli(*asked, "--license", "own")
    made = read_croissant(out)
    assert {label for file in made.files for label in file.labels} == {"kind", "round", "hole"}
    assert all(file.path.is_file() for file in made.files)
