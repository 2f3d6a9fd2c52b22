"""Messages: sentences that the program writes, by code and values, and their texts by language."""

import json
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from labelweave.errors import LabelweaveError, listing, nearest

PLURALS = ("one", "other")


@dataclass(frozen=True)
class Message:
    """A sentence, by the key of its text in the catalogue and what the text names.

    Whoever shows it gives it in a language: `Messages.render`, or `str` in English.

    Attributes:
        code: the key of its text (`Messages`).
        values: numbers, names, lists of names, other messages.
    """

    code: str
    values: Mapping[str, "Value"] = field(default_factory=dict, hash=False)

    def __str__(self) -> str:
        """Return the sentence in English."""
        return Messages().render(self)


Text = Message | str  # a message, or words that stand as they are: a user's, an error's
Value = Message | str | int | float | tuple[Message | str, ...] | None


def some(names: Sequence[Text], limit: int = 8) -> tuple[Text, ...] | Message:
    """Return names for a message, cut after `limit` of them, with the count of the rest."""
    rest = len(names) - limit
    if rest <= 0:
        return tuple(names)
    return Message("format.more", {"names": tuple(names[:limit]), "n": rest})


class Messages:
    """The catalogue of one language.

    Args:
        language: a name of `languages`, for example ``en``.

    Raises:
        LabelweaveError: no catalogue of that language.
    """

    def __init__(self, language: str = "en") -> None:
        self.language = known_language(language)
        self.texts = catalogue(language)
        marks = {".": "format.decimal", ",": "format.group"}
        self.marks = str.maketrans({mark: str(self.texts[key]) for mark, key in marks.items()})
        self._filled = _Filled(self)

    def __call__(self, key: str, **values: object) -> str:
        """Return the text of a key with its values filled in; the number `n` decides the plural.

        A list becomes quoted names, a message becomes its text. Numbers with a format
        (``{lift:.3f}``) get the decimal and thousands marks of the language.
        """
        text = self.texts[key]
        if isinstance(text, Mapping):
            text = text["one" if values.get("n") in (1, "1") and "one" in text else "other"]
        return self._filled.vformat(str(text), (), values)

    def knows(self, message: Text) -> bool:
        """Return whether this language has a text for the message; plain strings have none."""
        return isinstance(message, Message) and message.code in self.texts

    def render(self, message: Text) -> str:
        """Return the message in this language; a plain string as it is."""
        if isinstance(message, str):
            return message
        if message.code in self.texts:
            return self(message.code, **message.values)
        values = self.list([f"{name} {value}" for name, value in message.values.items()])
        return f"{message.code}: {values}" if values else message.code

    def named(self, kind: str, name: object) -> str:
        """Return the display name of, for example, a metric; the name itself if it has no text."""
        key = f"{kind}.{name}"
        return self(key) if key in self.texts else str(name)

    def has(self, key: str) -> bool:
        """Return whether there is a text for the key."""
        return key in self.texts

    def fixed(self, value: float | None, digits: int = 3, sign: str = "") -> str:
        """Return a number in fixed decimals, "no data" for None; `sign` "+" shows every sign."""
        if value is None:
            return self("word.no_data")
        return f"{value:{sign}z,.{digits}f}".translate(self.marks)

    def count(self, number: float | None) -> str:
        """Return a whole number, its thousands grouped."""
        return self.fixed(number, 0)

    def short(self, value: float, sign: str = "") -> str:
        """Return a fraction in two decimals as the language writes it: ".61" or "0.61"."""
        text = self.fixed(value, 2, sign)
        zero = f"0{self('format.decimal')}"
        if self.texts["format.leading_zero"] == "no" and text.lstrip("+-").startswith(zero):
            return text.replace(zero, zero[1:], 1)
        return text

    def p(self, value: float | None) -> str:
        """Return a p-value in three decimals."""
        small = value is not None and value < 0.001
        return f"< {self.fixed(0.001)}" if small else self.fixed(value)

    def share(self, part: float | None, whole: float | None) -> str:
        """Return a part of a whole in percent."""
        if part is None or not whole:
            return self("word.no_data")
        return self("format.percent", number=self.fixed(100 * part / whole, 0))

    def span(self, low: float | None, high: float | None, digits: int = 3, sign: str = "") -> str:
        """Return an interval; an end that is unknown stays open."""
        ends = {"low": self.fixed(low, digits, sign), "high": self.fixed(high, digits, sign)}
        if low is None or high is None:
            key = (
                "word.no_interval" if low is high else "format.to" if low is None else "format.from"
            )
            return self(key, **ends)
        return self("format.span", **ends)

    def names(self, names: Sequence[object], limit: int = 8) -> str:
        """Return quoted names as a list, cut after `limit` of them with the count of the rest."""
        shown = self.list([self("format.quoted", name=name) for name in names[:limit]])
        rest = len(names) - limit
        return self("format.more", names=shown, n=rest) if rest > 0 else shown

    def list(self, texts: Sequence[object]) -> str:
        """Return texts as a list."""
        return self("format.list").join(map(str, texts))

    @property
    def stop(self) -> str:
        """The full stop of a sentence."""
        return self("format.stop").strip()


class _Filled(string.Formatter):
    """Fills in a text as one language writes numbers, lists and messages."""

    def __init__(self, say: Messages) -> None:
        self.say = say

    def format_field(self, value: Any, format_spec: str) -> str:
        if isinstance(value, Message):
            return self.say.render(value)
        if isinstance(value, list | tuple):
            return self.say.list([self._named(each) for each in value])
        marks = self.say.marks if format_spec else {}
        return format(value, format_spec).translate(marks)

    def _named(self, value: Text) -> str:
        if isinstance(value, Message):
            return self.say.render(value)
        return self.say("format.quoted", name=value)


def languages() -> list[str]:
    """Return the languages that reports are written in: those that have a catalogue."""
    folder = files("labelweave").joinpath("messages")
    return sorted(f.name.removesuffix(".json") for f in folder.iterdir() if f.name[-5:] == ".json")


def known_language(name: str) -> str:
    """Return the name of a language that has a catalogue.

    Raises:
        LabelweaveError: there is none.
    """
    if name not in languages():
        raise LabelweaveError(
            f"language: found '{name}', expected one of {listing(languages())}"
            f"{nearest(name, languages())}"
        )
    return name


@cache
def catalogue(language: str) -> dict[str, str | dict[str, str]]:
    """Return the texts of a language by key; a text with plurals is a table of its forms."""
    path = files("labelweave").joinpath("messages", f"{language}.json")
    return dict(_flat(json.loads(path.read_text(encoding="utf-8")), ""))


def _flat(tree: Mapping[str, Any], path: str) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in tree.items():
        if isinstance(value, Mapping) and not set(value) <= set(PLURALS):
            found += _flat(value, f"{path}{name}.")
        else:
            found.append((path + name, value))
    return found
