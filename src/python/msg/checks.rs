//! Arguments of a queue's calls, checked before they wait, for `sysv_ipc_rs.aio`.

use pyo3::prelude::*;

use super::message::Message;
use super::types::{Limit, MaxSize, MessageType, WantedType, selection};
use super::{MessageQueue, transfer};
use crate::python::buffer::{Slot, WritableBytes};
use crate::python::convert::Flag;

/// `type`, `exclude`, `max_size` and `limit` as the receiving calls of `MessageQueue` take them.
#[pyfunction]
#[pyo3(
    signature = (r#type, exclude, max_size=MaxSize::ANY, limit=Limit::ONE),
    text_signature = "(type, exclude, max_size=None, limit=1)"
)]
pub(in crate::python) fn checked_selection(
    r#type: WantedType,
    exclude: Flag,
    max_size: MaxSize,
    limit: Limit,
) -> PyResult<(i64, bool, Option<usize>, usize)> {
    selection(r#type, exclude)?;
    Ok((r#type.0, exclude.0, max_size.0, limit.0))
}

/// Refuses what `MessageQueue.receive_into` could not write to.
#[pyfunction]
pub(in crate::python) fn check_target(buffer: &Bound<'_, PyAny>) -> PyResult<()> {
    WritableBytes::new(buffer, &mut Slot::new()).map(drop)
}

/// The messages of a call of `MessageQueue.send_many`, as they are now; each could fit.
#[pyfunction]
pub(in crate::python) fn checked_messages(
    queue: &MessageQueue,
    messages: &Bound<'_, PyAny>,
    r#type: MessageType,
) -> PyResult<Vec<Message>> {
    transfer::messages(messages.py(), queue.0, messages, r#type)
}
