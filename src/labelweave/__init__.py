"""labelweave: one network for several tasks, from data sets that each carry some of the labels."""

__version__ = "0.1.0"
