"""Knowledge: tables written down by an expert, and published ones that ship with the package."""

from labelweave.relations.knowledge.known import KnownTable, known_table, known_tables
from labelweave.relations.knowledge.noisy_or_reading import read_noisy_or, read_relations
from labelweave.relations.knowledge.reading import read_knowledge

__all__ = [
    "KnownTable",
    "known_table",
    "known_tables",
    "read_knowledge",
    "read_noisy_or",
    "read_relations",
]
