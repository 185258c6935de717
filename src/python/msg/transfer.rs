//! Sending and receiving, as Python's calls do it.

use nix::errno::Errno;
use pyo3::exceptions::{PyMemoryError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyTuple};

use super::message::Message;
use super::types::MessageType;
use crate::msg::{self as core, Incoming, Outgoing, Room, Selection};
use crate::python::buffer::{self, Bytes, LONG_COPY, WritableBytes};
use crate::python::collect::collect;
use crate::python::convert::Flag;
use crate::python::wait::{
    Timeout, raise_later, raise_undone, run_handlers, time_limit, wait_detached,
};
use crate::sys;
use crate::wait::Deadline;

/// How many messages may go or come before other Python threads and signal handlers get a turn.
const TURN: usize = 256;

fn give_turn(py: Python<'_>, count: usize) -> PyResult<()> {
    if count == 0 || !count.is_multiple_of(TURN) {
        return Ok(());
    }
    py.detach(|| {});
    run_handlers(py)
}

#[cold]
fn no_memory() -> PyErr {
    PyMemoryError::new_err("no memory for the message")
}

/// Makes bytes the message's text.
#[inline]
fn load(py: Python<'_>, outgoing: &mut Outgoing, bytes: &Bytes<'_, '_>) -> PyResult<()> {
    if bytes.len() > LONG_COPY {
        // Not worth a long copy, or all memory, if the kernel refuses it anyway.
        outgoing.queue().check_text_len(bytes.len())?;
    }
    bytes.send_with(py, outgoing).map_err(|_| no_memory())
}

/// Sends now or not at all.
#[inline]
pub(in crate::python) fn try_raw(py: Python<'_>, outgoing: &Outgoing) -> sys::Result<()> {
    if outgoing.text_len() > LONG_COPY {
        py.detach(|| outgoing.attempt())
    } else {
        outgoing.attempt()
    }
}

/// Sends, and waits until `deadline` while the queue is full.
#[inline]
pub(in crate::python) fn send_until(
    py: Python<'_>,
    outgoing: &Outgoing,
    timeout: Timeout,
    deadline: impl FnOnce() -> Deadline,
) -> PyResult<sys::Result<()>> {
    match try_raw(py, outgoing) {
        Err(Errno::EAGAIN) if timeout != Timeout::ZERO => {
            let deadline = deadline();
            let sent = wait_detached(py, deadline, || outgoing.wait(&mut time_limit(deadline)?))?;
            if sent.is_ok() {
                // Somebody may have it by now.
                raise_undone(py, || false)?;
            }
            Ok(sent)
        }
        answer => Ok(answer),
    }
}

/// Sends, and waits while the queue is full.
#[inline(never)]
pub(super) fn send(
    py: Python<'_>,
    queue: core::MessageQueue,
    bytes: &Bytes<'_, '_>,
    mtype: MessageType,
    timeout: Timeout,
) -> PyResult<()> {
    let mut room = Room::new();
    let mut outgoing = Outgoing::new(&mut room, queue, mtype.0);
    load(py, &mut outgoing, bytes)?;
    let sent = send_until(py, &outgoing, timeout, || timeout.deadline())?;
    Ok(sent.map_err(|errno| outgoing.error(errno))?)
}

/// Sends if that is possible now.
#[inline(never)]
pub(super) fn try_send(
    py: Python<'_>,
    queue: core::MessageQueue,
    bytes: &Bytes<'_, '_>,
    mtype: MessageType,
) -> PyResult<bool> {
    let mut room = Room::new();
    let mut outgoing = Outgoing::new(&mut room, queue, mtype.0);
    load(py, &mut outgoing, bytes)?;
    match try_raw(py, &outgoing) {
        Ok(()) => Ok(true),
        Err(Errno::EAGAIN) => Ok(false),
        Err(errno) => Err(outgoing.error(errno).into()),
    }
}

/// One of the messages of `send_many`: a buffer, a pair of type and buffer, or a `Message`.
fn pair<'py>(
    item: Bound<'py, PyAny>,
    mtype: MessageType,
) -> PyResult<(MessageType, Bound<'py, PyAny>)> {
    if item.is_exact_instance_of::<PyBytes>() {
        return Ok((mtype, item));
    }
    if let Ok(message) = item.cast::<Message>() {
        let (mtype, data) = message.get().parts();
        return Ok((MessageType(mtype), data.bind(item.py()).clone().into_any()));
    }
    let (mtype, data) = match (item.cast::<PyTuple>(), item.cast::<PyList>()) {
        (Ok(pair), _) if pair.len() == 2 => (pair.get_item(0)?, pair.get_item(1)?),
        (_, Ok(pair)) if pair.len() == 2 => (pair.get_item(0)?, pair.get_item(1)?),
        (Err(_), Err(_)) => return Ok((mtype, item)),
        _ => return Err(PyTypeError::new_err("a message is a buffer or a pair (type, buffer)")),
    };
    Ok((mtype.extract()?, data))
}

