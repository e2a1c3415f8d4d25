"""Compute fields of a frozen value when they are first asked for."""

from typing import TYPE_CHECKING, Protocol, TypeVar

__all__ = ["OnDemand", "Pending", "postpone"]


class Pending(Protocol):
    """Know the fields that a value is still without."""

    @property
    def names(self) -> frozenset[str]:
        """Return their names."""
        ...

    def value_of(self, name: str) -> object:
        """Return the value of a field: the same in whatever order they are asked for."""
        ...


class OnDemand:
    """Be the base of a frozen attrs class with slots, of which fields can be postponed.

    A postponed field is computed when it is first read, and kept. Comparing, hashing, printing,
    evolving and pickling read the fields, so none of them sees a difference. Two threads may both
    compute a field; the values are equal.
    """

    __slots__ = ("_pending",)

    if not TYPE_CHECKING:  # else a misspelt name would be no error for type checkers any more

        def __getattr__(self, name: str) -> object:
            # Reached only for an empty slot, and for a name that the class does not know.
            pending = None if name == "_pending" else getattr(self, "_pending", None)
            if pending is None or name not in pending.names:
                message = f"{type(self).__name__!r} object has no attribute {name!r}"
                raise AttributeError(message, name=name, obj=self)
            value = pending.value_of(name)
            object.__setattr__(self, name, value)
            return value


_Value = TypeVar("_Value", bound=OnDemand)


def postpone(value: _Value, pending: Pending) -> _Value:
    """Empty the fields that `pending` knows, and return the value; only its maker may do that."""
    object.__setattr__(value, "_pending", pending)
    for name in pending.names:
        object.__delattr__(value, name)
    return value
