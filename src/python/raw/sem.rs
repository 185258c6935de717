//! `ftok` and the calls of semaphore sets.

use std::ffi::c_int;

use libc::{
    GETALL, GETNCNT, GETPID, GETVAL, GETZCNT, IPC_INFO, IPC_SET, IPC_STAT, SEM_INFO, SEM_STAT,
    SEM_STAT_ANY, SETALL, SETVAL, sembuf,
};
use nix::errno::Errno;
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use super::ints::{Int, Key, UShort};
use super::structs::{Sembuf, SemidDs, Seminfo};
use super::{answer, argument, detached, elements, new_values, parts};
use crate::ipc::Control;
use crate::python::collect::list;
use crate::python::convert::file_key;
use crate::python::wait::Timeout;
use crate::sem::SemaphoreSet;
use crate::sys;
use crate::sys::signal::to_timespec;

/// A key made of a file's device and inode and of a project number.
///
/// Args:
///     pathname: The path of an existing file: `str`, `bytes` or path-like.
///     proj_id: The project number, of which the low 8 bits count.
///
/// Returns:
///     The key.
///
/// Raises:
///     OSError: The file can't be looked at.
///
/// See ftok(3).
#[pyfunction]
pub(super) fn ftok(pathname: &Bound<'_, PyAny>, proj_id: Int) -> PyResult<i32> {
    file_key(pathname, proj_id.0)
}

/// Opens or creates a semaphore set.
///
/// Args:
///     key: The key, or IPC_PRIVATE.
///     nsems: How many semaphores a new set has, or another must have at least.
///     semflg: IPC_CREAT, IPC_EXCL, and the mode of a new set.
///
/// Returns:
///     The id.
///
/// Raises:
///     FileExistsError: EEXIST.
///     FileNotFoundError: ENOENT.
///     PermissionError: EACCES.
///     OSError: EINVAL ENOMEM ENOSPC.
///
/// See semget(2).
#[pyfunction]
pub(super) fn semget(py: Python<'_>, key: Key, nsems: Int, semflg: Int) -> PyResult<i32> {
    answer(py, sys::semget(key.0, nsems.0, semflg.0))
}

/// Does operations on the semaphores of a set, all at once or not at all.
///
/// Args:
///     semid: The set's id.
///     sops: A sequence of Sembuf or `(sem_num, sem_op, sem_flg)`.
///
/// Raises:
///     BlockingIOError: EAGAIN, with IPC_NOWAIT.
///     InterruptedError: EINTR: a signal came while waiting; its handlers have run.
///     PermissionError: EACCES.
///     OSError: E2BIG EFBIG EIDRM EINVAL ENOMEM ERANGE.
///
/// See semop(2).
#[pyfunction]
pub(super) fn semop(py: Python<'_>, semid: Int, sops: &Bound<'_, PyAny>) -> PyResult<()> {
    operate(py, semid, &operations(sops)?, Timeout::Endless)
}

/// As `semop`, but waits no longer than a time.
///
/// Args:
///     semid: The set's id.
///     sops: A sequence of Sembuf or `(sem_num, sem_op, sem_flg)`.
///     timeout: Seconds; None for ever.
///
/// Raises:
///     BlockingIOError: EAGAIN: the time was up, or with IPC_NOWAIT.
///     InterruptedError: EINTR: a signal came while waiting; its handlers have run.
///     PermissionError: EACCES.
///     OSError: E2BIG EFBIG EIDRM EINVAL ENOMEM ERANGE.
///     ValueError: `timeout` is negative or NaN.
///
/// See semop(2), semtimedop.
#[pyfunction]
pub(super) fn semtimedop(
    py: Python<'_>,
    semid: Int,
    sops: &Bound<'_, PyAny>,
    timeout: Timeout,
) -> PyResult<()> {
    operate(py, semid, &operations(sops)?, timeout)
}

pub(super) fn operations(sops: &Bound<'_, PyAny>) -> PyResult<Vec<sembuf>> {
    elements(sops, |op| match op.cast::<Sembuf>() {
        Ok(op) => Ok(op.get().into()),
        Err(_) => unnamed(op),
    })
}

/// An operation that is no `Sembuf`.
fn unnamed(op: &Bound<'_, PyAny>) -> PyResult<sembuf> {
    let [sem_num, sem_op, sem_flg] =
        parts(op, "an operation is a Sembuf or (sem_num, sem_op, sem_flg)")?;
    let op = Sembuf {
        sem_num: sem_num.extract()?,
        sem_op: sem_op.extract()?,
        sem_flg: sem_flg.extract()?,
    };
    Ok((&op).into())
}

