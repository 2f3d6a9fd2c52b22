"""A module for many small steps."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn


class Direct(nn.Module):
    """Its buffers and modules are attributes as any other.

    `nn.Module.__getattr__`, by which they are found otherwise, takes longer than a sum of tensors.
    """

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Add a buffer."""
        super().register_buffer(name, tensor, persistent)
        self.__dict__[name] = tensor

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if isinstance(value, nn.Module):
            self.__dict__[name] = value

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "Direct":
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self.__dict__.update(self._buffers)
        return self

    def hold(self, **buffers: Tensor) -> None:
        """Keep constants as buffers that are not saved."""
        for name, buffer in buffers.items():
            self.register_buffer(name, buffer.clone(), persistent=False)
