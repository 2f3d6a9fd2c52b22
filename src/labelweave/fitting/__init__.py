"""Fit a method on a split: the one trainer."""
