"""Which part of a coupled model brought what to each task."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class GainPart:
    """What a task loses on test rows where a part of the model is left out, nothing fitted again.

    Attributes:
        task: the task.
        part: ``all`` (everything but the task's own learners), ``relation A->B``,
            ``self-training``, ``learner NAME`` or ``network NAME``.
        log_loss: rise of the log-loss without the part, in nats.
        low: lower end of its interval.
        high: upper end.
        accuracy: fall of the accuracy without it.
        n: labelled rows.
    """

    task: str
    part: str
    log_loss: float
    low: float
    high: float
    accuracy: float
    n: int


@dataclass(frozen=True, kw_only=True)
class Teaching:
    """Which task taught which, of a method on the test rows of the first seed.

    Parts that can replace each other all show little, so they do not add up.

    Attributes:
        method: the coupled method.
        seed: the seed.
        parts: by task.
    """

    method: str
    seed: int
    parts: tuple[GainPart, ...]
