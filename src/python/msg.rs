//! `MessageQueue`; what it gives is in `message`, `iterator` and `stat`, how that moves in `transfer`.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple, PyType};

use super::buffer::{Bytes, Slot, WritableBytes};
use super::convert::{Flag, Id, ModeBits, NamedKey, NewKey, NewOwner, Owner};
use super::handle;
use super::readiness::Readiness;
use super::wait::{Timeout, raise_late};
use crate::msg::{self as core, Incoming, Room};
use crate::readiness::Watched;

mod checks;
mod iterator;
mod message;
mod peeked;
mod stat;
mod transfer;
mod types;

pub(super) use checks::{check_target, checked_messages, checked_selection};
pub(super) use iterator::MessageIterator;
pub(super) use message::Message;
use peeked::PeekedSize;
pub(super) use stat::MessageQueueStat;
pub(super) use transfer::{given_back, receive_waiting, send_until, try_raw};
use types::{Limit, MaxBytes, MaxSize, MessageType, Place, WantedType, selection};

fn owned(queue: core::MessageQueue, owner: Owner) -> PyResult<core::MessageQueue> {
    owner.0.map_or(Ok(()), |owner| queue.check_owner(owner))?;
    Ok(queue)
}

/// A System V message queue: typed messages of bytes, kept by the kernel, taken in order or by
/// type.
///
/// A handle: creating or opening one attaches nothing, dropping it removes nothing. Made by
/// `create`, `open`, `open_or_create` and `from_id`; equal and hashed by id; pickled as id and key.
///
/// See msgget(2), msgop(2), msgctl(2).
#[pyclass(frozen, eq, hash, weakref, module = "sysv_ipc_rs")]
#[derive(Debug)]
pub(crate) struct MessageQueue(core::MessageQueue, PeekedSize);

impl MessageQueue {
    const fn of(queue: core::MessageQueue) -> Self {
        Self(queue, PeekedSize::unknown())
    }
}

impl PartialEq for MessageQueue {
    fn eq(&self, other: &Self) -> bool {
        self.0.id() == other.0.id()
    }
}

impl std::hash::Hash for MessageQueue {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        ("MessageQueue", self.0.id()).hash(state);
    }
}