/// Messages with their types.
fn pairs<'py>(
    messages: &Bound<'py, PyAny>,
    mtype: MessageType,
) -> PyResult<Vec<(MessageType, Bound<'py, PyAny>)>> {
    let expected = messages.cast::<PyList>().map_or(0, PyListMethods::len);
    collect(messages.try_iter()?.map(|item| pair(item?, mtype)), expected)
}

/// The types and texts of messages, each of which could fit.
fn texts<'a, 'py>(
    queue: core::MessageQueue,
    pairs: &'a [(MessageType, Bound<'py, PyAny>)],
) -> PyResult<Vec<(i64, Bytes<'a, 'py>)>> {
    let texts = pairs.iter().map(|(mtype, data)| Ok((mtype.0, Bytes::new(data)?)));
    let texts = collect(texts, pairs.len())?;
    if let Some(longest) = texts.iter().map(|(_, bytes)| bytes.len()).max() {
        queue.check_text_len(longest)?;
    }
    Ok(texts)
}

/// What [`send_many`] would send.
pub(super) fn messages(
    py: Python<'_>,
    queue: core::MessageQueue,
    messages: &Bound<'_, PyAny>,
    mtype: MessageType,
) -> PyResult<Vec<Message>> {
    let pairs = pairs(messages, mtype)?;
    let texts = texts(queue, &pairs)?;
    let copies = texts.iter().map(|(mtype, bytes)| Ok(Message::of(*mtype, bytes.to_bytes(py)?)));
    collect(copies, texts.len())
}

/// Sends all messages that go before the time is up or an error comes; how many that were. Nothing
/// is sent if one of them is no message, or can never fit.
pub(super) fn send_many(
    py: Python<'_>,
    queue: core::MessageQueue,
    messages: &Bound<'_, PyAny>,
    mtype: MessageType,
    timeout: Timeout,
) -> PyResult<usize> {
    let pairs = pairs(messages, mtype)?;
    send_all(py, queue, &texts(queue, &pairs)?, timeout)
}

#[inline(never)]
fn send_all(
    py: Python<'_>,
    queue: core::MessageQueue,
    texts: &[(i64, Bytes<'_, '_>)],
    timeout: Timeout,
) -> PyResult<usize> {
    let deadline = timeout.deadline();
    let mut room = Room::new();
    let mut outgoing = Outgoing::new(&mut room, queue, 1);
    for (count, (mtype, bytes)) in texts.iter().enumerate() {
        outgoing.set_mtype(*mtype);
        let sent = give_turn(py, count)
            .and_then(|()| bytes.send_with(py, &mut outgoing).map_err(|_| no_memory()))
            .and_then(|()| send_until(py, &outgoing, timeout, || deadline));
        match sent {
            Ok(Ok(())) => {}
            Ok(Err(errno)) if count == 0 => return Err(outgoing.error(errno).into()),
            // It comes again by itself.
            Ok(Err(_)) => return Ok(count),
            Err(raised) if count == 0 => return Err(raised),
            Err(raised) => {
                raise_later(raised);
                return Ok(count);
            }
        }
    }
    Ok(texts.len())
}

/// Receives now or not at all.
#[inline]
fn receive_raw(py: Python<'_>, incoming: &mut Incoming) -> sys::Result<()> {
    match incoming.attempt_up_to(LONG_COPY) {
        Err(Errno::E2BIG) => py.detach(|| incoming.attempt()),
        answer => answer,
    }
}

/// Receives, and waits while there is no message.
#[inline]
pub(in crate::python) fn receive_waiting(
    py: Python<'_>,
    incoming: &mut Incoming,
    timeout: Timeout,
) -> PyResult<sys::Result<()>> {
    match receive_raw(py, incoming) {
        Err(Errno::ENOMSG) if timeout != Timeout::ZERO => {
            let deadline = timeout.deadline();
            let received =
                wait_detached(py, deadline, || incoming.wait(&mut time_limit(deadline)?))?;
            if received.is_ok() {
                raise_undone(py, || incoming.give_back_whole())?;
            }
            Ok(received)
        }
        answer => Ok(answer),
    }
}

/// Receives, and waits while there is no message; whether one came in time.
#[inline]
pub(super) fn receive_in_time(
    py: Python<'_>,
    incoming: &mut Incoming,
    timeout: Timeout,
) -> PyResult<bool> {
    let received = receive_waiting(py, incoming, timeout)?;
    in_time(incoming, received)
}

