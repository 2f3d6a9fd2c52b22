"""Attributes of a module that many small steps read."""

from typing import Generic, TypeVar

from torch import Tensor, nn

M = TypeVar("M", bound=nn.Module)


class Constant:
    """A buffer, found without the detour of `nn.Module.__getattr__`, which takes longer than a sum.

    It is a class attribute; `register_buffer` of its name sets it as usual.
    """

    def __set_name__(self, owner: type[nn.Module], name: str) -> None:
        self.name = name

    def __get__(self, module: nn.Module, owner: type[nn.Module] | None = None) -> Tensor:
        try:
            return module._buffers[self.name]  # type: ignore[return-value]
        except KeyError:
            raise AttributeError(self.name) from None


class Child(Generic[M]):
    """A module in a module, found as fast; an assignment to its name sets it as usual."""

    def __set_name__(self, owner: type[nn.Module], name: str) -> None:
        self.name = name

    def __get__(self, module: nn.Module, owner: type[nn.Module] | None = None) -> M:
        try:
            return module._modules[self.name]  # type: ignore[return-value]
        except KeyError:
            raise AttributeError(self.name) from None
