"""The reference: a page for each public module, made from the modules that are found.

The pages go into `reference/`, which is not kept. That no public name is missing is checked when
all has been read: a name without a place is a warning, and warnings are errors.
"""

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import sysv_ipc_rs
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging

log = logging.getLogger(__name__)

# The package's own names, on pages by what they are about; those that match nothing come last.
GROUPS = {
    "Keys": ("IPC_PRIVATE", "ftok", "key_from_name"),
    "Semaphores": ("Semaphore",),
    "Message queues": ("Message", "wakeup_signal"),
    "Shared memory": ("SharedMemory", "Attachment", "Atomic"),
    "Waiting for readiness": ("Readiness",),
    "Errors": (),
}


def modules() -> list[ModuleType]:
    """The public ones below the package; the command has pages of its own."""
    return [
        importlib.import_module(f"{sysv_ipc_rs.__name__}.{found.name}")
        for found in pkgutil.iter_modules(sysv_ipc_rs.__path__)
        if not found.name.startswith("_") and found.name != "cli"
    ]


def group_of(name: str) -> str:
    thing = getattr(sysv_ipc_rs, name)
    if isinstance(thing, type) and issubclass(thing, BaseException):
        return "Errors"
    found = [group for group, starts in GROUPS.items() if name.startswith(starts)]
    return found[0] if found else "More"


def entry(module: ModuleType, name: str) -> list[str]:
    """The reStructuredText of one public name."""
    thing = getattr(module, name)
    if isinstance(thing, type):
        inherits = "   :show-inheritance:" if issubclass(thing, BaseException) else "   :members:"
        return [f".. autoclass:: {name}", inherits, ""]
    if callable(thing):
        return [f".. autofunction:: {name}", ""]
    if isinstance(thing, int) and not name.islower():
        value = thing if thing < 10 or module is sysv_ipc_rs else f"{thing:#o}"
        return [f".. py:data:: {name}", f"   :value: {value}", ""]
    return [f".. autodata:: {name}", "   :no-value:", ""]


def page(title: str, module: ModuleType, names: list[str], intro: bool) -> str:
    about = [".. automodule:: " + module.__name__, ""] if intro else []
    lines = [title, "=" * len(title), "", *about, f".. py:currentmodule:: {module.__name__}", ""]
    for name in names:
        lines += entry(module, name)
    return "\n".join(lines)


def pages() -> Iterator[tuple[str, str]]:
    """(name, text) of every page but the index."""
    groups: dict[str, list[str]] = {group: [] for group in [*GROUPS, "More"]}
    for name in sysv_ipc_rs.__all__:
        groups[group_of(name)].append(name)
    for group, names in groups.items():
        if names:
            yield group.lower().replace(" ", "_"), page(group, sysv_ipc_rs, names, False)
    for module in modules():
        # A package's public name may live in a module of its own.
        yield module.__name__, page(module.__name__, module, list(module.__all__), True)


def write(app: Sphinx) -> None:
    folder = Path(app.srcdir) / "reference"
    folder.mkdir(exist_ok=True)
    made = dict(pages())
    tree = "\n".join(f"   {name}" for name in made)
    made["index"] = (
        "Reference\n=========\n\n.. automodule:: sysv_ipc_rs\n\n"
        f".. toctree::\n   :maxdepth: 1\n\n{tree}\n"
    )
    for old in folder.glob("*.rst"):
        if old.stem not in made:
            old.unlink()
    for name, text in made.items():
        file = folder / f"{name}.rst"
        if not file.exists() or file.read_text() != text:
            file.write_text(text)


def public_names() -> Iterator[str]:
    for module in [sysv_ipc_rs, *modules()]:
        for name in module.__all__:
            yield f"{module.__name__}.{name}"
            thing = getattr(module, name)
            if inspect.isclass(thing) and not issubclass(thing, BaseException):
                members = [member for member in vars(thing) if not member.startswith("_")]
                yield from (f"{module.__name__}.{name}.{member}" for member in members)


def check(app: Sphinx, env: BuildEnvironment) -> None:
    known = env.get_domain("py").objects  # type: ignore[attr-defined]
    for name in public_names():
        if name not in known:
            log.warning("the reference lacks %s", name)


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("builder-inited", write)
    app.connect("env-check-consistency", check)
    return {"parallel_read_safe": True}
