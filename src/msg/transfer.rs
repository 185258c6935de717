//! One message on its way into a queue or out of it: the tries, the wait, the errors.

use std::ffi::{c_int, c_long};

use nix::errno::Errno;

use super::{MessageQueue, Selection};
use crate::error::{Error, ErrorKind};
use crate::ipc::Control;
use crate::sys;
use crate::sys::packet::Packet;
use crate::system::Limit;
use crate::wait::TimeLimit;

/// The longest text that a queue can hold: the kernel counts in `int`.
const TEXT_MAX: usize = c_int::MAX as usize;

/// By how much the room for an incoming message grows when it doesn't fit.
const GROWTH: usize = 8;

/// A message to be sent.
pub(crate) struct Outgoing {
    queue: MessageQueue,
    packet: Packet,
}

impl Outgoing {
    #[inline]
    pub(crate) fn new(queue: MessageQueue, mtype: i64) -> Self {
        let mut packet = Packet::new();
        packet.set_mtype(mtype);
        Self { queue, packet }
    }

    #[inline]
    pub(crate) fn set_text(&mut self, text: &[u8]) -> sys::Result<()> {
        self.packet.set_text(text).map_err(|_| Errno::ENOMEM)
    }

    #[cfg(feature = "python")]
    pub(crate) fn set_mtype(&mut self, mtype: i64) {
        self.packet.set_mtype(mtype);
    }

    #[cfg(feature = "python")]
    pub(crate) fn packet_mut(&mut self) -> &mut Packet {
        &mut self.packet
    }

    /// Sends now or not at all. A message that could never fit is E2BIG, not EAGAIN.
    #[inline]
    pub(crate) fn attempt(&self) -> sys::Result<()> {
        match sys::msgsnd(self.queue.id, &self.packet, libc::IPC_NOWAIT) {
            // The kernel would let it wait for ever.
            Err(Errno::EAGAIN) if self.exceeds_queue().is_some() => Err(Errno::E2BIG),
            answer => answer,
        }
    }

    /// Waits for room.
    pub(crate) fn wait(&self, limit: &mut TimeLimit) -> sys::Result<()> {
        limit.run(|may_wait| {
            let flags = if may_wait { 0 } else { libc::IPC_NOWAIT };
            sys::msgsnd(self.queue.id, &self.packet, flags)
        })
    }

    /// The queue's `max_bytes`, if the message is larger.
    fn exceeds_queue(&self) -> Option<u64> {
        let max_bytes = MessageQueue::stat_raw(self.queue.id).ok()?.msg_qbytes;
        never_fits(self.packet.text_len() as u64, max_bytes).then_some(max_bytes)
    }

    #[cold]
    pub(crate) fn error(&self, errno: Errno) -> Error {
        let (len, mtype) = (self.packet.text_len() as u64, self.packet.mtype());
        let error = MessageQueue::error("msgsnd", errno, self.queue.id);
        match errno {
            Errno::EAGAIN => error.because("the queue is full, the time was up, nothing was sent"),
            Errno::E2BIG => over_max_bytes(error, len, self.exceeds_queue().unwrap_or(0)),
            Errno::EINVAL if error.kind() != ErrorKind::Other => error,
            Errno::EINVAL if mtype < 1 => {
                error.because(format!("{mtype} is no type: types are above 0"))
            }
            Errno::EINVAL => over_msgmax(error, len),
            Errno::EINTR => error.because("a signal came while waiting, and nothing was sent"),
            _ => error,
        }
    }
}

impl MessageQueue {
    /// Succeeds if a message waits, and takes nothing: there is no room for any text. Only an empty
    /// message is taken by that, and sent back.
    pub(crate) fn sense(self, selection: Selection, flags: c_int) -> sys::Result<()> {
        let mut packet = Packet::new();
        let flags = flags | selection.flags();
        match sys::msgrcv(self.id, &mut packet, 0, selection.msgtyp, flags) {
            Err(Errno::E2BIG) => Ok(()),
            Ok(()) => sys::msgsnd(self.id, &packet, libc::IPC_NOWAIT),
            Err(errno) => Err(errno),
        }
    }

    /// What an errno of `msgrcv` means.
    pub(crate) fn receive_error(self, errno: Errno) -> Error {
        Incoming::new(self, Selection::ANY, None, false).error(errno)
    }

    /// Refuses a length that no message of this queue can have now.
    #[cfg(feature = "python")]
    pub(crate) fn check_text_len(self, len: usize) -> crate::Result<()> {
        let len = len as u64;
        let limit = Limit::now("MSGMAX", |limits| limits.msgmax, None);
        if len > limit.value {
            return Err(over_msgmax(
                Error::new("msgsnd", Errno::EINVAL, Self::subject(self.id)),
                len,
            ));
        }
        match Self::stat_raw(self.id) {
            Ok(ds) if never_fits(len, ds.msg_qbytes) => {
                let error = Error::new("msgsnd", Errno::E2BIG, Self::subject(self.id));
                Err(over_max_bytes(error, len, ds.msg_qbytes))
            }
            _ => Ok(()),
        }
    }
}

