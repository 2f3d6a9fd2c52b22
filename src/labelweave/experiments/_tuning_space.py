"""What is searched: the spaces of all components that a study uses, as its file narrows them."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from labelweave._search_space import Choice, Range, Space
from labelweave.balancing import SAMPLERS, WEIGHTINGS
from labelweave.balancing._weighting import SEARCHED
from labelweave.errors import LabelweaveError, listing, nearest
from labelweave.experiments._config import StudyConfig, parse_study
from labelweave.fitting._methods import Method
from labelweave.losses._registry import coupling_space, default_weight
from labelweave.networks._backbones import backbone_space
from labelweave.training._config import TRAINING_SPACE

SECTIONS = ("training", "network", "couplings")
WEIGHTING, SAMPLING = "training.weighting", "training.sampling"
NAMED = (WEIGHTING, SAMPLING)  # their values name what has options
Settings = Mapping[str, Any]


def searched(config: StudyConfig, method: Method) -> dict[str, Range]:
    """Return the space of a study: the dotted key of every setting to the values to try.

    An option of a weighting, such as ``training.weighting.cagrad.c``, is tried where the weighting
    is. The study's ``tune: {search: ...}`` narrows a key, fixes it, or takes all that begin with it
    out (``false``).

    Raises:
        LabelweaveError: a key that is not searched, or values that the study cannot have.
    """
    own = tuple(f"training.{key}" for key in method.training)  # a method's own settings stand
    space = {
        key: _with_own(config, key, range_)
        for key, range_ in _declared(config, method)
        if not key.startswith(own)
    }
    for key, found in config.tune.search.items():
        place = f"key 'tune.search.{key}'"
        within = [known for known in space if known == key or known.startswith(f"{key}.")]
        if found is False and key in SECTIONS:
            pass  # nothing of it may be left
        elif not within or (key not in space and found is not False):
            known = [*SECTIONS, *space] if found is False else [*space]
            raise LabelweaveError(
                f"{place}: nothing to search, expected {listing(known, 20)}{nearest(key, known)}"
            )
        if found is False:
            space = {known: range_ for known, range_ in space.items() if known not in within}
            continue
        space[key] = space[key].narrowed(place, found)
        _check(config, space, key, place)
    return _of_tried(space)


def _declared(config: StudyConfig, method: Method) -> Iterator[tuple[str, Range]]:
    yield from _under("training", TRAINING_SPACE)
    yield SAMPLING, Choice(tuple(SAMPLERS))
    for name, options in SAMPLERS.items():
        yield from _under(f"{SAMPLING}.{name}", options.space)
    yield WEIGHTING, Choice(SEARCHED)
    for name, weighting in WEIGHTINGS.items():
        yield from _under(f"{WEIGHTING}.{name}", weighting.options.space)
    yield from _under("network", backbone_space(config.network.backbone))
    for name in method.couplings:
        own = method.options.get(name, {})
        free = {key: range_ for key, range_ in coupling_space(name).items() if key not in own}
        yield from _under(f"couplings.{name}", free)


def _with_own(config: StudyConfig, key: str, range_: Range) -> Range:
    """Return a range with the study's own value among the values of a choice."""
    if not isinstance(range_, Choice) or named(key):
        return range_
    own = _value(config, key)
    return range_ if own in range_.values else Choice((own, *range_.values))


def _under(prefix: str, space: Space) -> Iterator[tuple[str, Range]]:
    for key, range_ in space.items():
        yield f"{prefix}.{key}", range_


def named(key: str) -> tuple[str, str] | None:
    """Return of an option's key, such as ``training.sampling.temperature.alpha``, whose it is.

    Returns:
        The setting and its value, of which it is an option; None = it is no such option.
    """
    for setting in NAMED:
        if key.startswith(f"{setting}."):
            return setting, key.split(".")[2]
    return None


def _of_tried(space: Mapping[str, Range]) -> dict[str, Range]:
    """Return the space without the options of what is not tried."""
    kept: dict[str, Range] = {}
    for key, range_ in space.items():
        of = named(key)
        if of is None or (of[0] in space and of[1] in space[of[0]].ends()):
            kept[key] = range_
    return kept


def _check(config: StudyConfig, space: Mapping[str, Range], key: str, place: str) -> None:
    content = config.model_dump(exclude_unset=True, mode="json")
    for value in space[key].ends():
        of = named(key)
        settings = {key: value} if of is None else {of[0]: of[1], key: value}
        parse_study(with_settings(content, settings), place)


def with_settings(content: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """Return the content of a study file with some settings replaced, by their dotted keys.

    Args:
        content: of the file; is not changed.
        settings: dotted key to value; an option of a weighting or sampling counts where that one
            is set.
    """
    changed = copy.deepcopy(dict(content))
    for key, value in settings.items():
        if named(key) is None:
            _put(changed, key.split("."), value)
    for key, value in settings.items():
        of = named(key)
        if of is not None and settings.get(of[0]) == of[1]:
            section, last = of[0].split(".")
            held = changed[section][last]
            options = dict(held[of[1]]) if isinstance(held, dict) else {}
            changed[section][last] = {of[1]: {**options, key.split(".")[3]: value}}
    return changed


def _put(content: dict[str, Any], path: Sequence[str], value: Any) -> None:
    *sections, last = path
    for section in sections:
        if not isinstance(content.get(section), dict):
            content[section] = {}
        content = content[section]
    content[last] = value


def current(config: StudyConfig, space: Mapping[str, Range]) -> dict[str, Any] | None:
    """Return the study's own settings as a point of the space; None where they lie outside it."""
    point: dict[str, Any] = {}
    for key, range_ in space.items():
        if named(key):
            continue
        value = _value(config, key)
        inside = (
            value in range_.values
            if isinstance(range_, Choice)
            else isinstance(value, int | float) and range_.low <= value <= range_.high
        )
        if not inside:
            return None
        point[key] = value
    return point


def _value(config: StudyConfig, key: str) -> Any:
    section, *names = key.split(".")
    if section == "couplings":
        name, option = names
        options = config.couplings.get(name, {})
        return options.get(option, default_weight(name, options) if option == "weight" else None)
    return getattr(getattr(config, section), names[0])
