"""A trained model in use."""

__all__ = []
