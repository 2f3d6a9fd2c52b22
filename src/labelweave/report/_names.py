"""What methods are called in a report, for a reader who has not read the docs."""

from collections.abc import Sequence

from labelweave._messages import Messages


def method_name(method: str, say: Messages, *, first: bool = False) -> str:
    """Return "joined network" for ``multi_task``; a study's own method keeps its name.

    ``full.predictions`` has where its relations come from in brackets.

    Args:
        method: its name in results.
        say: the language.
        first: whether it begins a sentence, with a capital letter.
    """
    name, *parts = method.split(".")
    keys = [f"short.{name}", *(f"short_with.{part}" for part in parts)]
    if not all(say.has(key) for key in keys):
        return method
    found = "".join(say(key) for key in keys)
    return found[:1].upper() + found[1:] if first else found


def method_names(methods: Sequence[str], say: Messages) -> list[str]:
    """Return what each method is called."""
    return [method_name(method, say) for method in methods]