fn in_time(incoming: &Incoming, received: sys::Result<()>) -> PyResult<bool> {
    match received {
        Ok(()) => Ok(true),
        Err(Errno::ENOMSG | Errno::EAGAIN) => Ok(false),
        // Of our own: the kernel needs none to receive.
        Err(Errno::ENOMEM) => Err(no_memory()),
        Err(errno) => Err(incoming.error(errno).into()),
    }
}

/// Receives, and waits while there is no message.
#[inline]
pub(super) fn receive(py: Python<'_>, incoming: &mut Incoming, timeout: Timeout) -> PyResult<()> {
    if receive_in_time(py, incoming, timeout)? {
        Ok(())
    } else {
        Err(incoming.error(Errno::ENOMSG).into())
    }
}

/// Receives if there is a message.
#[inline]
pub(super) fn try_receive(py: Python<'_>, incoming: &mut Incoming) -> PyResult<bool> {
    let received = receive_raw(py, incoming);
    in_time(incoming, received)
}

/// The message that `incoming` holds. Without memory for it, it goes back into the queue.
#[inline]
pub(super) fn message(py: Python<'_>, incoming: &Incoming) -> PyResult<Py<Message>> {
    copied(py, incoming).map_err(|error| given_back(py, incoming, error))
}

/// The message that `incoming` holds.
#[inline]
pub(super) fn copied(py: Python<'_>, incoming: &Incoming) -> PyResult<Py<Message>> {
    let data = buffer::new_bytes(py, incoming.text())?;
    Py::new(py, Message::of(incoming.mtype(), data))
}

/// Sends a message back that could not be handed over; says so if that fails too.
#[cold]
pub(in crate::python) fn given_back(py: Python<'_>, incoming: &Incoming, error: PyErr) -> PyErr {
    let Err(errno) = incoming.give_back() else { return error };
    let text = format!(
        "a message of type {} and {} bytes is lost: there was no memory for it, and sending it \
         back failed: {}",
        incoming.mtype(),
        incoming.text().len(),
        errno.desc()
    );
    let lost = PyMemoryError::new_err(text);
    lost.set_cause(py, Some(error));
    lost
}

/// The text of `incoming`, which fits by its `max_size`, in a buffer; its type and length.
fn hand_over<'py>(
    py: Python<'py>,
    incoming: &Incoming,
    buffer: &WritableBytes,
) -> PyResult<Bound<'py, PyTuple>> {
    let pair = buffer::new_pair(py, incoming.mtype(), incoming.text().len())
        .map_err(|error| given_back(py, incoming, error))?;
    buffer.copy_from(py, incoming.text());
    Ok(pair)
}

/// Receives into a buffer, and waits while there is no message.
#[inline(never)]
pub(super) fn receive_into<'py>(
    py: Python<'py>,
    queue: core::MessageQueue,
    buffer: &WritableBytes,
    selection: Selection,
    truncate: Flag,
    timeout: Timeout,
) -> PyResult<Bound<'py, PyTuple>> {
    let mut room = Room::new();
    let mut incoming = Incoming::new(&mut room, queue, selection, Some(buffer.len()), truncate.0);
    receive(py, &mut incoming, timeout)?;
    hand_over(py, &incoming, buffer)
}

/// Receives into a buffer if there is a message.
#[inline(never)]
pub(super) fn try_receive_into<'py>(
    py: Python<'py>,
    queue: core::MessageQueue,
    buffer: &WritableBytes,
    selection: Selection,
    truncate: Flag,
) -> PyResult<Option<Bound<'py, PyTuple>>> {
    let mut room = Room::new();
    let mut incoming = Incoming::new(&mut room, queue, selection, Some(buffer.len()), truncate.0);
    let there = try_receive(py, &mut incoming)?;
    there.then(|| hand_over(py, &incoming, buffer)).transpose()
}

/// The message that `incoming` holds and those that are there already, `limit` at most. Once there
/// is one, what is to be raised comes with the next call.
pub(super) fn rest<'py>(
    py: Python<'py>,
    incoming: &mut Incoming,
    limit: usize,
    messages: Bound<'py, PyList>,
) -> PyResult<Bound<'py, PyList>> {
    for count in 1.. {
        let appended = message(py, incoming).and_then(|message| {
            messages.append(message).map_err(|error| given_back(py, incoming, error))
        });
        match appended.and_then(|()| give_turn(py, count)) {
            Err(error) if messages.is_empty() => return Err(error),
            Err(error) => {
                raise_later(error);
                break;
            }
            Ok(()) if count >= limit || receive_raw(py, incoming).is_err() => break,
            Ok(()) => {}
        }
    }
    Ok(messages)
}
