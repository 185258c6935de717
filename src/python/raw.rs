//! `sysv_ipc_rs.raw`: the C API, one system call a function. Nothing is checked but that ints fit
//! their C types, and nothing is tried again.

use nix::errno::Errno;
use pyo3::PyClass;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;

use super::collect::collect;
use super::error::errno_error;
use super::wait::run_handlers;
use crate::sys;

mod constants;
mod ints;
mod msg;
mod multiplexer;
mod sem;
mod shm;
mod structs;

/// What a system call answered. A signal that ended it has its handlers run first.
fn answer<T>(py: Python<'_>, answer: sys::Result<T>) -> PyResult<T> {
    answer.map_err(|errno| match errno {
        Errno::EINTR => run_handlers(py).err().unwrap_or_else(|| errno_error(py, errno)),
        errno => errno_error(py, errno),
    })
}

/// What a system call answers that may wait or be slow.
fn detached<T: Send>(py: Python<'_>, call: impl FnOnce() -> sys::Result<T> + Send) -> PyResult<T> {
    let answered = py.detach(call);
    answer(py, answered)
}

/// The argument that a command needs.
fn argument<'a, 'py>(
    given: Option<&'a Bound<'py, PyAny>>,
    what: &'static str,
) -> PyResult<&'a Bound<'py, PyAny>> {
    given.ok_or_else(|| PyTypeError::new_err(what))
}

/// The struct that IPC_SET needs.
fn new_values<'a, 'py, T: PyClass>(
    given: Option<&'a Bound<'py, PyAny>>,
) -> PyResult<&'a Bound<'py, T>> {
    given
        .and_then(|given| given.cast().ok())
        .ok_or_else(|| PyTypeError::new_err(format!("IPC_SET takes a {}", <T as PyClass>::NAME)))
}

/// The members of a struct that is given as a tuple or alike.
fn parts<'py, const N: usize>(
    value: &Bound<'py, PyAny>,
    expected: &'static str,
) -> PyResult<[Bound<'py, PyAny>; N]> {
    let parts: Vec<_> = value.try_iter()?.take(N + 1).collect::<PyResult<_>>()?;
    parts.try_into().map_err(|_| PyValueError::new_err(expected))
}

/// Each element of a sequence. It has to have a length: what has none may be endless.
fn elements<'py, T>(
    values: &Bound<'py, PyAny>,
    element: impl Fn(&Bound<'py, PyAny>) -> PyResult<T>,
) -> PyResult<Vec<T>> {
    let length = values.len()?;
    collect(values.try_iter()?.take(length).map(|value| element(&value?)), 0)
}

/// The C API of System V IPC, one to one; import its names from `sysv_ipc_rs.raw`.
#[pymodule(submodule, module = "sysv_ipc_rs", gil_used = false)]
pub(super) mod raw {
    use pyo3::prelude::*;
    use pyo3::types::PyModule;

    #[pymodule_export]
    use super::msg::{msgctl, msgget, msgrcv, msgsnd};
    #[pymodule_export]
    use super::multiplexer::ipc;
    #[pymodule_export]
    use super::sem::{ftok, semctl, semget, semop, semtimedop};
    #[pymodule_export]
    use super::shm::{shmat, shmctl, shmdt, shmget};
    #[pymodule_export]
    use super::structs::{
        IpcPerm, Msginfo, MsqidDs, Sembuf, SemidDs, Seminfo, ShmInfo, ShmidDs, Shminfo,
    };

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        super::constants::add_to(module)?;
        // So that it can be imported from: `_core` is no package.
        let modules = module.py().import("sys")?.getattr("modules")?;
        modules.set_item("sysv_ipc_rs._core.raw", module)?;
        // The Python module says what is public.
        module.delattr("__all__")
    }
}
