"""YAML of any origin: bounded in depth, size and numbers, with errors in one line."""

from typing import Any

import yaml

from labelweave._files import LARGEST_TEXT
from labelweave._parsing import DEEPEST, MOST_VALUES, bounded_values, check_number, too_deep
from labelweave.errors import LabelweaveError, printable

MOST_MERGED = 1000  # keys that `<<` may bring into a section
LONGEST_NUMBER = 100  # digits, or characters of a date
SCALARS = ("int", "float", "timestamp")


def parse_yaml(
    text: str, place: object, *, largest: int = LARGEST_TEXT, nodes: int = MOST_VALUES
) -> Any:
    """Return the content of a YAML text.

    Args:
        text: the text.
        place: what errors call it.
        largest: its greatest length.
        nodes: the most values that it may hold.

    Raises:
        LabelweaveError: no YAML, a key named twice, nested too deep, aliases or merged keys that
            grow without bound, or a number or date that cannot be; names the line where it is
            known.
    """
    if len(text) > largest:
        size = f"{largest >> 20} MB"
        raise LabelweaveError(f"{place}: found {len(text):,} characters, expected at most {size}")
    try:
        content = yaml.load(text, Loader=type("_Bounded", (_Loader,), {"most": nodes}))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}: " if mark else ""
        problem = getattr(error, "problem", None) or "a character that YAML does not know"
        raise LabelweaveError(f"{place}: {line}cannot be read as YAML: {problem}") from None
    except RecursionError:
        raise too_deep(place) from None
    for value in bounded_values(content, place, nodes):
        check_number(value, place, finite=False)
    return content


class _Loader(yaml.SafeLoader):
    """The safe loader, bounded, with a key named twice in one section as an error."""

    depth = nodes = 0
    most = MOST_VALUES

    def compose_node(self, parent: Any, index: Any) -> Any:
        self.depth += 1
        self.nodes += 1
        if self.depth > DEEPEST or self.nodes > self.most:
            deep = f"nested deeper than {DEEPEST}"
            problem = deep if self.depth > DEEPEST else f"more than {self.most:,} values"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=self.get_mark())
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        kind = str(node.tag).rpartition(":")[2]
        if kind in SCALARS and len(str(node.value)) > LONGEST_NUMBER:
            raise yaml.MarkedYAMLError(
                problem="a number that is too long", problem_mark=node.start_mark
            )
        try:
            return super().construct_object(node, deep)
        except (ValueError, OverflowError, AttributeError, KeyError, TypeError, IndexError):
            # a date that does not exist, or a tag such as !!int before something else
            found = printable(node.value) if isinstance(node.value, str) else "a section"
            raise yaml.MarkedYAMLError(
                problem=f"found '{found}', expected a value of the kind '{printable(kind)}'",
                problem_mark=node.start_mark,
            ) from None

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        merged = [v for k, v in node.value if k.tag == "tag:yaml.org,2002:merge"]
        sections = [
            each
            for value in merged
            for each in (value.value if isinstance(value, yaml.SequenceNode) else [value])
        ]
        grown = sum(len(each.value) for each in sections if isinstance(each, yaml.MappingNode))
        if len(sections) > MOST_MERGED or grown > MOST_MERGED:
            raise yaml.MarkedYAMLError(
                problem=f"'<<' merges more than {MOST_MERGED} keys", problem_mark=node.start_mark
            )
        super().flatten_mapping(node)
        if merged and len(node.value) > 2 * MOST_MERGED:  # through sections that merge others
            raise yaml.MarkedYAMLError(
                problem=f"'<<' merges more than {MOST_MERGED} keys", problem_mark=node.start_mark
            )

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        if not isinstance(node, yaml.MappingNode):
            raise yaml.MarkedYAMLError(
                problem="expected a section of keys", problem_mark=node.start_mark
            )
        return super().construct_mapping(node, deep)

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen: set[str] = set()
        for name, _ in node.value:
            text = str(name.value)
            if text in seen and isinstance(name, yaml.ScalarNode):
                raise yaml.MarkedYAMLError(
                    problem=f"key '{text}' appears twice", problem_mark=name.start_mark
                )
            seen.add(text)
        return node
