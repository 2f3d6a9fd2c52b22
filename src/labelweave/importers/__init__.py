"""Exports of annotation tools and data hubs as sources."""

from labelweave.importers._annotation_tools import read_annotations

__all__ = ["read_annotations"]
