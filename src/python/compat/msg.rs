//! `sysv_ipc.MessageQueue`.

use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering::Relaxed};

use libc::msqid_ds;
use nix::errno::Errno;
use pyo3::exceptions::{PyMemoryError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};

use super::arguments::{self, Key, MessageSize, MessageType};
use super::error::{self, Class};
use super::{NO_ID, change, check_flags, open_or_create};
use crate::ipc::{Control, PermissionChange, Permissions};
use crate::msg::{Incoming, MessageQueue as Queue, Outgoing, Room};
use crate::python::buffer::{self, Bytes, LONG_COPY};
use crate::python::convert::{self, Flag, ModeBits};
use crate::python::msg::{given_back, receive_waiting, send_until, try_raw};
use crate::python::wait::{Timeout, raise_late};
use crate::sys;
use crate::wait::Deadline;

const GONE: &str = "The queue no longer exists";
const NOT_AN_INT: &str = "The attribute must be an integer";

/// The exception for what the kernel answers to a call on an id.
#[cold]
fn failed(errno: Errno) -> PyErr {
    match errno {
        Errno::EINVAL | Errno::EIDRM => Class::Existential.with(Errno::EIDRM, GONE),
        Errno::EACCES | Errno::EPERM => Class::Permissions.with(errno, "Permission denied"),
        errno => error::common(errno),
    }
}

#[cold]
fn not_got(errno: Errno) -> PyErr {
    match errno {
        Errno::EEXIST => {
            Class::Existential.with(errno, "A queue with the specified key already exists")
        }
        Errno::ENOENT => Class::Existential.with(errno, "No queue exists with the specified key"),
        Errno::EACCES => Class::Permissions.with(errno, "Permission denied"),
        Errno::ENOSPC => {
            Class::Error.with(errno, "The system limit for message queues has been reached")
        }
        errno => error::common(errno),
    }
}

#[cold]
fn not_received(errno: Errno) -> PyErr {
    match errno {
        Errno::ENOMSG | Errno::EAGAIN => {
            Class::Busy.with(errno, "No available messages of the specified type")
        }
        errno => failed(errno),
    }
}

#[cold]
fn too_long(what: &str, most: impl std::fmt::Display) -> PyErr {
    PyValueError::new_err(format!("The message length exceeds queue's {what} ({most})"))
}

/// A message queue, as `sysv_ipc` has it.
///
/// Args:
///     key: Its key; None for a random one that nothing has, with IPC_CREX.
///     flags: 0 opens; IPC_CREAT opens or creates; IPC_CREX creates.
///     mode: Who may use a new queue, 0 to 0o777.
///     max_message_size: The longest message that this object sends or receives, in bytes.
///
/// Raises:
///     ExistentialError: There is none, or there is one, and should not be.
///     PermissionsError: Its mode forbids it.
///     ValueError: An argument is out of range; then nothing is created.
///
/// See msgget(2), msgop(2), msgctl(2).
#[pyclass(frozen, subclass, module = "sysv_ipc_rs.compat")]
#[derive(Debug)]
pub(in crate::python) struct MessageQueue {
    id: AtomicI32,
    key: AtomicI32,
    max_message_size: AtomicUsize,
}

impl MessageQueue {
    fn stat(&self) -> PyResult<msqid_ds> {
        Queue::stat_raw(self.id.load(Relaxed)).map_err(failed)
    }

    fn permissions(&self) -> PyResult<Permissions> {
        Ok(self.stat()?.msg_perm.into())
    }

    fn change(&self, what: PermissionChange) -> PyResult<()> {
        change::<Queue>(self.id.load(Relaxed), what).map_err(failed)
    }

    /// The exception for what the kernel answers to a message.
    #[cold]
    fn not_sent(&self, errno: Errno) -> PyErr {
        let id = self.id.load(Relaxed);
        match errno {
            Errno::EAGAIN => Class::Busy.with(
                errno,
                "The queue is full, or a system-wide limit on the number of queue messages has \
                 been reached",
            ),
            Errno::E2BIG => too_long("max_size", Queue::stat_raw(id).map_or(0, |ds| ds.msg_qbytes)),
            // Also of a message that is longer than MSGMAX.
            Errno::EINVAL if !Queue::is_gone(id) => error::common(errno),
            errno => failed(errno),
        }
    }

    fn check_fits(&self, len: usize) -> PyResult<()> {
        let most = self.max_message_size.load(Relaxed);
        if len > most { Err(too_long("max_message_size", most)) } else { Ok(()) }
    }

    /// Sends the message that `load` puts in.
    #[inline(never)]
    fn send_loaded<E>(
        &self,
        py: Python<'_>,
        block: Flag,
        mtype: i64,
        load: impl FnOnce(&mut Outgoing) -> Result<(), E>,
    ) -> PyResult<()> {
        let mut room = Room::new();
        let mut outgoing = Outgoing::bare(&mut room, self.id.load(Relaxed), mtype);
        load(&mut outgoing).map_err(|_| PyMemoryError::new_err("Out of memory"))?;
        let sent = if block.0 {
            send_until(py, &outgoing, Timeout::Endless, || Deadline::NEVER)?
        } else {
            // What can never fit is as busy as what doesn't fit now.
            try_raw(py, &outgoing).map_err(|errno| match errno {
                Errno::E2BIG => Errno::EAGAIN,
                errno => errno,
            })
        };
        sent.map_err(|errno| self.not_sent(errno))
    }
}

