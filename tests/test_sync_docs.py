"""docs/sync.md shows what the code performs."""

from pathlib import Path
from typing import Any

import pytest
from sysv_ipc_rs import _core

PAGE = (Path(__file__).parent.parent / "docs" / "sync.md").read_text()
PROTOCOLS = _core.sync_protocols()


def operation(names: list[str], op: tuple[int, bool, int, str | None, bool, bool]) -> str:
    """As `lock -1 undo`."""
    index, slot, delta, number, undo, now = op
    where = "slot+<slot>" if slot else names[index]
    value = f"{delta:+d}" if delta else "0"
    if number:
        value = f"{'-' if delta < 0 else '+'}<{number}>"
    return " ".join(["`" + where, value, *["undo"] * undo, *["now"] * now]) + "`"


def act(names: list[str], step: dict[str, Any]) -> tuple[str, str]:
    """What kind of step it is, and what it does."""
    match step["act"]:
        case "wait" | "try" as kind:
            return f"{kind}s" if kind == "wait" else "tries", ", ".join(
                operation(names, op) for op in step["ops"]
            )
        case "read":
            index, number, most = step["read"]
            least = f", <{most}> at most" if most else ""
            return "reads", f"`<{number}>` = `{names[index]}`{least}"
        case _:
            return "", "the next `<slot>`; after `<last slot>` comes 0"


def table(steps: list[dict[str, Any]], names: list[str]) -> str:
    """A program, as the page has it."""

    def to(step: int | str) -> str:
        return f"**{step}**" if isinstance(step, str) else f"{step + 1}"

    lines = ["| | step | | operations | done | else |", "|---|---|---|---|---|---|"]
    for number, step in enumerate(steps, 1):
        kind, what = act(names, step)
        otherwise = to(step["again"])
        if step["act"] == "wait":
            otherwise += "".join(
                f"; {when} {to(step[key])}"
                for key, when in (("expired", "time up"), ("interrupted", "given up"))
                if step[key] != "expired"
            )
        done = to(step["done"])
        lines.append(f"| {number} | {step['name']} | {kind} | {what} | {done} | {otherwise} |")
    return "\n".join(lines)


def layout(semaphores: dict[str, int]) -> str:
    lines = ["| index | semaphore | first |", "|---|---|---|"]
    lines += [
        f"| {at} | `{name}` | {first} |" for at, (name, first) in enumerate(semaphores.items())
    ]
    return "\n".join(lines)


PROGRAMS = [(kind, name) for kind, protocol in PROTOCOLS.items() for name in protocol["programs"]]


@pytest.mark.parametrize(("kind", "name"), PROGRAMS)
def test_each_program_is_shown_as_it_runs(kind: str, name: str) -> None:
    protocol = PROTOCOLS[kind]
    shown = table(protocol["programs"][name], list(protocol["semaphores"]))
    assert f"\n**{name}**" in section(kind)
    assert f"\n{shown}\n" in section(kind), shown


@pytest.mark.parametrize("kind", PROTOCOLS)
def test_each_layout_is_shown(kind: str) -> None:
    shown = layout(PROTOCOLS[kind]["semaphores"])
    assert f"\n{shown}\n" in section(kind), shown


def section(kind: str) -> str:
    """What the page has under the heading that names the kind."""
    parts = PAGE.split("\n## ")
    return next(part for part in parts if kind in part.split("\n")[0].replace("`", "").split())
