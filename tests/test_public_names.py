"""Every public name is documented, typed, and found where it says that it lives."""

import ast
import importlib
import importlib.metadata
import inspect
import pkgutil
import pydoc
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import support
import sysv_ipc_rs

ROOT = Path(__file__).parent.parent
PACKAGE = Path(sysv_ipc_rs.__file__).parent

MODULES = [
    sysv_ipc_rs,
    *(
        importlib.import_module(f"sysv_ipc_rs.{found.name}")
        for found in pkgutil.iter_modules(sysv_ipc_rs.__path__)
        if not found.name.startswith("_") and found.name != "cli"
    ),
]

# These can't fail; those of `system` only where there is no System V IPC at all.
NO_ERRORS = {
    *("Readiness.close", "PHPSemaphore.close", "Attachment.detach", "AtomicInteger.load"),
    *("ipc_namespace", "limits", "usage", "uses", "orphans", "suspects"),
    *("semaphore_sets", "message_queues", "shared_memory_segments"),
}
# These make no System V call.
NO_MANUAL_PAGE = {
    *("key_from_name", "Readiness.close", "Readiness.fileno", "orphans", "suspects"),
    *(f"Attachment.{name}" for name in ("read", "write", "fill", "atomic")),
    *("SharedMemory.read", "SharedMemory.write"),
    *(f"AtomicInteger.{name}" for name in ("load", "store", "add", "sub", "exchange")),
    "AtomicInteger.compare_exchange",
}


def public_things() -> Iterator[tuple[str, str, Any]]:
    """(module, name, thing) of classes and functions."""
    for module in MODULES:
        for name in module.__all__:
            thing = getattr(module, name)
            if callable(thing):
                yield module.__name__, name, thing


def members() -> Iterator[tuple[str, str, Any]]:
    """(module, qualified name, thing) of what public classes define; errors only inherit."""
    for module, name, thing in public_things():
        if isinstance(thing, type) and not issubclass(thing, BaseException):
            for member in sorted(vars(thing)):
                if not member.startswith("_"):
                    yield module, f"{name}.{member}", getattr(thing, member)


def is_native(thing: Any) -> bool:
    return not inspect.isfunction(thing) and not inspect.ismethod(thing)


THINGS = list(public_things())
MEMBERS = list(members())
# What the extension module defines and can be called with arguments; classes are made by methods.
NATIVE_CALLS = [
    (name, thing)
    for _, name, thing in [*THINGS, *MEMBERS]
    if callable(thing) and is_native(thing) and not isinstance(thing, type)
]


def ids(rows: list[Any]) -> list[str]:
    return [".".join(part for part in row if isinstance(part, str)) for row in rows]


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_modules_say_what_is_public(module: ModuleType) -> None:
    assert module.__doc__
    assert len(set(module.__all__)) == len(module.__all__)
    assert {name for name in module.__all__ if not hasattr(module, name)} == set()


@pytest.mark.parametrize(
    ("module", "name", "thing"), [*THINGS, *MEMBERS], ids=ids([*THINGS, *MEMBERS])
)
def test_every_public_name_says_what_it_means(module: str, name: str, thing: Any) -> None:
    doc = inspect.getdoc(thing)
    assert doc, f"{module}: {name} has no docstring"
    meaning = doc.strip().split("\n\n")[0]
    assert re.fullmatch(r"(?s)\S.{3,}[.:]", meaning), meaning
    assert meaning.splitlines()[0] in pydoc.plain(pydoc.render_doc(thing))


@pytest.mark.parametrize(("name", "thing"), NATIVE_CALLS, ids=ids(NATIVE_CALLS))
def test_every_call_says_how_it_fails_and_where_the_manual_is(name: str, thing: Any) -> None:
    doc = inspect.getdoc(thing) or ""
    assert name in NO_ERRORS or "\nRaises:\n" in doc
    assert name in NO_MANUAL_PAGE or re.search(r"\nSee .*\b\w+\([1-8]\)", doc, re.DOTALL)


@pytest.mark.parametrize(("name", "thing"), NATIVE_CALLS, ids=ids(NATIVE_CALLS))
def test_every_argument_is_explained(name: str, thing: Any) -> None:
    doc = inspect.getdoc(thing) or ""
    section = re.search(r"\nArgs:\n((?: {4}.*\n?)*)", doc)
    lines = re.findall(r"(?m)^ {4}([\w*, ]+):", section[1]) if section else []
    explained = {argument.strip(" *") for line in lines for argument in line.split(",")}
    wanted = set(inspect.signature(thing).parameters) - {"self", "cls"}
    assert wanted - explained == set(), f"{name} does not say what these are"


@pytest.mark.parametrize(("module", "name", "thing"), THINGS, ids=ids(THINGS))
def test_every_public_name_is_where_it_says(module: str, name: str, thing: Any) -> None:
    assert thing.__name__ == name
    assert getattr(sys.modules[thing.__module__], name) is thing
    if isinstance(thing, type):
        # A public module may be a package of private ones; the extension module is no such place.
        public = {found.__name__ for found in MODULES}
        assert thing.__module__.split("._")[0] in public, module
        assert thing.__module__ != "sysv_ipc_rs._core"


def stub_names(file: str) -> set[str]:
    names = set()
    for node in ast.parse((PACKAGE / file).read_text()).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            names.add(node.name)
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
        if isinstance(node, ast.ClassDef):
            for member in node.body:
                if isinstance(member, ast.FunctionDef):
                    names.add(f"{node.name}.{member.name}")
    return names


def test_every_public_name_is_in_the_stubs() -> None:
    core, own = vars(sys.modules["sysv_ipc_rs._core"]), ("compat", "raw")
    rows = [(module.rpartition(".")[2], name) for module, name, _ in [*THINGS, *MEMBERS]]
    native = {name for module, name in rows if module not in own and name.split(".")[0] in core}
    assert native - stub_names("_core.pyi") == set()
    for module in own:
        names = {name for place, name in rows if place == module}
        assert names - stub_names(f"{module}.pyi") == set()
    assert (PACKAGE / "py.typed").exists()


def test_the_version_is_that_of_the_installed_package() -> None:
    assert sysv_ipc_rs.__version__ == importlib.metadata.version("sysv-ipc-rs")


def test_the_module_needs_no_gil() -> None:
    if hasattr(sys, "_is_gil_enabled"):
        build = importlib.import_module("sysconfig").get_config_var("Py_GIL_DISABLED")
        assert sys._is_gil_enabled() != bool(build)
    assert "#[pymodule(gil_used = false)]" in (ROOT / "src" / "python.rs").read_text()


@pytest.mark.parametrize("module", ["aio", "compat", "interop", "raw", "sync", "system"])
def test_a_submodule_is_there_when_the_package_is_imported(module: str) -> None:
    code = f"import sys, sysv_ipc_rs; print(sysv_ipc_rs.{module}.__name__)"
    assert support.python_prints(code) == f"sysv_ipc_rs.{module}\n"
