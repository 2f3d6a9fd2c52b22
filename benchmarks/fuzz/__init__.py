"""Broken and hostile inputs, made from seeds: ``make fuzz``."""
