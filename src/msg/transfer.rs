//! One message on its way into a queue or out of it: the tries, the wait, the errors.

use std::ffi::{c_int, c_long};

use nix::errno::Errno;

use super::{MessageQueue, Selection};
use crate::error::{Error, ErrorKind};
use crate::ipc::Control;
#[cfg(feature = "python")]
use crate::ipc::Key;
use crate::sys;
use crate::sys::packet::{Packet, Room};
use crate::system::Limit;
use crate::wait::TimeLimit;

/// The longest text that a queue can hold: the kernel counts in `int`.
const TEXT_MAX: usize = c_int::MAX as usize;

/// By how much the room for an incoming message grows when it doesn't fit.
const GROWTH: usize = 8;

/// The room for a copy of a message, as long as nothing is known about a queue's messages.
pub(crate) const PEEKED: usize = 1024;

/// A message to be sent.
pub(crate) struct Outgoing<'room> {
    queue: MessageQueue,
    packet: Packet<'room>,
}

impl<'room> Outgoing<'room> {
    #[inline]
    pub(crate) fn new(room: &'room mut Room, queue: MessageQueue, mtype: i64) -> Self {
        let mut packet = Packet::new(room);
        packet.set_mtype(mtype);
        Self { queue, packet }
    }

    /// As `msgsnd` itself, whatever the id.
    #[cfg(feature = "python")]
    pub(crate) fn bare(room: &'room mut Room, id: i32, mtype: i64) -> Self {
        Self::new(room, MessageQueue { id, key: Key::PRIVATE }, mtype)
    }

    /// `msgsnd`, once.
    #[cfg(feature = "python")]
    pub(crate) fn call(&self, flags: c_int) -> sys::Result<()> {
        sys::msgsnd(self.queue.id, &self.packet, flags)
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
    pub(crate) fn queue(&self) -> MessageQueue {
        self.queue
    }

    #[cfg(feature = "python")]
    pub(crate) fn text_len(&self) -> usize {
        self.packet.text_len()
    }

    #[cfg(feature = "python")]
    pub(crate) fn packet_mut(&mut self) -> &mut Packet<'room> {
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
        let mut room = Room::new();
        let mut packet = Packet::new(&mut room);
        let flags = flags | selection.flags();
        match sys::msgrcv(self.id, &mut packet, 0, selection.msgtyp, flags) {
            Err(Errno::E2BIG) => Ok(()),
            Ok(()) => sys::msgsnd(self.id, &packet, libc::IPC_NOWAIT),
            Err(errno) => Err(errno),
        }
    }

    /// What an errno of `msgrcv` means.
    pub(crate) fn receive_error(self, errno: Errno) -> Error {
        Incoming::new(&mut Room::new(), self, Selection::ANY, None, false).error(errno)
    }

