//! The calls of message queues.

use libc::{IPC_INFO, IPC_NOWAIT, IPC_SET, IPC_STAT, MSG_COPY, MSG_INFO, MSG_STAT};
use nix::errno::Errno;
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::PyMemoryError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use super::ints::{Int, Key, Long, SizeT};
use super::structs::{Msginfo, MsqidDs};
use super::{answer, detached, new_values};
use crate::msg::{Incoming, Outgoing, Room};
use crate::python::buffer::{self, Bytes, LONG_COPY};
use crate::python::msg::given_back;
use crate::sys::{self, MSG_STAT_ANY};

/// Opens or creates a message queue.
///
/// Args:
///     key: The key, or IPC_PRIVATE.
///     msgflg: IPC_CREAT, IPC_EXCL, and the mode of a new queue.
///
/// Returns:
///     The id.
///
/// Raises:
///     FileExistsError: EEXIST.
///     FileNotFoundError: ENOENT.
///     PermissionError: EACCES.
///     OSError: ENOMEM ENOSPC.
///
/// See msgget(2).
#[pyfunction]
pub(super) fn msgget(py: Python<'_>, key: Key, msgflg: Int) -> PyResult<i32> {
    answer(py, sys::msgget(key.0, msgflg.0))
}

/// Sends a message.
///
/// Args:
///     msqid: The queue's id.
///     mtype: The type, above 0.
///     mtext: The bytes: any contiguous buffer.
///     msgflg: IPC_NOWAIT.
///
/// Raises:
///     BlockingIOError: EAGAIN, with IPC_NOWAIT.
///     InterruptedError: EINTR: a signal came while waiting; its handlers have run.
///     PermissionError: EACCES.
///     OSError: EIDRM EINVAL ENOMEM.
///
/// See msgop(2), msgsnd.
#[pyfunction]
#[pyo3(
    signature = (msqid, mtype, mtext, msgflg=Int(0)),
    text_signature = "(msqid, mtype, mtext, msgflg=0)"
)]
pub(super) fn msgsnd(
    py: Python<'_>,
    msqid: Int,
    mtype: Long,
    mtext: &Bound<'_, PyAny>,
    msgflg: Int,
) -> PyResult<()> {
    send(py, msqid, mtype, &Bytes::new(mtext)?, msgflg)
}

#[inline(never)]
fn send(
    py: Python<'_>,
    msqid: Int,
    mtype: Long,
    mtext: &Bytes<'_, '_>,
    msgflg: Int,
) -> PyResult<()> {
    let mut room = Room::new();
    let mut message = Outgoing::bare(&mut room, msqid.0, mtype.0);
    mtext
        .send_with(py, &mut message)
        .map_err(|_| PyMemoryError::new_err("no memory for the message"))?;
    if msgflg.0 & IPC_NOWAIT == 0 || message.text_len() > LONG_COPY {
        detached(py, || message.call(msgflg.0))
    } else {
        answer(py, message.call(msgflg.0))
    }
}

/// Takes a message.
///
/// Args:
///     msqid: The queue's id.
///     msgsz: The most bytes it may have. Memory is used for those that it has: room for more
///         than 64 KiB is made, and the kernel called again, when such a message is there.
///     msgtyp: Which: 0 the first, above 0 the first of that type, below 0 the first of the lowest
///         type up to its absolute value; with MSG_COPY its place in the queue.
///     msgflg: IPC_NOWAIT, MSG_NOERROR, MSG_EXCEPT, MSG_COPY.
///
/// Returns:
///     `(mtype, mtext)`: its type and its bytes.
///
/// Raises:
///     InterruptedError: EINTR: a signal came while waiting; its handlers have run.
///     PermissionError: EACCES.
///     OSError: E2BIG EIDRM EINVAL ENOMSG ENOSYS.
///
/// See msgop(2), msgrcv.
#[pyfunction]
#[pyo3(
    signature = (msqid, msgsz, msgtyp=Long(0), msgflg=Int(0)),
    text_signature = "(msqid, msgsz, msgtyp=0, msgflg=0)"
)]
#[inline(never)]
pub(super) fn msgrcv(
    py: Python<'_>,
    msqid: Int,
    msgsz: SizeT,
    msgtyp: Long,
    msgflg: Int,
) -> PyResult<Bound<'_, PyTuple>> {
    let mut room = Room::new();
    let mut message =
        answer(py, Incoming::bare(&mut room, msqid.0, msgsz.0, msgtyp.0, msgflg.0, LONG_COPY))?;
    if msgflg.0 & IPC_NOWAIT == 0 {
        detached(py, || message.call(usize::MAX))?;
    } else {
        let received = match message.call(LONG_COPY) {
            Err(Errno::E2BIG) if msgsz.0 > LONG_COPY => py.detach(|| message.call(usize::MAX)),
            received => received,
        };
        answer(py, received)?;
    }
    buffer::new_message(py, message.mtype(), message.text()).map_err(|error| {
        if msgflg.0 & MSG_COPY == 0 { given_back(py, &message, error) } else { error }
    })
}

/// Controls a message queue.
///
/// Args:
///     msqid: The queue's id; with MSG_STAT and MSG_STAT_ANY its index in the kernel's table.
///     cmd: The command.
///     buf: A MsqidDs with IPC_SET, which takes uid, gid, mode and msg_qbytes.
///
/// Returns:
///     A MsqidDs with IPC_STAT; `(msqid, MsqidDs)` with MSG_STAT and MSG_STAT_ANY;
///     `(highest index, Msginfo)` with IPC_INFO and MSG_INFO; None with the others.
///
/// Raises:
///     PermissionError: EACCES EPERM.
///     OSError: EIDRM EINVAL.
///
/// See msgctl(2).
#[pyfunction]
#[pyo3(signature = (msqid, cmd, buf=None))]
pub(super) fn msgctl<'py>(
    py: Python<'py>,
    msqid: Int,
    cmd: Int,
    buf: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let id = msqid.0;
    match cmd.0 {
        IPC_STAT => {
            let (_, ds) = answer(py, sys::msgctl_stat(id, IPC_STAT))?;
            return MsqidDs::from(ds).into_bound_py_any(py);
        }
        MSG_STAT | MSG_STAT_ANY => {
            let (found, ds) = answer(py, sys::msgctl_stat(id, cmd.0))?;
            return (found, MsqidDs::from(ds)).into_bound_py_any(py);
        }
        IPC_INFO | MSG_INFO => {
            let (highest, info) = answer(py, sys::msgctl_info(id, cmd.0))?;
            return (highest, Msginfo::from(info)).into_bound_py_any(py);
        }
        IPC_SET => {
            let ds = new_values::<MsqidDs>(buf)?.get().into();
            answer(py, sys::msgctl_set(id, &ds))?;
        }
        cmd => _ = answer(py, sys::msgctl(id, cmd))?,
    }
    Ok(py.None().into_bound(py))
}