/// Whether the kernel may let it wait; it never waits to add.
fn may_wait(op: sembuf) -> bool {
    op.sem_op <= 0 && c_int::from(op.sem_flg) & libc::IPC_NOWAIT == 0
}

pub(super) fn operate(
    py: Python<'_>,
    semid: Int,
    ops: &[sembuf],
    timeout: Timeout,
) -> PyResult<()> {
    let call = || match timeout {
        Timeout::Endless => sys::semop(semid.0, ops),
        Timeout::Within(time) => sys::semtimedop(semid.0, ops, &to_timespec(time)),
    };
    if timeout != Timeout::ZERO && ops.iter().copied().any(may_wait) {
        detached(py, call)
    } else {
        answer(py, call())
    }
}

/// Controls a semaphore set.
///
/// Args:
///     semid: The set's id; with SEM_STAT and SEM_STAT_ANY its index in the kernel's table.
///     semnum: Which semaphore, with GETVAL, GETPID, GETNCNT, GETZCNT and SETVAL.
///     cmd: The command.
///     arg: An int with SETVAL, a sequence of as many ints as semaphores with SETALL, a SemidDs
///         with IPC_SET, which takes uid, gid and mode.
///
/// Returns:
///     An int with GETVAL, GETPID, GETNCNT, GETZCNT; a list of ints with GETALL; a SemidDs with
///     IPC_STAT; `(semid, SemidDs)` with SEM_STAT and SEM_STAT_ANY; `(highest index, Seminfo)`
///     with IPC_INFO and SEM_INFO; None with the others.
///
/// Raises:
///     PermissionError: EACCES EPERM.
///     OSError: EIDRM EINVAL ENOMEM ERANGE.
///     ValueError: SETALL got another number of values than the set has semaphores.
///
/// See semctl(2).
#[pyfunction]
#[pyo3(signature = (semid, semnum, cmd, arg=None))]
pub(super) fn semctl<'py>(
    py: Python<'py>,
    semid: Int,
    semnum: Int,
    cmd: Int,
    arg: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let (id, num) = (semid.0, semnum.0);
    match cmd.0 {
        GETVAL | GETPID | GETNCNT | GETZCNT => {
            return answer(py, sys::semctl(id, num, cmd.0))?.into_bound_py_any(py);
        }
        GETALL => return Ok(list(py, get_all(py, id)?)?.into_any()),
        IPC_STAT => {
            let (_, ds) = answer(py, sys::semctl_stat(id, IPC_STAT))?;
            return SemidDs::from(ds).into_bound_py_any(py);
        }
        SEM_STAT | SEM_STAT_ANY => {
            let (found, ds) = answer(py, sys::semctl_stat(id, cmd.0))?;
            return (found, SemidDs::from(ds)).into_bound_py_any(py);
        }
        IPC_INFO | SEM_INFO => {
            let (highest, info) = answer(py, sys::semctl_info(id, cmd.0))?;
            return (highest, Seminfo::from(info)).into_bound_py_any(py);
        }
        SETVAL => {
            let Int(value) = argument(arg, "SETVAL takes an int")?.extract()?;
            answer(py, sys::semctl_setval(id, num, value))?;
        }
        SETALL => set_all(py, id, argument(arg, "SETALL takes a sequence of ints")?)?,
        IPC_SET => {
            let ds = new_values::<SemidDs>(arg)?.get().into();
            answer(py, sys::semctl_set(id, &ds))?;
        }
        cmd => _ = answer(py, sys::semctl(id, num, cmd))?,
    }
    Ok(py.None().into_bound(py))
}

/// How many semaphores the set has, which the kernel must be asked before GETALL and SETALL.
fn size(py: Python<'_>, id: c_int) -> PyResult<usize> {
    let ds = answer(py, SemaphoreSet::stat_raw(id))?;
    Ok(usize::try_from(ds.sem_nsems).unwrap_or(usize::MAX))
}

fn get_all(py: Python<'_>, id: c_int) -> PyResult<Vec<u16>> {
    let size = size(py, id)?;
    answer(py, sys::semctl_getall(id, size).and_then(|values| values.ok_or(Errno::EIDRM)))
}

fn set_all(py: Python<'_>, id: c_int, values: &Bound<'_, PyAny>) -> PyResult<()> {
    let values = elements(values, |value| value.extract().map(|UShort(value)| value))?;
    let size = size(py, id)?;
    if values.len() != size {
        return Err(PyValueError::new_err(format!(
            "{} values for {size} semaphores; each needs one",
            values.len()
        )));
    }
    answer(py, sys::semctl_setall(id, &values))
}
