"""Builds the extension with one fault after the other, and shows which test catches each.

    python tools/faults.py [NAME ...]

Run from the project's folder, in a Python that has the tests' packages. The project itself is not
changed: the faults are made in a copy below build/faults. The status is 1 if one is not caught.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

WORK = Path("build/faults").resolve()
TREE = WORK / "tree"
CARGO = {
    "CARGO_TARGET_DIR": str(WORK / "target"),
    "PYO3_PYTHON": sys.executable,
    "PYO3_BUILD_EXTENSION_MODULE": "1",
    "RUSTFLAGS": "-Awarnings",
    # Some faults are races, which slow code doesn't lose.
    "CARGO_PROFILE_DEV_OPT_LEVEL": "2",
}


class Fault(NamedTuple):
    """What is wrong, where, instead of what; and the tests that have to see it: of pytest, or one
    of cargo."""

    name: str
    file: str
    right: str
    wrong: str
    tests: tuple[str, ...]


FAULTS = [
    Fault(
        "memory is unmapped though a buffer was exported",
        "src/python/shm/mapping.rs",
        "Self::Exported(memory) | Self::Kept(memory) => (Self::Kept(memory), None),",
        "Self::Exported(memory) | Self::Kept(memory) => {\n"
        "                (Self::Released(Weak::new()), Some(memory))\n"
        "            }",
        ("tests/test_buffer_lifetime.py",),
    ),
    Fault(
        "a detached attachment forgets that a word keeps its memory",
        "src/python/shm/mapping.rs",
        "Arc::strong_count(&memory) > 1",
        "Arc::strong_count(&memory) > 2",
        ("tests/test_atomic.py",),
    ),
    Fault(
        "a word of shared memory need not be aligned",
        "src/python/shm/attachment.rs",
        "if offset.is_multiple_of(word.size()) {",
        "if true {",
        ("tests/test_atomic.py",),
    ),
    Fault(
        "a guard gives back twice",
        "src/sem/guard.rs",
        "if !self.is_ours() || !self.held.swap(false, Ordering::AcqRel) {\n"
        "            return Ok(());",
        "if !self.is_ours() {\n            return Ok(());",
        ("tests/test_semaphore_guard.py",),
    ),
    Fault(
        "a guard that is dropped gives nothing back",
        "src/sem/guard.rs",
        "if *self.held.get_mut() {",
        "if !*self.held.get_mut() {",
        ("tests/test_semaphore_guard.py",),
    ),
    Fault(
        "a guard gives back in a forked child",
        "src/sem/guard.rs",
        "if !self.is_ours() || !self.held.swap(false, Ordering::AcqRel) {\n"
        "            return Ok(());",
        "if !self.held.swap(false, Ordering::AcqRel) {\n            return Ok(());",
        ("tests/test_fork.py",),
    ),
    Fault(
        "a guard takes without SEM_UNDO",
        "src/sem/guard.rs",
        "Operation::new(index, -units, OperationFlags::UNDO)",
        "Operation::new(index, -units, OperationFlags::empty())",
        ("tests/test_semaphore_guard.py",),
    ),
    Fault(
        "a guard's end hides the body's exception",
        "src/python/sem/guard.rs",
        "Err(error) if raised.is_none() => return Err(error.into()),",
        "Err(error) if raised.is_none() || true => return Err(error.into()),",
        ("tests/test_semaphore_guard.py",),
    ),
    Fault(
        "a constructor without memory leaves its object behind",
        "src/python/handle.rs",
        "inspect_err(|_| drop(remove()))",
        "inspect_err(|_| drop(remove))",
        ("tests/test_no_memory.py",),
    ),
    Fault(
        "handlers of signals interrupt each other's waits without end",
        "src/python/wait.rs",
        "if nested >= NESTED_MAX {",
        "if nested == u32::MAX {",
        ("tests/test_recursion.py",),
    ),
    Fault(
        "the timer does not fire again",
        "src/wait.rs",
        "timer.start(time, REFIRE)?;",
        "timer.start(time, Duration::ZERO)?;",
        ("cargo", "a_signal_that_comes_before_the_system_call_comes_again"),
    ),
    Fault(
        "the mask of signals is restored before the timer is deleted",
        "src/wait.rs",
        "drop(timer.take());\n            let _ = mask.apply(libc::SIG_SETMASK);",
        "let _ = mask.apply(libc::SIG_SETMASK);\n"
        "            std::thread::sleep(REFIRE * 2);\n"
        "            drop(timer.take());",
        ("tests/test_timed_queue.py::test_the_mask_is_restored_and_nothing_stays_pending",),
    ),
    Fault(
        "a signal that the program handles by now goes on to be used",
        "src/wait/signal.rs",
        "fn still_wakes(signal: c_int) -> bool {\n    disposition(signal) == Ok(Disposition::Ours)",
        "fn still_wakes(signal: c_int) -> bool {\n    disposition(signal).is_ok()",
        ("tests/test_wakeup_signal.py",),
    ),
    Fault(
        "a signal that some threads block is taken for the wakeups",
        "src/wait/signal.rs",
        "!masks.iter().any(|mask| mask & bit(signal) != 0)\n            && ",
        "masks.len() < usize::MAX && ",
        ("tests/test_wakeup_signal.py",),
    ),
    Fault(
        "an interrupted wait runs no handlers",
        "src/python/wait.rs",
        "            answer => return Ok(answer),\n        }\n        run_handlers(py)?;",
        "            answer => return Ok(answer),\n        }",
        ("tests/test_queue_signals.py", "tests/test_waiting.py"),
    ),
    Fault(
        "what a handler raises loses the units that were taken just then",
        "src/python/sem.rs",
        "if answer.is_ok() {",
        "if answer.is_err() {",
        ("tests/test_waiting.py",),
    ),
    Fault(
        "a message is lost when there is no memory for it",
        "src/python/msg/transfer.rs",
        "let Err(errno) = incoming.give_back() else { return error };",
        "let Err(errno) = Err::<(), _>(Errno::ENOMEM) else { return error };",
        ("tests/test_queue_memory.py",),
    ),
    Fault(
        "clear does not look again",
        "src/readiness.rs",
        "match self.shared.watched.look() {\n            Ok(true)",
        "match self.shared.watched.look().map(|_| false) {\n            Ok(true)",
        ("tests/test_readiness.py",),
    ),
    Fault(
        "the watcher handles the program's signals",
        "src/wait/sleeper.rs",
        "let _ = SignalSet::all_but(signal.unwrap_or(0)).apply(libc::SIG_SETMASK);",
        "let _ = SignalSet::empty().apply(libc::SIG_SETMASK);",
        ("tests/test_readiness_process.py",),
    ),
    Fault(
        "units on the way to a coroutine are lost at close",
        "src/wait/stander.rs",
        "_ if state.closing => {\n                    self.discard(&mut state);",
        "_ if state.closing => {",
        ("tests/test_aio_semaphore.py",),
    ),
    Fault(
        "units on the way to a loop that never runs again are kept",
        "src/wait/stander.rs",
        "if time.timed_out() && state.outcome.is_some() {",
        "if false && time.timed_out() && state.outcome.is_some() {",
        ("tests/test_aio_loops.py",),
    ),
    Fault(
        "owner= does not look at the creator",
        "src/ipc.rs",
        "if uid == owner && cuid == owner {",
        "if uid == owner {",
        ("tests/test_permissions.py",),
    ),
    Fault(
        "the values of a larger set under the same id run over the room for them",
        "src/sys/values.rs",
        "libc::mprotect(start, len, ",
        "libc::mprotect(start, len + page, ",
        ("cargo", "of_a_set_of_another_size_nothing_is_read_or_set"),
    ),
    Fault(
        "open_or_create gives a set that is not initialised",
        "src/sem/create.rs",
        "if !deadline.passed() {\n            return Ok(Look::Pristine);",
        "if !deadline.passed() {\n            return Ok(Look::Ready(set));",
        ("tests/test_open_or_create.py",),
    ),
]


def copy() -> None:
    """The project's files, as they are now."""
    shutil.rmtree(TREE, ignore_errors=True)
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        text=True,
        check=True,
    )
    for name in listed.stdout.splitlines():
        if Path(name).is_file():
            (TREE / name).parent.mkdir(parents=True, exist_ok=True)
            # Not with its time: cargo would take it for what it built before.
            shutil.copy(name, TREE / name)


