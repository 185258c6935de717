//! Sending and receiving, as Python's calls do it.

use nix::errno::Errno;
use pyo3::exceptions::{PyMemoryError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

use super::message::Message;
use super::types::MessageType;
use crate::msg::{self as core, Incoming, Outgoing};
use crate::python::buffer::{self, Bytes, WritableBytes};
use crate::python::wait::{Patience, Timeout, time_limit, wait, wait_detached};
use crate::sys;

/// How many messages may go or come before other Python threads get a turn.
const TURN: usize = 256;

/// A message with the text of a buffer. The buffer is free again afterwards.
#[inline]
pub(super) fn outgoing(
    queue: core::MessageQueue,
    data: &Bound<'_, PyAny>,
    mtype: MessageType,
) -> PyResult<Outgoing> {
    let mut outgoing = Outgoing::new(queue, mtype.0);
    load(&mut outgoing, &Bytes::new(data)?)?;
    Ok(outgoing)
}

#[inline]
fn load(outgoing: &mut Outgoing, bytes: &Bytes<'_, '_>) -> PyResult<()> {
    bytes.send_with(outgoing).map_err(|_| PyMemoryError::new_err("no memory for the message"))
}

fn attempt_to_send(outgoing: &Outgoing, patience: Patience) -> sys::Result<()> {
    match patience {
        Patience::None => outgoing.attempt(),
        Patience::Until(deadline) => outgoing.wait(&mut time_limit(deadline)?),
    }
}

/// Sends, and waits while the queue is full.
#[inline]
pub(super) fn send(py: Python<'_>, outgoing: &Outgoing, timeout: Timeout) -> PyResult<()> {
    let sent = wait(py, timeout, |patience| attempt_to_send(outgoing, patience))?;
    Ok(sent.map_err(|errno| outgoing.error(errno))?)
}

/// One of the messages of `send_many`: a buffer, a `(type, buffer)` pair or a `Message`.
fn pair<'py>(
    item: Bound<'py, PyAny>,
    mtype: MessageType,
) -> PyResult<(MessageType, Bound<'py, PyAny>)> {
    if let Ok(message) = item.cast::<Message>() {
        let (mtype, data) = message.get().parts();
        return Ok((MessageType(mtype), data.bind(item.py()).clone().into_any()));
    }
    if !item.is_instance_of::<PyTuple>() && !item.is_instance_of::<PyList>() {
        return Ok((mtype, item));
    }
    match item.extract() {
        Ok((mtype, data)) => Ok((mtype, data)),
        Err(error) if item.len().is_ok_and(|len| len == 2) => Err(error),
        Err(_) => Err(PyTypeError::new_err("a message is a buffer or a pair (type, buffer)")),
    }
}

/// What `send_many` did before it ended, and why it ended early.
pub(super) struct Sent {
    pub(super) count: usize,
    pub(super) early: Option<PyErr>,
}

/// Sends all messages that go before the time is up or an error comes. Nothing is sent if one of
/// them is no message, or can never fit.
pub(super) fn send_many(
    py: Python<'_>,
    queue: core::MessageQueue,
    messages: &Bound<'_, PyAny>,
    mtype: MessageType,
    timeout: Timeout,
) -> PyResult<Sent> {
    let pairs: Vec<_> =
        messages.try_iter()?.map(|item| pair(item?, mtype)).collect::<PyResult<_>>()?;
    let texts: Vec<_> = pairs
        .iter()
        .map(|(mtype, data)| Ok((mtype.0, Bytes::new(data)?)))
        .collect::<PyResult<_>>()?;
    if let Some(longest) = texts.iter().map(|(_, bytes)| bytes.len()).max() {
        queue.check_text_len(longest)?;
    }
    let deadline = timeout.deadline();
    let mut outgoing = Outgoing::new(queue, 1);
    for (count, (mtype, bytes)) in texts.iter().enumerate() {
        outgoing.set_mtype(*mtype);
        let sent = load(&mut outgoing, bytes).and_then(|()| match outgoing.attempt() {
            Err(Errno::EAGAIN) if timeout != Timeout::ZERO => {
                wait_detached(py, deadline, |patience| attempt_to_send(&outgoing, patience))
            }
            answer => Ok(answer),
        });
        match sent {
            Ok(Ok(())) if (count + 1).is_multiple_of(TURN) => py.detach(|| {}),
            Ok(Ok(())) => {}
            Ok(Err(errno)) => {
                return Ok(Sent { count, early: Some(outgoing.error(errno).into()) });
            }
            Err(raised) => return Ok(Sent { count, early: Some(raised) }),
        }
    }
    Ok(Sent { count: texts.len(), early: None })
}

