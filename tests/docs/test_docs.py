from pathlib import Path

from pydantic import BaseModel

from docs import generate
from labelweave.experiments import StudyConfig

ROOT = Path(__file__).parents[2]


def test_the_study_file_page_is_what_the_docstrings_say() -> None:
    assert (ROOT / "docs" / "reference" / "study-file.md").read_text(
        encoding="utf-8"
    ) == generate.page()


def test_the_study_file_page_explains_every_key() -> None:
    page = (ROOT / "docs" / "reference" / "study-file.md").read_text(encoding="utf-8")
    sections: list[type[BaseModel]] = [StudyConfig]
    while sections:
        section = sections.pop()
        for name, field in section.model_fields.items():
            assert f"| `{field.alias or name}` |" in page, f"{section.__name__}.{name}"
            for part in (field.annotation, *getattr(field.annotation, "__args__", ())):
                if isinstance(part, type) and issubclass(part, BaseModel):
                    sections.append(part)
