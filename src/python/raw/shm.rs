//! The calls of shared memory.

use libc::{IPC_INFO, IPC_RMID, IPC_SET, IPC_STAT, SHM_LOCK, SHM_UNLOCK};
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;

use super::ints::{Address, Int, Key, SizeT};
use super::structs::{ShmInfo, ShmidDs, Shminfo};
use super::{answer, detached, new_values};
use crate::sys::{self, SHM_INFO, SHM_STAT, SHM_STAT_ANY, loose};

/// Opens or creates a shared memory segment.
///
/// Args:
///     key: The key, or IPC_PRIVATE.
///     size: How many bytes a new segment has, or another must have at least.
///     shmflg: IPC_CREAT, IPC_EXCL, SHM_HUGETLB, SHM_NORESERVE, and the mode of a new segment.
///
/// Returns:
///     The id.
///
/// Raises:
///     FileExistsError: EEXIST.
///     FileNotFoundError: ENOENT.
///     PermissionError: EACCES EPERM.
///     OSError: EINVAL ENFILE ENOMEM ENOSPC.
///
/// See shmget(2).
#[pyfunction]
pub(super) fn shmget(py: Python<'_>, key: Key, size: SizeT, shmflg: Int) -> PyResult<i32> {
    answer(py, sys::shmget(key.0, size.0, shmflg.0))
}

/// Maps a segment into this process.
///
/// The address is good for `ctypes` and the like until `shmdt`; nothing checks what is done with
/// it. SHM_REMAP replaces whatever is mapped at `shmaddr`, also memory that Python itself uses.
///
/// Args:
///     shmid: The segment's id.
///     shmaddr: Where; 0 for an address of the kernel's choice.
///     shmflg: SHM_RDONLY, SHM_EXEC, SHM_RND, SHM_REMAP.
///
/// Returns:
///     The address.
///
/// Raises:
///     PermissionError: EACCES.
///     OSError: EIDRM EINVAL ENOMEM.
///
/// See shmop(2), shmat.
#[pyfunction]
#[pyo3(
    signature = (shmid, shmaddr=Address::NULL, shmflg=Int(0)),
    text_signature = "(shmid, shmaddr=0, shmflg=0)"
)]
pub(super) fn shmat(py: Python<'_>, shmid: Int, shmaddr: Address, shmflg: Int) -> PyResult<usize> {
    answer(py, loose::attach(shmid.0, shmaddr.0, shmflg.0))
}

/// Unmaps what `shmat` of this module has mapped.
///
/// Args:
///     shmaddr: The address that `shmat` gave; any other is EINVAL, so no `Attachment` is ever
///         unmapped by this.
///
/// Raises:
///     OSError: EINVAL.
///
/// See shmop(2), shmdt.
#[pyfunction]
pub(super) fn shmdt(py: Python<'_>, shmaddr: Address) -> PyResult<()> {
    detached(py, || loose::detach(shmaddr.0))
}

/// Controls a shared memory segment.
///
/// Args:
///     shmid: The segment's id; with SHM_STAT and SHM_STAT_ANY its index in the kernel's table.
///     cmd: The command.
///     buf: A ShmidDs with IPC_SET, which takes uid, gid and mode.
///
/// Returns:
///     A ShmidDs with IPC_STAT; `(shmid, ShmidDs)` with SHM_STAT and SHM_STAT_ANY;
///     `(highest index, Shminfo)` with IPC_INFO; `(highest index, ShmInfo)` with SHM_INFO; None
///     with the others.
///
/// Raises:
///     PermissionError: EACCES EPERM.
///     OSError: EIDRM EINVAL ENOMEM.
///
/// See shmctl(2).
#[pyfunction]
#[pyo3(signature = (shmid, cmd, buf=None))]
pub(super) fn shmctl<'py>(
    py: Python<'py>,
    shmid: Int,
    cmd: Int,
    buf: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let id = shmid.0;
    match cmd.0 {
        IPC_STAT => {
            let (_, ds) = answer(py, sys::shmctl_stat(id, IPC_STAT))?;
            return ShmidDs::from(ds).into_bound_py_any(py);
        }
        SHM_STAT | SHM_STAT_ANY => {
            let (found, ds) = answer(py, sys::shmctl_stat(id, cmd.0))?;
            return (found, ShmidDs::from(ds)).into_bound_py_any(py);
        }
        IPC_INFO => {
            let (highest, info) = answer(py, sys::shmctl_ipc_info(id))?;
            return (highest, Shminfo::from(info)).into_bound_py_any(py);
        }
        SHM_INFO => {
            let (highest, info) = answer(py, sys::shmctl_shm_info(id))?;
            return (highest, ShmInfo::from(info)).into_bound_py_any(py);
        }
        IPC_SET => {
            let ds = new_values::<ShmidDs>(buf)?.get().into();
            answer(py, sys::shmctl_set(id, &ds))?;
        }
        // Slow where the segment is large.
        cmd @ (IPC_RMID | SHM_LOCK | SHM_UNLOCK) => {
            detached(py, || sys::shmctl(id, cmd))?;
        }
        cmd => _ = answer(py, sys::shmctl(id, cmd))?,
    }
    Ok(py.None().into_bound(py))
}
