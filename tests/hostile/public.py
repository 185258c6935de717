"""All public names: what the random caller has to reach."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import sysv_ipc_rs

MODULES = [
    sysv_ipc_rs,
    *(
        importlib.import_module(f"sysv_ipc_rs.{found.name}")
        for found in pkgutil.iter_modules(sysv_ipc_rs.__path__)
        if not found.name.startswith("_") and found.name != "cli"
    ),
]
# Of the helpers that a named tuple or a stat object has, these are public.
NOT_PRIVATE = {"_asdict", "_replace", "_make"}
# What classes have besides, which nobody calls.
NO_METHODS = {
    *("__annotations__", "__class_getitem__", "__dict__", "__final__", "__match_args__"),
    *("__module__", "__orig_bases__", "__slots__", "__static_attributes__", "__weakref__"),
    *("__abstractmethods__", "__parameters__", "__firstlineno__", "__getstate__"),
}


class Name(NamedTuple):
    """A function of a module, or an attribute of a class; `owner` is the class."""

    text: str
    thing: Any
    owner: type | None = None
    attribute: str = ""


def is_public(attribute: str) -> bool:
    if attribute in NO_METHODS or (attribute in dir(object) and attribute != "__eq__"):
        return False
    return not attribute.startswith("_") or attribute.startswith("__") or attribute in NOT_PRIVATE


def short(module: Any) -> str:
    """`sync.` of `sysv_ipc_rs.sync`, nothing of the package itself."""
    name: str = module.__name__
    return name.removeprefix("sysv_ipc_rs").removeprefix(".") + "."


def classes() -> dict[str, type]:
    """The public classes, but for the exceptions, as `module.Name`."""
    return {
        short(module) + name: thing
        for module in MODULES
        for name in module.__all__
        if isinstance(thing := getattr(module, name), type) and not issubclass(thing, BaseException)
    }


def names() -> Iterator[Name]:
    """Everything that can be called or asked for."""
    for module in MODULES:
        for name in module.__all__:
            thing = getattr(module, name)
            if not isinstance(thing, type) and callable(thing):
                yield Name(short(module) + name, thing)
    for text, owner in classes().items():
        yield Name(text, owner)
        for attribute in sorted(dir(owner)):
            if is_public(attribute):
                yield Name(f"{text}.{attribute}", getattr(owner, attribute), owner, attribute)


def exceptions() -> list[Callable[..., object]]:
    """The public exceptions, which can be made like any others."""
    return [
        thing
        for module in MODULES
        for name in module.__all__
        if isinstance(thing := getattr(module, name), type) and issubclass(thing, BaseException)
    ]
