"""Whether the licences of the training data allow a use."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from labelweave.errors import LabelweaveError, listing, nearest

Use = Literal["commercial", "research"]
Answer = Literal["yes", "no", "ask"]
OPEN = "allows any use"
NAMED = "allows any use that names the source"
ALIKE = "allows any use that names the source; what is made of the data may have to carry it, too"
NOT_COMMERCIAL = "forbids commercial use"
NOT_CHANGED = "forbids sharing what is made of the data; whether a model is that, is not settled"
# by SPDX identifier, in lower case: what it says, the answer for commercial use and for research
KNOWN: Mapping[str, tuple[str, Answer, Answer]] = {
    "own": ("own data", "yes", "yes"),
    "cc0-1.0": (OPEN, "yes", "yes"),
    "pddl-1.0": (OPEN, "yes", "yes"),
    "unlicense": (OPEN, "yes", "yes"),
    "mit": (NAMED, "yes", "yes"),
    "bsd-2-clause": (NAMED, "yes", "yes"),
    "bsd-3-clause": (NAMED, "yes", "yes"),
    "apache-2.0": (NAMED, "yes", "yes"),
    "odc-by-1.0": (NAMED, "yes", "yes"),
    "cdla-permissive-2.0": (NAMED, "yes", "yes"),
    "odbl-1.0": (ALIKE, "yes", "yes"),
    "cdla-sharing-1.0": (ALIKE, "yes", "yes"),
    **{f"cc-by-{v}": (NAMED, "yes", "yes") for v in ("2.0", "2.5", "3.0", "4.0")},
    **{f"cc-by-sa-{v}": (ALIKE, "yes", "yes") for v in ("2.0", "2.5", "3.0", "4.0")},
    **{
        f"cc-by-nc{sa}-{v}": (NOT_COMMERCIAL, "no", "yes")
        for sa in ("", "-sa")
        for v in ("2.0", "2.5", "3.0", "4.0")
    },
    **{f"cc-by-nd-{v}": (NOT_CHANGED, "ask", "ask") for v in ("2.0", "2.5", "3.0", "4.0")},
    **{f"cc-by-nc-nd-{v}": (NOT_COMMERCIAL, "no", "ask") for v in ("2.0", "2.5", "3.0", "4.0")},
}


@dataclass(frozen=True)
class LicenceAnswer:
    """Whether a source's licence allows a use.

    Attributes:
        source: the data set.
        licence: as the study file gives it; None = not given.
        use: what the model is for; None = not declared.
        allowed: ``yes``, ``no``, or ``ask``: a person must read the licence.
        reason: what it says.
    """

    source: str
    licence: str | None
    use: Use | None
    allowed: Answer
    reason: str

    def __str__(self) -> str:
        words = {"yes": "allowed", "no": "NOT allowed", "ask": "to be checked by a person"}
        named = "no licence recorded" if self.licence is None else self.licence
        use = "use not declared" if self.use is None else f"{self.use} use"
        return f"{self.source}: {named}, {use}: {words[self.allowed]} ({self.reason})"


def licence_answers(
    licences: Mapping[str, str | None], use: Use | None = None
) -> list[LicenceAnswer]:
    """Return for each source whether its licence allows a use. No legal advice: a reminder.

    Args:
        licences: by source an SPDX identifier such as ``CC-BY-4.0``, ``own`` for own data, another
            text, or None.
        use: ``commercial`` or ``research``; None = not declared.

    Raises:
        LabelweaveError: another use.
    """
    if use is not None and use not in get_args(Use):
        raise LabelweaveError(
            f"use: found '{use}', expected {listing(get_args(Use))}{nearest(use, get_args(Use))}"
        )
    return [_answer(source, licence, use) for source, licence in licences.items()]


def _answer(source: str, licence: str | None, use: Use | None) -> LicenceAnswer:
    if licence is None:
        return LicenceAnswer(source, None, use, "ask", "expected a key 'license' of the source")
    found = KNOWN.get(licence.strip().lower())
    if found is None:
        near = nearest(licence, [name.upper() for name in KNOWN])
        return LicenceAnswer(source, licence, use, "ask", f"its terms are not known here{near}")
    reason, commercial, research = found
    if use is None:
        same = commercial if commercial == research else "ask"
        return LicenceAnswer(source, licence, use, same, reason)
    return LicenceAnswer(source, licence, use, commercial if use == "commercial" else research,
                         reason)  # fmt: skip
