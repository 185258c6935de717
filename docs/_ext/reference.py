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
    if isinstance(thing, int) and name.isupper():
        # Flags are bits.
        value = (
            f"{thing:#o}" if thing.bit_count() == 1 and thing >= 0o100 and "_" in name else thing
        )
        return [f".. py:data:: {name}", f"   :value: {value}", ""]
    return [f".. autodata:: {name}", "   :no-value:", ""]


def kind(module: ModuleType, name: str) -> str:
    thing = getattr(module, name)
    return "Classes" if isinstance(thing, type) else "Functions" if callable(thing) else "Constants"


def heading(text: str, line: str) -> list[str]:
    return [text, line * len(text), ""]


def module_page(module: ModuleType) -> str:
    """All of a module, functions first."""
    lines = heading(module.__name__, "=")
    lines += [f".. automodule:: {module.__name__}", ""]
    lines += [f".. py:currentmodule:: {module.__name__}", ""]
    for wanted in ("Functions", "Classes", "Constants"):
        names = [name for name in module.__all__ if kind(module, name) == wanted]
        lines += heading(wanted, "-") if names else []
        for name in names:
            lines += entry(module, name)
    return "\n".join(lines)


def group_page(group: str, names: list[str]) -> str:
    """Some names of the package itself."""
    lines = [*heading(group, "="), f".. py:currentmodule:: {sysv_ipc_rs.__name__}", ""]
    for name in names:
        lines += entry(sysv_ipc_rs, name)
    return "\n".join(lines)


def pages() -> Iterator[tuple[str, str]]:
    """(name, text) of every page but the index."""
    groups: dict[str, list[str]] = {group: [] for group in [*GROUPS, "More"]}
    for name in sysv_ipc_rs.__all__:
        groups[group_of(name)].append(name)
    for group, names in groups.items():
        if names:
            yield group.lower().replace(" ", "_"), group_page(group, names)
    for module in modules():
        yield module.__name__, module_page(module)


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


def check(_: Sphinx, env: BuildEnvironment) -> None:
    known = env.get_domain("py").objects
    for name in public_names():
        if name not in known:
            log.warning("the reference lacks %s", name)


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("builder-inited", write)
    app.connect("env-check-consistency", check)
    return {"parallel_read_safe": True}
