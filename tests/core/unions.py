"""What a discriminated union holds, and what it should hold."""

from typing import get_args


def members(union):
    """The classes of a union such as AnyLoss."""
    return get_args(get_args(union)[0])


def concrete(cls):
    """All subclasses, at any depth, that declare a type of their own."""
    found = set()
    for sub in cls.__subclasses__():
        found |= concrete(sub)
        if "type" in sub.__annotations__:
            found.add(sub)
    return found