#[pymethods]
impl MessageQueue {
    #[new]
    #[pyo3(
        signature = (*_args, **_kwargs),
        text_signature = "(key, flags=0, mode=0o600, max_message_size=2048)"
    )]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self {
            id: AtomicI32::new(NO_ID),
            key: AtomicI32::new(NO_ID),
            max_message_size: AtomicUsize::new(MessageSize::DEFAULT.0),
        }
    }

    #[pyo3(signature = (
        key, flags=0, mode=ModeBits::OURS, max_message_size=MessageSize::DEFAULT
    ))]
    fn __init__(
        &self,
        key: Key,
        flags: i32,
        mode: ModeBits,
        max_message_size: MessageSize,
    ) -> PyResult<()> {
        check_flags(key, flags)?;
        let (flags, mode) = (flags & (libc::IPC_CREAT | libc::IPC_EXCL), i32::from(mode.0.bits()));
        let got = open_or_create(key, flags, |key, flags| sys::msgget(key, flags | mode))
            .map_err(|(errno, _)| not_got(errno))?;
        self.id.store(got.id, Relaxed);
        self.key.store(got.key, Relaxed);
        self.max_message_size.store(max_message_size.0, Relaxed);
        Ok(())
    }

    /// Sends a message; waits while the queue is full.
    ///
    /// Args:
    ///     message: The bytes: any contiguous buffer, or a str, which is sent as UTF-8.
    ///     block: Whether to wait.
    ///     type: The type, above 0.
    ///
    /// Raises:
    ///     BusyError: It would have to wait, and `block` is False.
    ///     ExistentialError: The queue is gone, perhaps while waiting.
    ///     PermissionsError: Its mode forbids it.
    ///     ValueError: The type is not above 0; or the message is longer than `max_message_size`,
    ///         or than `max_size` and so would wait for ever.
    ///     OSError: It is longer than any message may be, MSGMAX (EINVAL).
    ///     TypeError: `message` is no buffer and no str.
    ///
    /// See msgop(2), msgsnd.
    #[pyo3(
        signature = (message, block=Flag::YES, r#type=MessageType::ONE),
        text_signature = "($self, message, block=True, type=1)"
    )]
    fn send(&self, message: &Bound<'_, PyAny>, block: Flag, r#type: MessageType) -> PyResult<()> {
        if r#type.0 <= 0 {
            return Err(PyValueError::new_err("The type must be > 0"));
        }
        raise_late()?;
        let py = message.py();
        if let Ok(text) = message.cast::<PyString>() {
            let text = text.to_str()?.as_bytes();
            self.check_fits(text.len())?;
            return self.send_loaded(py, block, r#type.0, |outgoing| outgoing.set_text(text));
        }
        let bytes = Bytes::new(message)?;
        self.check_fits(bytes.len())?;
        self.send_loaded(py, block, r#type.0, |outgoing| bytes.send_with(py, outgoing))
    }

    /// Takes a message; waits while there is none.
    ///
    /// Args:
    ///     block: Whether to wait.
    ///     type: Which: 0 the first, above 0 the first of that type, below 0 the first of the
    ///         lowest type up to its absolute value.
    ///
    /// Returns:
    ///     `(message, type)`: its bytes and its type.
    ///
    /// Raises:
    ///     BusyError: It would have to wait, and `block` is False.
    ///     ExistentialError: The queue is gone, perhaps while waiting.
    ///     PermissionsError: Its mode forbids it.
    ///     OSError: The message is longer than `max_message_size`, and stays in the queue (E2BIG).
    ///
    /// See msgop(2), msgrcv.
    #[pyo3(
        signature = (block=Flag::YES, r#type=MessageType::ANY),
        text_signature = "($self, block=True, type=0)"
    )]
    #[inline(never)]
    fn receive<'py>(
        &self,
        py: Python<'py>,
        block: Flag,
        r#type: MessageType,
    ) -> PyResult<Bound<'py, PyTuple>> {
        raise_late()?;
        let (id, most) = (self.id.load(Relaxed), self.max_message_size.load(Relaxed));
        let mut room = Room::new();
        let mut incoming =
            Incoming::bare(&mut room, id, most, r#type.0, 0, LONG_COPY).map_err(not_received)?;
        let timeout = if block.0 { Timeout::Endless } else { Timeout::ZERO };
        receive_waiting(py, &mut incoming, timeout)?.map_err(not_received)?;
        buffer::new_text_and_type(py, incoming.text(), incoming.mtype())
            .map_err(|error| given_back(py, &incoming, error))
    }

    /// Removes the queue and all that is in it. Who waits on it gets ExistentialError.
    ///
    /// Raises:
    ///     ExistentialError: It is gone already.
    ///     PermissionsError: We are neither its owner nor its creator nor root.
    ///
    /// See msgctl(2), IPC_RMID.
    fn remove(&self) -> PyResult<()> {
        remove_message_queue(self.id.load(Relaxed))
    }

    /// The id that the system gave it. Read-only.
    #[getter]
    fn id(&self) -> i32 {
        self.id.load(Relaxed)
    }

    #[setter]
    fn set_id(&self, _value: &Bound<'_, PyAny>) -> PyResult<()> {
        error::readonly()
    }

    /// The key that it was found or made by. Read-only.
    #[getter]
    fn key(&self) -> i32 {
        self.key.load(Relaxed)
    }

    /// How many bytes it may hold. More than MSGMNB needs CAP_SYS_RESOURCE.
    #[getter]
    fn max_size(&self) -> PyResult<u64> {
        Ok(self.stat()?.msg_qbytes)
    }

    #[setter]
    fn set_max_size(&self, size: &Bound<'_, PyAny>) -> PyResult<()> {
        let size = arguments::attribute(size, NOT_AN_INT)?;
        // The kernel would take the low 32 bits alone.
        let mut ds = self.stat()?;
        ds.msg_qbytes = convert::small(size, "max_size", 0..=i32::MAX.into())?;
        Queue::ctl_set(self.id.load(Relaxed), &ds).map_err(failed)
    }

    /// Time of the last send, in seconds since the epoch; 0 = never. Read-only.
    #[getter]
    fn last_send_time(&self) -> PyResult<i64> {
        Ok(self.stat()?.msg_stime)
    }

    /// Time of the last receive; 0 = never. Read-only.
    #[getter]
    fn last_receive_time(&self) -> PyResult<i64> {
        Ok(self.stat()?.msg_rtime)
    }

    /// Time of creation or of the last change of owner, mode or `max_size`. Read-only.
    #[getter]
    fn last_change_time(&self) -> PyResult<i64> {
        Ok(self.stat()?.msg_ctime)
    }

    /// Process of the last send; 0 = none. Read-only.
    #[getter]
    fn last_send_pid(&self) -> PyResult<i32> {
        Ok(self.stat()?.msg_lspid)
    }

    /// Process of the last receive; 0 = none. Read-only.
    #[getter]
    fn last_receive_pid(&self) -> PyResult<i32> {
        Ok(self.stat()?.msg_lrpid)
    }

    /// How many messages are in it. Read-only.
    #[getter]
    fn current_messages(&self) -> PyResult<u64> {
        Ok(self.stat()?.msg_qnum)
    }

    /// Its permission bits.
    #[getter]
    fn mode(&self) -> PyResult<u16> {
        Ok(self.permissions()?.access().bits())
    }

    #[setter]
    fn set_mode(&self, mode: &Bound<'_, PyAny>) -> PyResult<()> {
        let mode = Some(arguments::mode(mode, NOT_AN_INT)?);
        self.change(PermissionChange { mode, ..Default::default() })
    }

    /// User id of the owner.
    #[getter]
    fn uid(&self) -> PyResult<u32> {
        Ok(self.permissions()?.uid)
    }

    #[setter]
    fn set_uid(&self, uid: &Bound<'_, PyAny>) -> PyResult<()> {
        let uid = Some(arguments::owner(uid, NOT_AN_INT)?);
        self.change(PermissionChange { uid, ..Default::default() })
    }

    /// Group id of the owner.
    #[getter]
    fn gid(&self) -> PyResult<u32> {
        Ok(self.permissions()?.gid)
    }

    #[setter]
    fn set_gid(&self, gid: &Bound<'_, PyAny>) -> PyResult<()> {
        let gid = Some(arguments::owner(gid, NOT_AN_INT)?);
        self.change(PermissionChange { gid, ..Default::default() })
    }

    /// User id of the creator. Read-only.
    #[getter]
    fn cuid(&self) -> PyResult<u32> {
        Ok(self.permissions()?.cuid)
    }

    /// Group id of the creator. Read-only.
    #[getter]
    fn cgid(&self) -> PyResult<u32> {
        Ok(self.permissions()?.cgid)
    }

    fn __str__(&self) -> String {
        format!("Key={}, id={}", self.key(), self.id())
    }

    fn __repr__(&self) -> String {
        format!("sysv_ipc.MessageQueue({})", self.key())
    }
}

/// Removes the message queue that has an id.
///
/// Args:
///     id: The id.
///
/// Raises:
///     ExistentialError: No queue has it.
///     PermissionsError: We are neither its owner nor its creator nor root.
///
/// See msgctl(2), IPC_RMID.
#[pyfunction]
#[pyo3(signature = (id, /))]
pub(in crate::python) fn remove_message_queue(id: i32) -> PyResult<()> {
    Queue::ctl_rmid(id).map_err(failed)
}
