import itertools
import json
import pickle
import re
import string
from dataclasses import replace
from html.parser import HTMLParser
from importlib.resources import files

import pytest
from command_line import CommandLine
from report_example import example_results, with_value
from study_example import content

from labelweave._messages import Message, Messages, catalogue, some
from labelweave.errors import LabelweaveError
from labelweave.experiments import parse_study
from labelweave.fitting._methods import METHODS, find_method
from labelweave.report import _summary as summary_module
from labelweave.report import languages, write_html, write_markdown, write_summary
from labelweave.report._drawing import fonts_for
from labelweave.report._page import _title
from labelweave.results import Results

RESULTS = with_value(example_results(2, 5, 2, large_table=False))


def placeholders(text):
    forms = text.values() if isinstance(text, dict) else [text]
    return [{field for _, field, _, _ in string.Formatter().parse(f) if field} for f in forms]


class Visible(HTMLParser):
    """Collects the texts of a page that are neither style nor marked as English."""

    def __init__(self, text):
        super().__init__()
        self.hidden, self.open, self.texts = 0, [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag in ("meta", "br", "wbr"):
            return
        hides = tag == "style" or ("lang", "en") in attrs
        self.open.append(hides)
        self.hidden += hides
        self.texts += [value for name, value in attrs if name in ("aria-label", "title")]

    def handle_endtag(self, tag):
        self.hidden -= self.open.pop()

    def handle_data(self, data):
        if not self.hidden:
            self.texts.append(" ".join(data.split()))


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    for language in languages():
        write_html(RESULTS, folder / language, language)
    return {name: (folder / name).read_text(encoding="utf-8") for name in languages()}


@pytest.mark.parametrize("language", languages())
def test_every_language_has_the_same_texts_with_the_same_placeholders(language):
    english, other = catalogue("en"), catalogue(language)
    assert set(other) == set(english)
    for key, text in other.items():
        wanted = placeholders(english[key])[-1]
        assert all(found == wanted for found in placeholders(text)), key
        assert not isinstance(text, dict) or "other" in text, key


def test_every_key_in_the_code_has_a_text():
    folder = files("labelweave.report")
    sources = [*folder.iterdir(), *folder.joinpath("templates").iterdir()]
    code = "\n".join(f.read_text("utf-8") for f in sources if f.name.endswith((".py", ".j2")))
    keys = re.findall(r"""\b(?:t|say)\(\s*["']([a-z_]+\.[a-z_]+)["']""", code)
    assert len(set(keys)) > 100
    keys = {key for key in keys if not key.endswith("_") and f"'{key}' +" not in code}
    assert keys <= set(catalogue("en"))


def test_every_remark_in_the_code_has_a_text():
    folder = files("labelweave")
    code = "\n".join(path.read_text("utf-8") for path in folder.rglob("*.py"))
    keys = set(re.findall(r"""\bMessage\(\s*f?"([a-z_]+\.[a-z_]+)["{]""", code))
    assert len(keys) > 60
    texts = catalogue("en")
    assert all(key in texts or any(t.startswith(key) for t in texts) for key in keys)


def test_a_message_is_english_text_that_other_languages_translate():
    inner = Message("message.interval", {"mean": 1234.5, "low": 0.25, "high": 2.0})
    lift = Message("message.lift_base", {"lift": inner, "labels": 40})
    both = Message("message.not_above", {"lift": lift, "least": 0.0})
    assert str(both) == (
        "lift 1234.500 (0.250 to 2.000) nats over the base rate on 40 labels: not clearly above 0"
    )
    results = replace(RESULTS, notes=(both, "as it is"))
    kept = json.loads(results.to_json())["notes"]
    assert kept[0]["text"] == str(both)
    assert kept[1] == "as it is"
    assert Results.from_json(results.to_json()).notes == results.notes
    japanese = Messages("ja")
    assert "1234.500（0.250～2.000）ナット（ラベル40件）" in japanese.render(both)
    assert pickle.loads(pickle.dumps(both)) == both
    unknown = Message("message.none", {"n": 3})
    assert japanese.render(unknown) == "message.none: n 3"
    assert not japanese.knows(unknown)
    assert not japanese.knows("words")
    assert japanese.render("words") == "words"


def test_names_of_a_remark_are_quoted_and_cut():
    names = [f"c{i}" for i in range(10)]
    note = Message("note.columns", {"what": Message("note.constant"), "columns": some(names)})
    assert str(note) == (
        "input columns constant in training, dropped: 'c0', 'c1', 'c2', 'c3', 'c4', 'c5', 'c6', "
        "'c7' and 2 more"
    )
    assert "「c7」ほか2件" in Messages("ja").render(note)


@pytest.mark.slow
def test_remarks_are_reported_in_the_language_of_the_page(tmp_path):
    note = Message("note.one_seed")
    results = replace(RESULTS, notes=(note, "an old note"))
    for language in ("en", "ja"):
        write_html(results, tmp_path / language, language)
    english, japanese = ((tmp_path / name).read_text("utf-8") for name in ("en", "ja"))
    assert f"<li>{note}</li>" in english
    assert str(note) not in japanese
    assert f"<li>{Messages('ja').render(note)}</li>" in japanese
    assert '<li><span lang="en">an old note</span></li>' in japanese
    write_markdown(results, tmp_path / "report.md", "ja")
    assert Messages("ja").render(note) in (tmp_path / "report.md").read_text("utf-8")


def test_no_text_is_written_into_a_template():
    for file in files("labelweave.report").joinpath("templates").iterdir():
        if not file.name.endswith(".html.j2"):
            continue
        text = re.sub(r"\{%.*?%\}|\{\{.*?\}\}|<[^>]*>", " ", file.read_text("utf-8"), flags=re.S)
        assert set(re.findall(r"[A-Za-z]{2,}", text)) <= {"labelweave"}, file.name


@pytest.mark.parametrize("name", [*METHODS, "full.given", "full.all", "full.predictions.noise",
                                  "co_annotation.knowledge", "full.annotations"])  # fmt: skip
def test_the_titles_of_methods_are_those_of_the_study(name):
    assert _title(RESULTS, name, Messages("en")) == find_method(name).title
    assert _title(RESULTS, name, Messages("ja")) != find_method(name).title


def test_a_method_with_another_name_keeps_its_title():
    results = replace(RESULTS, method_titles={"full.mine": "my own"})
    assert _title(results, "full.mine", Messages("ja")) == "my own"
    assert _title(results, "other", Messages("en")) == "no description"


def test_a_page_says_its_language_and_no_english_sentence_is_left(pages):
    english = [t for text in catalogue("en").values()
               for t in (text.values() if isinstance(text, dict) else [text])]  # fmt: skip
    fixed = [part.strip() for text in english for part in re.split(r"\{\w+\}", text)]
    sentences = {part for part in fixed if part.count(" ") >= 2}
    assert len(sentences) > 60
    assert pages["ja"].startswith('<!DOCTYPE html>\n<html lang="ja">')
    shown = Visible(pages["ja"]).texts
    assert sum("\u3040" <= c <= "\u30ff" for text in shown for c in text) > 800
    for sentence in sentences:
        assert not any(sentence in text for text in shown), sentence


def test_both_languages_have_the_same_numbers(pages):
    numbers = [
        sorted(re.findall(r">([+-]?\d\.\d{3})<", page)) for page in (pages["en"], pages["ja"])
    ]
    assert numbers[0] == numbers[1]
    assert len(numbers[0]) > 100


def test_pages_are_accessible_by_their_form(pages):
    for page in pages.values():
        levels = [int(level) for level in re.findall(r"<h(\d)", page)]
        assert levels[0] == 1
        assert all(b <= a + 1 for a, b in itertools.pairwise(levels))
        assert re.findall(r"<th(?! scope=\"(?:col|row)\"|ead)[^>]*>", page) == []
        regions = re.findall(r'role="region" aria-label="([^"]*)"', page)
        assert page.count('class="scroll"') == page.count('tabindex="0" role="region"')
        assert len(set(regions)) == len(regions) > 10
        assert page.count("<svg") == page.count('<svg role="img" aria-label="')


def test_numbers_are_written_as_the_language_does(monkeypatch):
    english, japanese = Messages("en"), Messages("ja")
    assert english.fixed(1234.5, 1) == "1,234.5"
    assert english.fixed(-0.0004) == "0.000"
    assert (english.short(0.614), japanese.short(0.614)) == (".61", "0.61")
    assert english.short(-0.05, "+") == "-.05"
    assert (english.p(0.0001), english.p(0.25), english.p(None)) == ("< 0.001", "0.250", "no data")
    assert (english.share(1, 3), english.share(1, 0)) == ("33%", "no data")
    assert english.names(["a", "b", "c"], 2) == "'a', 'b' and 1 more"
    assert japanese.names(["a", "b", "c"], 2) == "「a」、「b」ほか1件"
    assert (english("count.tasks", n=1), english("count.tasks", n=2)) == ("1 task", "2 tasks")
    german = catalogue("en") | {"format.decimal": ",", "format.group": "."}
    monkeypatch.setattr("labelweave._messages.catalogue", lambda _: german)
    assert Messages("en").fixed(1234.5, 1) == "1.234,5"


def test_an_unknown_language_is_one_line():
    with pytest.raises(LabelweaveError) as error:
        Messages("jp")
    message = "language: found 'jp', expected one of 'en', 'ja'; did you mean 'ja'?"
    assert str(error.value) == message
    with pytest.raises(LabelweaveError) as error:
        parse_study(content(language="jp"))
    assert str(error.value) == (
        "study: key 'language': found 'jp', expected 'en', 'ja'; did you mean 'ja'?"
    )


def test_the_short_form_is_markdown_that_shows_every_name_as_it_is(tmp_path):
    results = Results.from_json(RESULTS.to_json().replace('"species"', '"a|b_*c*<i>"'))
    write_markdown(results, tmp_path / "report.md", "ja")
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "## 推奨: " in text
    rows = [line for line in text.splitlines() if line.startswith(r"| a\|b\_\*c\*\<i\> |")]
    assert len(rows) == 2
    tables = re.findall(r"(?:^\|.*\n)+", text, re.M)
    assert len(tables) == 3
    for table in tables:
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert len(widths) == 1


def test_the_slide_has_the_size_of_a_slide(tmp_path):
    from matplotlib.image import imread

    write_summary(RESULTS, tmp_path / "summary.png")
    picture = imread(tmp_path / "summary.png")
    assert picture.shape[:2] == (900, 1600)
    assert picture[..., :3].min() < 0.2


def test_without_a_font_the_slide_is_in_english_and_says_so(monkeypatch):
    monkeypatch.setattr("labelweave.report._drawing.findSystemFonts", list, raising=False)
    monkeypatch.setattr("labelweave.report._drawing._family_with", lambda _: None)
    assert fonts_for("abc ±▲") == ["DejaVu Sans"]
    assert fonts_for("日本") is None
    say, families, note = summary_module.legible(RESULTS, "ja")
    assert (say.language, families) == ("en", ["DejaVu Sans"])
    assert note == "no font for 'ja' on this machine: in English"


def test_lines_of_a_slide_lose_nothing_but_what_they_mark():
    text = "some words of plain text and " + "日本語の文" * 6
    lines = summary_module._lines(text, 20, 9)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert all(summary_module._lines(text, 20, 2)[-1].endswith(end) for end in "…")


@pytest.mark.slow
def test_report_writes_the_files_again_in_another_language(tmp_path, cli: CommandLine):
    (tmp_path / "results.json").write_text(RESULTS.to_json(), encoding="utf-8")
    answer = cli("report", tmp_path, "--language", "ja")
    names = ["report.html", "report.md", "slide.html", "summary.png", "results.csv"]
    assert answer.out.splitlines() == [f"Written: {tmp_path / name}" for name in names]
    assert answer.code == 0
    assert '<html lang="ja">' in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_bad_input_of_report_is_one_line(tmp_path, cli: CommandLine):
    path = tmp_path / "results.json"
    assert cli.refused("report", tmp_path) == (
        f"{path}: no such file, expected the results of a study ('labelweave run')"
    )
    path.write_text("{", encoding="utf-8")
    assert cli.refused("report", tmp_path) == (
        f"{path}: results: column 2: no JSON: Expecting property name enclosed in double quotes"
    )
    assert cli.refused("report", path) == f"{path}: a file, expected a study's results folder"
    path.write_text("[]", encoding="utf-8")
    message = f"{path}: results: found list, expected a table with 'study', 'tasks', 'methods'"
    assert cli.refused("report", tmp_path) == message
    path.write_text(RESULTS.to_json(), encoding="utf-8")
    assert cli.refused("report", tmp_path, "--language", "de") == (
        "language: found 'de', expected one of 'en', 'ja'; did you mean 'en'?"
    )
    assert sorted(file.name for file in tmp_path.iterdir()) == ["results.json"]
