"""One interpreter of a process has the package; the others are refused, and nothing breaks."""

import support

CODE = """
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters

IN_ANOTHER = '''
try:
    import sysv_ipc_rs
except ImportError:
    print("refused", flush=True)
'''

def another():
    made = interpreters.create()
    interpreters.run_string(made, IN_ANOTHER)
    interpreters.destroy(made)

import sysv_ipc_rs as ipc
semaphore = ipc.Semaphore.create()
with semaphore:
    another()
    assert semaphore.value == 0
another()
assert semaphore.value == 1
semaphore.remove()
"""


def test_another_interpreter_can_not_import_it() -> None:
    assert support.python_prints(CODE) == "refused\n" * 2
