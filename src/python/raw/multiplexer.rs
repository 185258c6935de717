//! `ipc(2)`, routed to the separate calls: most kernels have no other way.

use nix::errno::Errno;
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyMemoryView, PySlice};

use super::ints::{SizeT, UInt};
use super::{answer, msg, parts, sem, shm};
use crate::python::wait::Timeout;

const SEMOP: u32 = 1;
const SEMGET: u32 = 2;
const SEMCTL: u32 = 3;
const SEMTIMEDOP: u32 = 4;
const MSGSND: u32 = 11;
const MSGRCV: u32 = 12;
const MSGGET: u32 = 13;
const MSGCTL: u32 = 14;
const SHMAT: u32 = 21;
const SHMDT: u32 = 22;
const SHMGET: u32 = 23;
const SHMCTL: u32 = 24;

/// The multiplexer of all calls, each known by its number, and made in the way of its own function.
///
/// ====  ==========  =======  ============  ============  ======================  =======
/// call              first    second        third         ptr                     fifth
/// ====  ==========  =======  ============  ============  ======================  =======
///    1  SEMOP       semid    nsops                       sops
///    2  SEMGET      key      nsems         semflg
///    3  SEMCTL      semid    semnum        cmd           arg
///    4  SEMTIMEDOP  semid    nsops                       sops                    timeout
///   11  MSGSND      msqid    msgsz         msgflg        `(mtype, mtext)`
///   12  MSGRCV      msqid    msgsz         msgflg                                msgtyp
///   13  MSGGET      key      msgflg
///   14  MSGCTL      msqid    cmd                         buf
///   21  SHMAT       shmid    shmflg                      shmaddr
///   22  SHMDT                                            shmaddr
///   23  SHMGET      key      size          shmflg
///   24  SHMCTL      shmid    cmd                         buf
/// ====  ==========  =======  ============  ============  ======================  =======
///
/// Args:
///     call: Which call.
///     first: See the table; what is empty there is not looked at.
///     second: See the table; nsops and msgsz take so many of the operations and bytes that `ptr`
///         has.
///     third: See the table.
///     ptr: The object that the call's own function takes.
///     fifth: See the table.
///
/// Returns:
///     What the call's own function gives; SHMAT the address.
///
/// Raises:
///     OSError: ENOSYS for a number that is no call; else as the call's own function.
///     ValueError: nsops or msgsz is more than `ptr` has.
///
/// See ipc(2).
#[pyfunction]
pub(super) fn ipc<'py>(
    py: Python<'py>,
    call: UInt,
    first: &Bound<'py, PyAny>,
    second: &Bound<'py, PyAny>,
    third: &Bound<'py, PyAny>,
    ptr: &Bound<'py, PyAny>,
    fifth: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let given = (!ptr.is_none()).then_some(ptr);
    match call.0 {
        SEMOP => operate(py, first, second, ptr, Timeout::Endless)?,
        SEMTIMEDOP => operate(py, first, second, ptr, fifth.extract()?)?,
        MSGSND => send(py, first, second, third, ptr)?,
        SHMDT => shm::shmdt(py, ptr.extract()?)?,
        SEMCTL => {
            let (semid, semnum, cmd) = (first.extract()?, second.extract()?, third.extract()?);
            return sem::semctl(py, semid, semnum, cmd, given);
        }
        MSGCTL => return msg::msgctl(py, first.extract()?, second.extract()?, given),
        SHMCTL => return shm::shmctl(py, first.extract()?, second.extract()?, given),
        MSGRCV => {
            let (msqid, msgsz) = (first.extract()?, second.extract()?);
            return msg::msgrcv(py, msqid, msgsz, fifth.extract()?, third.extract()?)?
                .into_bound_py_any(py);
        }
        SEMGET => {
            return sem::semget(py, first.extract()?, second.extract()?, third.extract()?)?
                .into_bound_py_any(py);
        }
        MSGGET => {
            return msg::msgget(py, first.extract()?, second.extract()?)?.into_bound_py_any(py);
        }
        SHMGET => {
            return shm::shmget(py, first.extract()?, second.extract()?, third.extract()?)?
                .into_bound_py_any(py);
        }
        SHMAT => {
            return shm::shmat(py, first.extract()?, ptr.extract()?, second.extract()?)?
                .into_bound_py_any(py);
        }
        _ => answer(py, Err(Errno::ENOSYS))?,
    }
    Ok(py.None().into_bound(py))
}

fn operate(
    py: Python<'_>,
    semid: &Bound<'_, PyAny>,
    nsops: &Bound<'_, PyAny>,
    sops: &Bound<'_, PyAny>,
    timeout: Timeout,
) -> PyResult<()> {
    let (semid, nsops) = (semid.extract()?, nsops.extract()?);
    let ops = sem::operations(sops)?;
    let count = first("nsops", nsops, ops.len())?;
    sem::operate(py, semid, &ops[..count], timeout)
}

fn send(
    py: Python<'_>,
    msqid: &Bound<'_, PyAny>,
    msgsz: &Bound<'_, PyAny>,
    msgflg: &Bound<'_, PyAny>,
    message: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let (msqid, msgsz, msgflg) = (msqid.extract()?, msgsz.extract()?, msgflg.extract()?);
    let [mtype, mtext] = parts(message, "a message is (mtype, mtext)")?;
    let mtype = mtype.extract()?;
    let bytes = PyMemoryView::from(&mtext)?.call_method1("cast", ("B",))?;
    let count = first("msgsz", msgsz, bytes.len()?)?;
    let mtext = bytes.get_item(PySlice::new(py, 0, count.cast_signed(), 1))?;
    msg::msgsnd(py, msqid, mtype, &mtext, msgflg)
}

/// How many are to be taken of those that are there.
fn first(name: &str, wanted: SizeT, there: usize) -> PyResult<usize> {
    if wanted.0 <= there {
        return Ok(wanted.0);
    }
    Err(PyValueError::new_err(format!("{name} is {}, but ptr has {there}", wanted.0)))
}