    /// Refuses a length that no message of this queue can have now.
    #[cfg(feature = "python")]
    pub(crate) fn check_text_len(self, len: usize) -> crate::Result<()> {
        let len = len as u64;
        let error = |errno| Error::new("msgsnd", errno, Self::subject(self.id));
        // What can't be asked, the kernel tells when it is tried.
        match (sys::msgctl_info(0, libc::IPC_INFO), Self::stat_raw(self.id)) {
            (_, Err(errno @ (Errno::EINVAL | Errno::EIDRM))) => {
                Err(Self::error("msgsnd", errno, self.id))
            }
            (Ok((_, info)), _) if i64::from(info.msgmax) < len.cast_signed() => {
                Err(over_msgmax(error(Errno::EINVAL), len))
            }
            (_, Ok(ds)) if never_fits(len, ds.msg_qbytes) => {
                Err(over_max_bytes(error(Errno::E2BIG), len, ds.msg_qbytes))
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
        .at_limit(msgmax())
}

fn msgmax() -> Limit {
    Limit::now("MSGMAX", |limits| limits.msgmax, None)
}

const MSGMAX_LOWERED: &str = "the message is older than the limit, which allows no copy of so large \
    a message; it can be received";

fn over_max_bytes(error: Error, len: u64, max_bytes: u64) -> Error {
    error.of_kind(ErrorKind::MessageTooBig).because(format!(
        "a message of {len} bytes never fits into this queue, whose max_bytes is {max_bytes}"
    ))
}

/// A message to be received.
pub(crate) struct Incoming<'room> {
    queue: MessageQueue,
    packet: Packet<'room>,
    msgtyp: c_long,
    flags: c_int,
    max_size: Option<usize>,
    truncate: bool,
    /// How much of the packet's room is offered.
    offered: usize,
}

impl<'room> Incoming<'room> {
    /// A message of at most `max_size` bytes; a longer one stays where it is, unless `truncate`.
    #[inline]
    pub(crate) fn new(
        room: &'room mut Room,
        queue: MessageQueue,
        selection: Selection,
        max_size: Option<usize>,
        truncate: bool,
    ) -> Self {
        let (msgtyp, flags) = (selection.msgtyp, selection.flags());
        let packet = Packet::new(room);
        Self { queue, packet, msgtyp, flags, max_size, truncate, offered: usize::MAX }
    }

    /// A copy of the message at place `index`. The kernel prepares as much room for a copy as is
    /// offered: `at_first` so much, and all there is if that doesn't suffice.
    pub(crate) fn peek(
        room: &'room mut Room,
        queue: MessageQueue,
        index: u32,
        at_first: usize,
    ) -> Self {
        let (msgtyp, flags) = (c_long::from(index), libc::MSG_COPY | libc::IPC_NOWAIT);
        let incoming = Self::new(room, queue, Selection::ANY, None, false);
        Self { msgtyp, flags, offered: at_first, ..incoming }
    }

    /// As `msgrcv` itself, whatever the id; with room for `at_first` of the `msgsz` bytes at first.
    #[cfg(feature = "python")]
    pub(crate) fn bare(
        room: &'room mut Room,
        id: i32,
        msgsz: usize,
        msgtyp: c_long,
        msgflg: c_int,
        at_first: usize,
    ) -> sys::Result<Self> {
        // To the kernel it is a signed number.
        let largest = isize::try_from(msgsz).map_err(|_| Errno::EINVAL)?.cast_unsigned();
        let mut packet = Packet::new(room);
        packet.make_room(largest.min(at_first)).map_err(|_| Errno::ENOMEM)?;
        Ok(Self {
            queue: MessageQueue { id, key: Key::PRIVATE },
            packet,
            msgtyp,
            flags: msgflg & !libc::MSG_NOERROR,
            max_size: Some(largest),
            truncate: msgflg & libc::MSG_NOERROR != 0,
            offered: usize::MAX,
        })
    }

    /// `msgrcv`, and again with more room while a message is there for which it doesn't suffice;
    /// E2BIG too for one of more than `most_room` bytes.
    #[cfg(feature = "python")]
    pub(crate) fn call(&mut self, most_room: usize) -> sys::Result<()> {
        self.receive(0, most_room)
    }

    /// Receives now or not at all.
    pub(crate) fn attempt(&mut self) -> sys::Result<()> {
        self.receive(libc::IPC_NOWAIT, TEXT_MAX)
    }

    /// As [`Self::attempt`], but E2BIG too for a message of more than `room` bytes, or a little
    /// more.
    #[cfg(feature = "python")]
    #[inline]
    pub(crate) fn attempt_up_to(&mut self, room: usize) -> sys::Result<()> {
        self.receive(libc::IPC_NOWAIT, room)
    }

    /// Waits for a message.
    pub(crate) fn wait(&mut self, limit: &mut TimeLimit) -> sys::Result<()> {
        limit.run(|may_wait| self.receive(if may_wait { 0 } else { libc::IPC_NOWAIT }, TEXT_MAX))
    }

    /// Receives into room that suffices: too little leaves the message in the queue, and is then
    /// made more, up to `most_room`; too little memory behind it would lose the message.
    #[inline]
    fn receive(&mut self, flags: c_int, most_room: usize) -> sys::Result<()> {
        let largest = self.max_size.unwrap_or(TEXT_MAX).min(TEXT_MAX);
        loop {
            let room = self.packet.room().min(self.offered).min(largest);
            let cut = if self.truncate && room == largest { libc::MSG_NOERROR } else { 0 };
            let (packet, flags) = (&mut self.packet, flags | cut | self.flags);
            match sys::msgrcv(self.queue.id, packet, room, self.msgtyp, flags) {
                Err(Errno::E2BIG) if room < largest.min(most_room) => self.grow(room, largest)?,
                answer => return answer,
            }
        }
    }

    /// Makes more room than `room`, but not more than for all that is in the queue.
    #[cold]
    fn grow(&mut self, room: usize, largest: usize) -> sys::Result<()> {
        self.offered = usize::MAX;
        if room < self.packet.room() {
            return Ok(());
        }
        let queued = MessageQueue::stat_raw(self.queue.id).map_or(0, |ds| ds.__msg_cbytes);
        let queued = usize::try_from(queued).ok().filter(|&queued| queued > room);
        let room = (room * GROWTH).min(queued.unwrap_or(TEXT_MAX)).min(largest);
        self.packet.make_room(room).map_err(|_| Errno::ENOMEM)
    }

    /// Sends the message back, to the queue's end, unless something of it may have been cut off.
    #[cfg(feature = "python")]
    pub(crate) fn give_back_whole(&self) -> bool {
        let whole = !self.truncate || self.max_size.is_none_or(|most| self.text().len() < most);
        whole && self.give_back().is_ok()
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
            Errno::EINVAL if peeks && error.kind() == ErrorKind::Other => {
                error.of_kind(ErrorKind::MessageTooBig).because(MSGMAX_LOWERED).at_limit(msgmax())
            }
            Errno::EINTR => error.because("a signal came while waiting, and nothing was taken"),
            Errno::ENOSYS if peeks => error.because(
                "MSG_COPY is missing: this kernel was built without CONFIG_CHECKPOINT_RESTORE",
            ),
            _ => error,
        }
    }
}
