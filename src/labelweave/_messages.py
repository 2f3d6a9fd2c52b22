"""Remarks: sentences that a program writes and a report says in the reader's language."""

from collections.abc import Mapping, Sequence
from typing import Any, Self


class Message(str):
    """A sentence in English that knows what it says: a text's key in the catalogue, and its values.

    Everywhere else it is a text like any other.

    Args:
        code: the key of its text (`labelweave.report._messages`).
        values: what the text names: numbers, names, lists of names, remarks.

    Raises:
        KeyError: no such text, or one that names other values.
    """

    __slots__ = ("code", "values")
    code: str
    values: Mapping[str, Any]

    def __new__(cls, code: str, **values: Any) -> Self:
        """Make the English text."""
        # texts are the report's; imported here, for the report imports this class
        from labelweave.report._messages import Messages

        made = super().__new__(cls, Messages()(code, **values))
        made.code, made.values = code, values
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (self.code, self.values)

    def to_dict(self) -> dict[str, Any]:
        """Return key and values, JSON-able."""
        values = {name: _bare(value) for name, value in self.values.items()}
        return {"code": self.code, "values": values}


def _again(code: str, values: Mapping[str, Any]) -> Message:
    return Message(code, **values)


def _bare(value: Any) -> Any:
    if isinstance(value, Message):
        return value.to_dict()
    return [_bare(each) for each in value] if isinstance(value, list) else value


def some(names: Sequence[str], limit: int = 8) -> "list[str] | Message":
    """Return a list of names for a message, cut after `limit` of them with the count of the rest."""
    rest = len(names) - limit
    return Message("format.more", names=list(names[:limit]), n=rest) if rest > 0 else list(names)


def plain(value: Any) -> Any:
    """Return JSON-able values in which every remark stands as text, code and values."""
    if isinstance(value, Message):
        return {"text": str(value), **value.to_dict()}
    if isinstance(value, Mapping):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return value