/// Whether a queue can't hold such a message even when it is empty: it takes as many messages as
/// bytes, so an empty one counts as well.
fn never_fits(len: u64, max_bytes: u64) -> bool {
    len.max(1) > max_bytes
}

fn over_msgmax(error: Error, len: u64) -> Error {
    error
        .of_kind(ErrorKind::MessageTooBig)
        .because(format!("a message of {len} bytes is too large for any queue"))
        .at_limit(Limit::now("MSGMAX", |limits| limits.msgmax, None))
}

fn over_max_bytes(error: Error, len: u64, max_bytes: u64) -> Error {
    error.of_kind(ErrorKind::MessageTooBig).because(format!(
        "a message of {len} bytes never fits into this queue, whose max_bytes is {max_bytes}"
    ))
}

/// A message to be received.
pub(crate) struct Incoming {
    queue: MessageQueue,
    packet: Packet,
    msgtyp: c_long,
    flags: c_int,
    max_size: Option<usize>,
    truncate: bool,
}

impl Incoming {
    /// A message of at most `max_size` bytes; a longer one stays where it is, unless `truncate`.
    #[inline]
    pub(crate) fn new(
        queue: MessageQueue,
        selection: Selection,
        max_size: Option<usize>,
        truncate: bool,
    ) -> Self {
        let (msgtyp, flags) = (selection.msgtyp, selection.flags());
        Self { queue, packet: Packet::new(), msgtyp, flags, max_size, truncate }
    }

    pub(crate) fn peek(queue: MessageQueue, index: u32) -> Self {
        let (msgtyp, flags) = (c_long::from(index), libc::MSG_COPY | libc::IPC_NOWAIT);
        Self { queue, packet: Packet::new(), msgtyp, flags, max_size: None, truncate: false }
    }

    /// Receives now or not at all.
    #[inline]
    pub(crate) fn attempt(&mut self) -> sys::Result<()> {
        self.receive(libc::IPC_NOWAIT)
    }

    /// Waits for a message.
    pub(crate) fn wait(&mut self, limit: &mut TimeLimit) -> sys::Result<()> {
        limit.run(|may_wait| self.receive(if may_wait { 0 } else { libc::IPC_NOWAIT }))
    }

    /// Receives into room that always suffices: too little would leave the message in the queue,
    /// and is then made more; too little memory behind it would lose the message.
    fn receive(&mut self, flags: c_int) -> sys::Result<()> {
        let largest = self.max_size.unwrap_or(TEXT_MAX).min(TEXT_MAX);
        loop {
            let room = self.packet.room().min(largest);
            let cut = if self.truncate && room == largest { libc::MSG_NOERROR } else { 0 };
            let (packet, flags) = (&mut self.packet, flags | cut | self.flags);
            match sys::msgrcv(self.queue.id, packet, room, self.msgtyp, flags) {
                Err(Errno::E2BIG) if room < largest => {
                    let room = (room * GROWTH).min(largest);
                    self.packet.make_room(room).map_err(|_| Errno::ENOMEM)?;
                }
                answer => return answer,
            }
        }
    }

    /// Sends the message back, to the queue's end.
    #[cfg(feature = "python")]
    pub(crate) fn give_back(&self) -> sys::Result<()> {
        sys::msgsnd(self.queue.id, &self.packet, libc::IPC_NOWAIT)
    }

    pub(crate) fn mtype(&self) -> i64 {
        self.packet.mtype()
    }

    pub(crate) fn text(&self) -> &[u8] {
        self.packet.text()
    }

    #[cold]
    pub(crate) fn error(&self, errno: Errno) -> Error {
        let error = MessageQueue::error("msgrcv", errno, self.queue.id);
        let peeks = self.flags & libc::MSG_COPY != 0;
        match errno {
            Errno::ENOMSG | Errno::EAGAIN => error.because("no such message came in time"),
            Errno::E2BIG => error.of_kind(ErrorKind::MessageTooBig).because(format!(
                "the message is larger than {} bytes; it stays in the queue",
                self.max_size.unwrap_or(TEXT_MAX)
            )),
            Errno::EINTR => error.because("a signal came while waiting, and nothing was taken"),
            Errno::ENOSYS if peeks => error.because(
                "MSG_COPY is missing: this kernel was built without CONFIG_CHECKPOINT_RESTORE",
            ),
            _ => error,
        }
    }
}
