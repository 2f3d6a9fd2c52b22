"""What a checker such as axe looks at, without a browser: names, order, roles and contrast."""

import itertools
import re
from html.parser import HTMLParser
from importlib.resources import files

import pytest
from report_example import example_results, with_value
from study_example import draw_nothing

from labelweave.report import write_html, write_slide
from labelweave.report._figures import BLACK, GREY, PALETTE

VOID = ("meta", "br", "wbr")
RESULTS = with_value(example_results(2, 5, 2, large_table=False))


class Element:
    def __init__(self, tag, attrs):
        self.tag, self.attrs, self.text = tag, dict(attrs), ""


class Elements(HTMLParser):
    """Every element of a page with its attributes and its text."""

    def __init__(self, text):
        super().__init__()
        self.found, self.open = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        element = Element(tag, attrs)
        self.found.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag):
        self.open.pop()

    def handle_data(self, data):
        for element in self.open:
            element.text += data

    def of(self, *tags):
        return [element for element in self.found if element.tag in tags]


@pytest.fixture(scope="module", params=["en", "ja"])
def page(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("accessible") / "report.html"
    write_html(RESULTS, path, request.param, draw_nothing)
    return request.param, Elements(path.read_text(encoding="utf-8"))


def test_a_page_has_a_language_a_title_and_landmarks(page):
    language, read = page
    assert read.of("html")[0].attrs["lang"] == language
    assert read.of("title")[0].text.strip()
    assert len(read.of("main")) == len(read.of("h1")) == len(read.of("header")) == 1
    assert read.of("nav")[0].attrs["aria-label"]
    scale = next(m.attrs["content"] for m in read.of("meta") if m.attrs.get("name") == "viewport")
    assert "user-scalable=no" not in scale
    assert "maximum-scale" not in scale


def test_headings_have_text_and_leave_out_no_level(page):
    _, read = page
    heads = read.of("h1", "h2", "h3", "h4", "h5", "h6")
    assert all(head.text.strip() for head in heads)
    levels = [int(head.tag[1]) for head in heads]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


def test_names_are_given_and_none_twice(page):
    _, read = page
    ids = [element.attrs["id"] for element in read.found if "id" in element.attrs]
    assert len(ids) == len(set(ids))
    for link in read.of("a"):
        assert link.text.strip()
        assert link.attrs["href"].removeprefix("#") in ids
    assert all(summary.text.strip() for summary in read.of("summary"))
    regions = [e.attrs["aria-label"] for e in read.found if e.attrs.get("role") == "region"]
    assert len(regions) == len(set(regions)) > 10
    for picture in (e for e in read.found if e.attrs.get("role") == "img"):
        assert picture.attrs["aria-label"].strip()


def test_what_scrolls_can_be_reached_by_keyboard_and_tables_have_heads(page):
    _, read = page
    for element in read.found:
        if element.attrs.get("class") == "scroll":
            assert element.attrs["tabindex"] == "0"
            assert element.attrs["role"] == "region"
    for head in read.of("th"):
        assert head.attrs.get("scope") in ("row", "col")
        assert head.text.strip()


def test_lists_hold_only_entries(page):
    _, read = page
    inside = []
    for element in read.found:
        if element.tag in ("ul", "ol", "li"):
            inside.append(element.tag)
    assert "li" in inside
    for before, after in itertools.pairwise(inside):
        assert not (before in ("ul", "ol") and after != "li")


def test_a_verdict_is_never_shown_by_its_colour_alone(page):
    _, read = page
    coloured = [e for e in read.found if e.attrs.get("class") in ("gain", "negative-transfer")]
    assert coloured
    for element in coloured:
        assert element.text.strip() in ("▲", "▼")
        assert element.attrs["aria-label"].strip()


def test_the_slide_is_accessible_too(tmp_path):
    write_slide(RESULTS, tmp_path / "slide.html", "en")
    read = Elements((tmp_path / "slide.html").read_text(encoding="utf-8"))
    assert len(read.of("h1")) == len(read.of("main")) == 1
    levels = [int(head.tag[1]) for head in read.of("h1", "h2", "h3")]
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    (picture,) = read.of("svg")
    assert picture.attrs["role"] == "img"
    assert picture.attrs["aria-label"]


def luminance(colour):
    """Relative luminance as WCAG 2 defines it."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_the_contrast_of_known_colours():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


def test_text_has_a_contrast_of_4_5_and_lines_of_3():
    css = files("labelweave.report").joinpath("templates", "page.css").read_text("utf-8")
    named = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", css))
    none = re.search(r"\.none \{ color: (#[0-9a-f]{6})", css)
    assert none is not None
    inks = [named["ink"], named["soft"], named["blue"], named["red"], none[1]]
    for ink in inks:
        assert contrast(ink, "#ffffff") >= 4.5, ink
        assert contrast(ink, named["pale"]) >= 4.5, ink
    shades = re.findall(r"\.s\d \{ background: (#[0-9a-f]{6})", css)
    assert len(shades) == 5
    assert all(contrast(named["ink"], shade) >= 4.5 for shade in shades)
    assert all(contrast(colour, "#ffffff") >= 3 for colour in (*PALETTE, BLACK, GREY))