def build() -> None:
    command = ["cargo", "build", "--quiet", "--locked", "--lib", "--features", "python"]
    subprocess.run(command, cwd=TREE, env={**os.environ, **CARGO}, check=True)
    built = WORK / "target/debug/libsysv_ipc_rs.so"
    # Another file: an interpreter may still have the old one mapped.
    extension = TREE / "python/sysv_ipc_rs/_core.abi3.so"
    extension.unlink(missing_ok=True)
    shutil.copy2(built, extension)


def failed(tests: tuple[str, ...]) -> str:
    """The first test that fails, or how the whole run ends; nothing if all is well."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--timeout", "60", *tests]
    if tests[0] == "cargo":
        command = ["cargo", "test", "--quiet", "--locked", "--lib", *tests[1:]]
    environment = {**os.environ, **CARGO, "PYTHONPATH": str(TREE / "python")}
    # Where it hangs, children of its own are left.
    with tempfile.TemporaryFile("w+") as told:
        running = subprocess.Popen(
            command, cwd=TREE, env=environment, stdout=told, stderr=told, start_new_session=True
        )
        status = running.wait()
        with suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)
        told.seek(0)
        lines = told.read().splitlines()
    if status == 0:
        return ""
    for line in lines:
        if line.startswith(("FAILED", "ERROR", "---- ")):
            return line.split(" - ")[0]
    hung = [
        line.split()[-1] for line in lines if line.startswith('  File "') and " in test_" in line
    ]
    return f"{' '.join(tests)}: status {status}, in {hung[-1] if hung else 'no test'}"


def main() -> int:
    copy()
    build()
    chosen = [fault for fault in FAULTS if not sys.argv[1:] or fault.name in sys.argv[1:]]
    missed = 0
    for tests in sorted({fault.tests for fault in chosen}):
        if without := failed(tests):
            print(f"fails without any fault: {without}")
            return 1
    for fault in chosen:
        file = TREE / fault.file
        text = file.read_text()
        assert text.count(fault.right) == 1, f"{fault.file} has changed: {fault.name}"
        file.write_text(text.replace(fault.right, fault.wrong))
        build()
        caught = failed(fault.tests)
        file.write_text(text)
        missed += not caught
        print(f"{'caught' if caught else 'MISSED'}  {fault.name}\n        {caught}", flush=True)
    print(f"{len(chosen)} faults, {missed} missed")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