#[inline]
fn attempt_to_receive(incoming: &mut Incoming, patience: Patience) -> sys::Result<()> {
    match patience {
        Patience::None => incoming.attempt(),
        Patience::Until(deadline) => incoming.wait(&mut time_limit(deadline)?),
    }
}

/// Receives into `incoming`, and waits while there is no message.
#[inline]
pub(super) fn receive(py: Python<'_>, incoming: &mut Incoming, timeout: Timeout) -> PyResult<()> {
    let received = wait(py, timeout, |patience| attempt_to_receive(incoming, patience))?;
    Ok(received.map_err(|errno| incoming.error(errno))?)
}

/// As [`receive`]; `false` when the time is up.
pub(super) fn receive_in_time(
    py: Python<'_>,
    incoming: &mut Incoming,
    timeout: Timeout,
) -> PyResult<bool> {
    let received = wait(py, timeout, |patience| attempt_to_receive(incoming, patience))?;
    in_time(incoming, received)
}

fn in_time(incoming: &Incoming, received: sys::Result<()>) -> PyResult<bool> {
    match received {
        Ok(()) => Ok(true),
        Err(Errno::ENOMSG | Errno::EAGAIN) => Ok(false),
        Err(errno) => Err(incoming.error(errno).into()),
    }
}

/// Receives into `incoming` if there is a message.
#[inline]
pub(super) fn try_receive(incoming: &mut Incoming) -> PyResult<bool> {
    let received = incoming.attempt();
    in_time(incoming, received)
}

/// The message that `incoming` holds. Without memory for it, it goes back into the queue.
#[inline]
pub(super) fn message(py: Python<'_>, incoming: &Incoming) -> PyResult<Message> {
    match buffer::new_bytes(py, incoming.text()) {
        Ok(data) => Ok(Message::of(incoming.mtype(), data)),
        Err(error) => Err(given_back(py, incoming, error)),
    }
}

/// As [`message`], as a Python object.
pub(super) fn message_object(py: Python<'_>, incoming: &Incoming) -> PyResult<Py<Message>> {
    let message = message(py, incoming)?;
    Py::new(py, message).map_err(|error| given_back(py, incoming, error))
}

/// Sends a message back that could not be handed over; says so if that fails too.
#[cold]
fn given_back(py: Python<'_>, incoming: &Incoming, error: PyErr) -> PyErr {
    match incoming.give_back() {
        Ok(()) => error,
        Err(errno) => {
            let text =
                format!("a message is lost: there was no memory for it, and {}", errno.desc());
            let lost = PyMemoryError::new_err(text);
            lost.set_cause(py, Some(error));
            lost
        }
    }
}

/// The text of `incoming`, which fits by its `max_size`, in a buffer; its type and length.
pub(super) fn hand_over(incoming: &Incoming, buffer: &WritableBytes) -> (i64, usize) {
    (incoming.mtype(), buffer.copy_from(incoming.text()))
}

/// The message that `incoming` holds and those that are there already, `limit` at most. Never
/// raises: an error comes with the next call.
pub(super) fn rest<'py>(
    py: Python<'py>,
    incoming: &mut Incoming,
    limit: usize,
    messages: Bound<'py, PyList>,
) -> PyResult<Bound<'py, PyList>> {
    loop {
        let appended = message_object(py, incoming).and_then(|message| {
            messages.append(message).map_err(|error| given_back(py, incoming, error))
        });
        match appended {
            Err(error) if messages.is_empty() => return Err(error),
            Err(_) => return Ok(messages),
            Ok(()) if messages.len() >= limit => return Ok(messages),
            Ok(()) if messages.len().is_multiple_of(TURN) => py.detach(|| {}),
            Ok(()) => {}
        }
        if incoming.attempt().is_err() {
            return Ok(messages);
        }
    }
}

/// The bytes of a peeked message.
pub(super) fn copied(py: Python<'_>, incoming: &Incoming) -> PyResult<Message> {
    Ok(Message::of(incoming.mtype(), buffer::new_bytes(py, incoming.text())?))
}