#[pymethods]
impl MessageQueue {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        handle::no_constructor("MessageQueue")
    }

    /// Creates a queue, which must not exist yet.
    ///
    /// Args:
    ///     key: The key it will be found by; `IPC_PRIVATE` (0) for none.
    ///     mode: Who may use it, 0 to 0o777; there is no umask in System V IPC.
    ///     max_bytes: How many bytes it may hold, 0 to 2147483647; None for MSGMNB.
    ///
    /// Returns:
    ///     The new queue.
    ///
    /// Raises:
    ///     AlreadyExistsError: The key has a queue already.
    ///     LimitExceededError: MSGMNI is reached.
    ///     AccessDeniedError: More `max_bytes` than MSGMNB, without CAP_SYS_RESOURCE.
    ///     ValueError: An argument is out of range.
    ///
    /// See msgget(2).
    #[classmethod]
    #[pyo3(
        signature = (key=NewKey::PRIVATE, *, mode=ModeBits::OURS, max_bytes=MaxBytes::DEFAULT),
        text_signature = "($cls, key=0, *, mode=0o600, max_bytes=None)"
    )]
    fn create(
        cls: &Bound<'_, PyType>,
        key: NewKey,
        mode: ModeBits,
        max_bytes: MaxBytes,
    ) -> PyResult<Py<Self>> {
        let queue = core::MessageQueue::create_sized(key.0, mode.0, max_bytes.0)?;
        handle::created(cls.py(), Self::of(queue), || queue.remove())
    }

    /// Opens the queue that a key leads to.
    ///
    /// Args:
    ///     key: Its key.
    ///     owner: The user id that must both own it and have created it.
    ///
    /// Returns:
    ///     The queue.
    ///
    /// Raises:
    ///     NotFoundError: No queue has the key.
    ///     UntrustedOwnerError: It is not that owner's alone.
    ///
    /// See msgget(2).
    #[classmethod]
    #[pyo3(signature = (key, *, owner=Owner::ANYBODY), text_signature = "($cls, key, *, owner=None)")]
    fn open(_cls: &Bound<'_, PyType>, key: NamedKey, owner: Owner) -> PyResult<Self> {
        owned(core::MessageQueue::open(key.0)?, owner).map(Self::of)
    }

    /// Opens the queue that a key leads to, or creates it.
    ///
    /// Args:
    ///     key: Its key.
    ///     mode: Who may use a new queue.
    ///     max_bytes: How many bytes a new queue may hold; None for MSGMNB.
    ///     owner: The user id that must both own it and have created it.
    ///
    /// Returns:
    ///     The queue.
    ///
    /// Raises:
    ///     NotFoundError: There is none, and `owner` is not our effective user id.
    ///     UntrustedOwnerError: It is not that owner's alone.
    ///     LimitExceededError: MSGMNI is reached.
    ///
    /// See msgget(2).
    #[classmethod]
    #[pyo3(
        signature = (
            key, *, mode=ModeBits::OURS, max_bytes=MaxBytes::DEFAULT, owner=Owner::ANYBODY
        ),
        text_signature = "($cls, key, *, mode=0o600, max_bytes=None, owner=None)"
    )]
    fn open_or_create(
        _cls: &Bound<'_, PyType>,
        key: NamedKey,
        mode: ModeBits,
        max_bytes: MaxBytes,
        owner: Owner,
    ) -> PyResult<Self> {
        Ok(Self::of(core::MessageQueue::open_or_create(key.0, mode.0, max_bytes.0, owner.0)?))
    }

    /// The queue that has an id.
    ///
    /// Args:
    ///     id: The kernel's number, as `ipcs -q` shows it.
    ///     owner: The user id that must both own it and have created it.
    ///
    /// Returns:
    ///     The queue.
    ///
    /// Raises:
    ///     RemovedError: No queue has the id.
    ///     AccessDeniedError: Its mode tells us nothing about it.
    ///     UntrustedOwnerError: It is not that owner's alone.
    ///
    /// See msgctl(2), IPC_STAT.
    #[classmethod]
    #[pyo3(signature = (id, *, owner=Owner::ANYBODY), text_signature = "($cls, id, *, owner=None)")]
    fn from_id(_cls: &Bound<'_, PyType>, id: Id, owner: Owner) -> PyResult<Self> {
        owned(core::MessageQueue::from_id(id.0)?, owner).map(Self::of)
    }

    /// The key by which it was found or made; 0 = IPC_PRIVATE.
    #[getter]
    fn key(&self) -> i32 {
        self.0.key().get()
    }

    /// The kernel's number for it.
    #[getter]
    fn id(&self) -> i32 {
        self.0.id()
    }

    /// Sends a message; waits while the queue is full.
    ///
    /// Args:
    ///     data: The bytes: any contiguous buffer.
    ///     type: The type, above 0.
    ///     timeout: Seconds to wait at most; None for ever, 0 not at all.
    ///
    /// Raises:
    ///     WaitTimeoutError: The time was up; nothing was sent.
    ///     MessageTooBigError: It can never fit: MSGMAX or the queue's `max_bytes`.
    ///     RemovedError: The queue is gone, perhaps while waiting.
    ///     AccessDeniedError: Its mode forbids it.
    ///     ValueError: The type is not above 0.
    ///     TypeError: `data` is a str, or no buffer.
    ///     BufferError: `data` has gaps.
    ///
    /// See msgop(2), msgsnd.
    #[pyo3(
        signature = (data, r#type=MessageType::ONE, *, timeout=Timeout::Endless),
        text_signature = "($self, data, type=1, *, timeout=None)"
    )]
    fn send(&self, data: &Bound<'_, PyAny>, r#type: MessageType, timeout: Timeout) -> PyResult<()> {
        raise_late()?;
        transfer::send(data.py(), self.0, &Bytes::new(data)?, r#type, timeout)
    }

    /// Sends a message, if that is possible without waiting.
    ///
    /// Args:
    ///     data: The bytes: any contiguous buffer.
    ///     type: The type, above 0.
    ///
    /// Returns:
    ///     Whether it was sent.
    ///
    /// Raises:
    ///     As `send`, but never WaitTimeoutError.
    ///
    /// See msgop(2), IPC_NOWAIT.
    #[pyo3(
        signature = (data, r#type=MessageType::ONE),
        text_signature = "($self, data, type=1)"
    )]
    fn try_send(&self, data: &Bound<'_, PyAny>, r#type: MessageType) -> PyResult<bool> {
        raise_late()?;
        transfer::try_send(data.py(), self.0, &Bytes::new(data)?, r#type)
    }

    /// Sends several messages, in order; waits while the queue is full.
    ///
    /// All are checked before the first is sent.
    ///
    /// Args:
    ///     messages: Buffers, or pairs `(type, buffer)`.
    ///     type: The type of those that are no pairs, above 0.
    ///     timeout: Seconds to wait at most, for all together; None for ever, 0 not at all.
    ///
    /// Returns:
    ///     How many were sent: fewer than all if the time was up, an error came, or a signal
    ///     handler raised after the first; what it raised comes with the thread's next call
    ///     that sends, receives or waits.
    ///
    /// Raises:
    ///     As `send`, if none was sent.
    ///
    /// See msgop(2), msgsnd.
    #[pyo3(
        signature = (messages, r#type=MessageType::ONE, *, timeout=Timeout::Endless),
        text_signature = "($self, messages, type=1, *, timeout=None)"
    )]
    fn send_many(
        &self,
        messages: &Bound<'_, PyAny>,
        r#type: MessageType,
        timeout: Timeout,
    ) -> PyResult<usize> {
        raise_late()?;
        transfer::send_many(messages.py(), self.0, messages, r#type, timeout)
    }

    /// Takes a message; waits while there is none.
    ///
    /// Args:
    ///     type: Which: 0 the first, above 0 the first of that type, below 0 the first of the
    ///         lowest type up to its absolute value.
    ///     exclude: Takes the first of any other type than `type`, which must be above 0.
    ///     max_size: The most bytes it may have; None for any.
    ///     truncate: Takes a larger message too, and cuts it off; else it stays in the queue.
    ///     timeout: Seconds to wait at most; None for ever, 0 not at all.
    ///
    /// Returns:
    ///     The message.
    ///
    /// Raises:
    ///     WaitTimeoutError: The time was up; nothing was taken.
    ///     MessageTooBigError: It is larger than `max_size`, and stays in the queue.
    ///     RemovedError: The queue is gone, perhaps while waiting.
    ///     AccessDeniedError: Its mode forbids it, perhaps only since then.
    ///     MemoryError: There is no memory for it; it stays, or goes to the queue's end.
    ///     Whatever a signal handler raises: nothing was taken. A message that had come just then
    ///         goes to the queue's end; where it can't, the call gives it, and raises the next time.
    ///
    /// See msgop(2), msgrcv.
    #[pyo3(
        signature = (
            r#type=WantedType::ANY, *, exclude=Flag::NO, max_size=MaxSize::ANY, truncate=Flag::NO,
            timeout=Timeout::Endless
        ),
        text_signature =
            "($self, type=0, *, exclude=False, max_size=None, truncate=False, timeout=None)"
    )]
    #[inline(never)]
    fn receive(
        &self,
        py: Python<'_>,
        r#type: WantedType,
        exclude: Flag,
        max_size: MaxSize,
        truncate: Flag,
        timeout: Timeout,
    ) -> PyResult<Py<Message>> {
        raise_late()?;
        let selection = selection(r#type, exclude)?;
        let mut room = Room::new();
        let mut incoming = Incoming::new(&mut room, self.0, selection, max_size.0, truncate.0);
        transfer::receive(py, &mut incoming, timeout)?;
        transfer::message(py, &incoming)
    }

    /// Takes a message, if there is one.
    ///
    /// Args:
    ///     type: As of `receive`.
    ///     exclude: As of `receive`.
    ///     max_size: As of `receive`.
    ///     truncate: As of `receive`.
    ///
    /// Returns:
    ///     The message, or None.
    ///
    /// Raises:
    ///     As `receive`, but never WaitTimeoutError.
    ///
    /// See msgop(2), IPC_NOWAIT.
    #[pyo3(
        signature = (
            r#type=WantedType::ANY, *, exclude=Flag::NO, max_size=MaxSize::ANY, truncate=Flag::NO
        ),
        text_signature = "($self, type=0, *, exclude=False, max_size=None, truncate=False)"
    )]
    #[inline(never)]
    fn try_receive(
        &self,
        py: Python<'_>,
        r#type: WantedType,
        exclude: Flag,
        max_size: MaxSize,
        truncate: Flag,
    ) -> PyResult<Option<Py<Message>>> {
        raise_late()?;
        let selection = selection(r#type, exclude)?;
        let mut room = Room::new();
        let mut incoming = Incoming::new(&mut room, self.0, selection, max_size.0, truncate.0);
        if transfer::try_receive(py, &mut incoming)? {
            transfer::message(py, &incoming).map(Some)
        } else {
            Ok(None)
        }
    }

    /// Takes a message into a buffer; waits while there is none.
    ///
    /// Args:
    ///     buffer: A writable contiguous buffer.
    ///     type: As of `receive`.
    ///     exclude: As of `receive`.
    ///     truncate: Takes a message larger than the buffer too, and cuts it off; else it stays in
    ///         the queue.
    ///     timeout: Seconds to wait at most; None for ever, 0 not at all.
    ///
    /// Returns:
    ///     `(type, nbytes)`: the message's type, and how many bytes were written.
    ///
    /// Raises:
    ///     As `receive`.
    ///     TypeError: The buffer is read-only.
    ///
    /// See msgop(2), msgrcv.
    #[pyo3(
        signature = (
            buffer, r#type=WantedType::ANY, *, exclude=Flag::NO, truncate=Flag::NO,
            timeout=Timeout::Endless
        ),
        text_signature =
            "($self, buffer, type=0, *, exclude=False, truncate=False, timeout=None)"
    )]
    fn receive_into<'py>(
        &self,
        buffer: &Bound<'py, PyAny>,
        r#type: WantedType,
        exclude: Flag,
        truncate: Flag,
        timeout: Timeout,
    ) -> PyResult<Bound<'py, PyTuple>> {
        raise_late()?;
        let mut slot = Slot::new();
        let target = WritableBytes::new(buffer, &mut slot)?;
        let selection = selection(r#type, exclude)?;
        transfer::receive_into(buffer.py(), self.0, &target, selection, truncate, timeout)
    }

    /// Takes a message into a buffer, if there is one.
    ///
    /// Args:
    ///     buffer: As of `receive_into`.
    ///     type: As of `receive`.
    ///     exclude: As of `receive`.
    ///     truncate: As of `receive_into`.
    ///
    /// Returns:
    ///     `(type, nbytes)`, or None.
    ///
    /// Raises:
    ///     As `receive_into`, but never WaitTimeoutError.
    ///
    /// See msgop(2), IPC_NOWAIT.
    #[pyo3(
        signature = (
            buffer, r#type=WantedType::ANY, *, exclude=Flag::NO, truncate=Flag::NO
        ),
        text_signature = "($self, buffer, type=0, *, exclude=False, truncate=False)"
    )]
    fn try_receive_into<'py>(
        &self,
        buffer: &Bound<'py, PyAny>,
        r#type: WantedType,
        exclude: Flag,
        truncate: Flag,
    ) -> PyResult<Option<Bound<'py, PyTuple>>> {
        raise_late()?;
        let mut slot = Slot::new();
        let target = WritableBytes::new(buffer, &mut slot)?;
        let selection = selection(r#type, exclude)?;
        transfer::try_receive_into(buffer.py(), self.0, &target, selection, truncate)
    }

    /// Takes several messages: waits for the first, then takes those that are there already.
    ///
    /// Args:
    ///     limit: How many at most, at least 1.
    ///     type: As of `receive`.
    ///     exclude: As of `receive`.
    ///     timeout: Seconds to wait for the first at most; None for ever, 0 not at all.
    ///
    /// Returns:
    ///     A list of at least one message. Once there is one nothing is raised: an error comes
    ///     with the next call.
    ///
    /// Raises:
    ///     As `receive`.
    ///
    /// See msgop(2), msgrcv.
    #[pyo3(
        signature = (
            limit, r#type=WantedType::ANY, *, exclude=Flag::NO, timeout=Timeout::Endless
        ),
        text_signature = "($self, limit, type=0, *, exclude=False, timeout=None)"
    )]
    #[inline(never)]
    fn receive_many<'py>(
        &self,
        py: Python<'py>,
        limit: Limit,
        r#type: WantedType,
        exclude: Flag,
        timeout: Timeout,
    ) -> PyResult<Bound<'py, PyList>> {
        raise_late()?;
        let messages = PyList::empty(py);
        let mut room = Room::new();
        let mut incoming =
            Incoming::new(&mut room, self.0, selection(r#type, exclude)?, None, false);
        transfer::receive(py, &mut incoming, timeout)?;
        transfer::rest(py, &mut incoming, limit.0, messages)
    }

    /// An iterator that takes one message after the other, and ends when none comes in time.
    ///
    /// Threads may share it. Once it has ended it stays so.
    ///
    /// Args:
    ///     type: As of `receive`.
    ///     exclude: As of `receive`.
    ///     timeout: Seconds to wait for each message at most; None for ever.
    ///
    /// Returns:
    ///     An iterator of messages; its steps raise as `receive` does.
    ///
    /// Raises:
    ///     ValueError: An argument is out of range.
    ///
    /// See msgop(2), msgrcv.
    #[pyo3(
        signature = (r#type=WantedType::ANY, *, exclude=Flag::NO, timeout=Timeout::Endless),
        text_signature = "($self, type=0, *, exclude=False, timeout=None)"
    )]
    fn messages(
        &self,
        r#type: WantedType,
        exclude: Flag,
        timeout: Timeout,
    ) -> PyResult<MessageIterator> {
        Ok(MessageIterator::new(self.0, selection(r#type, exclude)?, timeout))
    }

    /// A copy of a message, which stays in the queue.
    ///
    /// Args:
    ///     index: Its place in the queue; 0 is the first.
    ///
    /// Returns:
    ///     The message, or None if there is none at that place.
    ///
    /// Raises:
    ///     IPCError: ENOSYS where the kernel was built without CONFIG_CHECKPOINT_RESTORE.
    ///     RemovedError: The queue is gone.
    ///     AccessDeniedError: Its mode forbids it.
    ///
    /// See msgop(2), MSG_COPY.
    #[pyo3(signature = (index=Place::FIRST), text_signature = "($self, index=0)")]
    #[inline(never)]
    fn peek(&self, py: Python<'_>, index: Place) -> PyResult<Option<Py<Message>>> {
        let mut room = Room::new();
        let mut incoming = Incoming::peek(&mut room, self.0, index.0, self.1.expected());
        if transfer::try_receive(py, &mut incoming)? {
            self.1.found(incoming.text().len());
            transfer::copied(py, &incoming).map(Some)
        } else {
            Ok(None)
        }
    }

    /// A descriptor that is readable while a matching message waits.
    ///
    /// Args:
    ///     type: As of `receive`.
    ///     exclude: As of `receive`.
    ///
    /// Returns:
    ///     The readiness, to be closed after use; see its limits.
    ///
    /// Raises:
    ///     RemovedError: The queue is gone.
    ///     AccessDeniedError: Its mode forbids to receive.
    ///     OSError: No descriptor or no thread is to be had.
    ///
    /// See msgop(2), eventfd(2).
    #[pyo3(
        signature = (r#type=WantedType::ANY, *, exclude=Flag::NO),
        text_signature = "($self, type=0, *, exclude=False)"
    )]
    fn readiness(&self, py: Python<'_>, r#type: WantedType, exclude: Flag) -> PyResult<Readiness> {
        Readiness::watch(py, Watched::Queue(self.0, selection(r#type, exclude)?))
    }

    /// How many messages are in the queue.
    ///
    /// Raises:
    ///     As `stat`.
    ///
    /// See msgctl(2), IPC_STAT.
    fn qsize(&self) -> PyResult<u64> {
        Ok(self.0.stat()?.messages)
    }

    /// How many bytes the queue may hold, 0 to 2147483647. Raising it lets waiting senders go on;
    /// above MSGMNB that needs CAP_SYS_RESOURCE.
    ///
    /// Raises:
    ///     RemovedError: The queue is gone.
    ///     AccessDeniedError: Not ours to change, or above MSGMNB.
    ///     ValueError: Out of range.
    ///
    /// See msgctl(2), IPC_SET.
    #[getter]
    fn max_bytes(&self) -> PyResult<u64> {
        Ok(self.0.stat()?.max_bytes)
    }

    #[setter]
    fn set_max_bytes(&self, max_bytes: types::NewMaxBytes) -> PyResult<()> {
        Ok(self.0.set_max_bytes(max_bytes.0)?)
    }

    /// Owner, mode, times, and what is in the queue, at one moment.
    ///
    /// Raises:
    ///     RemovedError: The queue is gone.
    ///     AccessDeniedError: The kernel tells us nothing about it.
    ///
    /// See msgctl(2), IPC_STAT and MSG_STAT_ANY.
    fn stat(&self) -> PyResult<MessageQueueStat> {
        Ok(self.0.stat()?.into())
    }

    /// Changes who may use the queue. One read and one write, so not atomic against other changes.
    ///
    /// Args:
    ///     mode: The nine permission bits, 0 to 0o777.
    ///
    /// Raises:
    ///     RemovedError: The queue is gone.
    ///     AccessDeniedError: We are neither its owner nor its creator nor root.
    ///
    /// See msgctl(2), IPC_SET.
    fn chmod(&self, mode: ModeBits) -> PyResult<()> {
        handle::chmod::<core::MessageQueue>(self.0.id(), mode)
    }

    /// Gives the queue to another user or group. The creator keeps its rights.
    ///
    /// Args:
    ///     uid: New owner's user id; -1 leaves it.
    ///     gid: New owner's group id; -1 leaves it.
    ///
    /// Raises:
    ///     RemovedError: The queue is gone.
    ///     AccessDeniedError: We are neither its owner nor its creator nor root.
    ///
    /// See msgctl(2), IPC_SET.
    #[pyo3(
        signature = (uid=NewOwner::SAME, gid=NewOwner::SAME),
        text_signature = "($self, uid=-1, gid=-1)"
    )]
    fn chown(&self, uid: NewOwner, gid: NewOwner) -> PyResult<()> {
        handle::chown::<core::MessageQueue>(self.0.id(), uid, gid)
    }

    /// Removes the queue and all messages in it at once. Who waits on it gets RemovedError.
    ///
    /// Raises:
    ///     RemovedError: It is gone already.
    ///     AccessDeniedError: We are neither its owner nor its creator nor root.
    ///
    /// See msgctl(2), IPC_RMID.
    fn remove(&self) -> PyResult<()> {
        Ok(self.0.remove()?)
    }

    fn __repr__(&self) -> String {
        handle::repr("MessageQueue", self.0.key(), self.0.id())
    }

    fn __reduce__<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let pickled = [self.0.id().into(), self.0.key().get().into()];
        handle::reduce(py, "reopen_message_queue", pickled)
    }
}

/// Opens a pickled queue.
#[pyfunction]
pub(super) fn reopen_message_queue(id: i32, key: i32) -> PyResult<MessageQueue> {
    let queue = core::MessageQueue::from_id(id)?;
    handle::same_key::<core::MessageQueue>(id, queue.key(), key)?;
    Ok(MessageQueue::of(queue))
}
