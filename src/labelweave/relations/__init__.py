"""Relatedness of tasks: what it is, and where its tables come from."""

from labelweave.relations.counting import count_relation
from labelweave.relations.knowledge import read_knowledge
from labelweave.relations.product import multiply_in
from labelweave.relations.relation import Relation

__all__ = ["Relation", "count_relation", "multiply_in", "read_knowledge"]
