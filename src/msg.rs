//! Message queues.
//!
//! # References
//! - [msgget(2)](https://man7.org/linux/man-pages/man2/msgget.2.html)
//! - [msgop(2)](https://man7.org/linux/man-pages/man2/msgop.2.html)
//! - [msgctl(2)](https://man7.org/linux/man-pages/man2/msgctl.2.html)

use std::ffi::{c_int, c_long};

use libc::msqid_ds;
use nix::errno::Errno;

use crate::error::{Error, ErrorKind, Result, Subject};
use crate::ipc::{
    Control, GetFlags, Key, Kind, Mode, PermissionChange, Permissions, Time, open_or_create,
};
use crate::sys;
use crate::system::Limit;
use crate::wait::{Deadline, TimeLimit};

mod transfer;

pub(crate) use crate::sys::packet::Room;
#[cfg(feature = "python")]
pub(crate) use transfer::PEEKED;
pub(crate) use transfer::{Incoming, Outgoing};

/// A message as it was received: its type, always above 0, and its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Message {
    /// The type.
    pub mtype: i64,
    /// The bytes.
    pub data: Vec<u8>,
}

/// Which message to take: `msgtyp` of `msgrcv`, and whether `MSG_EXCEPT` turns it round.
///
/// ```
/// use sysv_ipc_rs::{ipc::{Key, Mode}, msg::{MessageQueue, Selection}};
/// let queue = MessageQueue::create(Key::PRIVATE, Mode::default())?;
/// for mtype in [4, 3, 2] {
///     queue.send(mtype, b"")?;
/// }
/// assert_eq!(queue.receive(Selection::lowest_up_to(3))?.mtype, 2);
/// assert_eq!(queue.receive(Selection::except(4))?.mtype, 3);
/// assert_eq!(queue.receive(Selection::ANY)?.mtype, 4);
/// queue.remove()?;
/// # Ok::<(), sysv_ipc_rs::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Selection {
    msgtyp: c_long,
    except: bool,
}

impl Selection {
    /// The first message, whatever its type.
    pub const ANY: Self = Self { msgtyp: 0, except: false };

    /// The first message of this type (as `msgtyp` itself: 0 is any, below 0 as
    /// [`Self::lowest_up_to`]).
    #[must_use]
    pub const fn of(mtype: i64) -> Self {
        Self { msgtyp: mtype, except: false }
    }

    /// The first message of any other type.
    #[must_use]
    pub const fn except(mtype: i64) -> Self {
        Self { msgtyp: mtype, except: true }
    }

    /// The first message of the lowest type that is at most `mtype` (below 0: its absolute value;
    /// 0: any).
    #[must_use]
    pub const fn lowest_up_to(mtype: i64) -> Self {
        Self { msgtyp: -mtype.saturating_abs(), except: false }
    }

    fn flags(self) -> c_int {
        if self.except { libc::MSG_EXCEPT } else { 0 }
    }
}

/// What the kernel tells about a queue (`struct msqid_ds`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MessageQueueStat {
    /// The queue's id.
    pub id: i32,
    /// Owner, creator, key and mode.
    pub permissions: Permissions,
    /// Time of the last send, in seconds since the epoch; 0 = never.
    pub stime: Time,
    /// Time of the last receive; 0 = never.
    pub rtime: Time,
    /// Time of creation or of the last change by `msgctl`.
    pub ctime: Time,
    /// Bytes of all messages in the queue.
    pub current_bytes: u64,
    /// Messages in the queue.
    pub messages: u64,
    /// How many bytes the queue may hold.
    pub max_bytes: u64,
    /// Process of the last send; 0 = none.
    pub last_send_pid: i32,
    /// Process of the last receive; 0 = none.
    pub last_receive_pid: i32,
}

impl MessageQueueStat {
    pub(crate) fn new(id: i32, ds: msqid_ds) -> Self {
        Self {
            id,
            permissions: ds.msg_perm.into(),
            stime: ds.msg_stime,
            rtime: ds.msg_rtime,
            ctime: ds.msg_ctime,
            current_bytes: ds.__msg_cbytes,
            messages: ds.msg_qnum,
            max_bytes: ds.msg_qbytes,
            last_send_pid: ds.msg_lspid,
            last_receive_pid: ds.msg_lrpid,
        }
    }
}

/// A handle on a message queue. Copying or dropping it does nothing to the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MessageQueue {
    id: i32,
    key: Key,
}

impl Control for MessageQueue {
    const KIND: Kind = Kind::MessageQueue;
    const CALL: &'static str = "msgctl";
    const STAT_ANY: c_int = sys::MSG_STAT_ANY;
    type Ds = msqid_ds;

    fn ctl_stat(id: i32, cmd: c_int) -> sys::Result<(c_int, msqid_ds)> {
        sys::msgctl_stat(id, cmd)
    }

    fn ctl_set(id: i32, ds: &msqid_ds) -> sys::Result<()> {
        sys::msgctl_set(id, ds)
    }

    fn ctl_rmid(id: i32) -> sys::Result<()> {
        sys::msgctl(id, libc::IPC_RMID).map(drop)
    }

    fn perm(ds: &mut msqid_ds) -> &mut libc::ipc_perm {
        &mut ds.msg_perm
    }

    /// `IPC_SET`, which always sets the queue's `max_bytes` too: MSGMNB may be lower by now.
    fn set_ds(id: i32, ds: &msqid_ds) -> Result<()> {
        Self::ctl_set(id, ds).map_err(|errno| {
            let error = Self::error(Self::CALL, errno, id);
            let limit = Limit::now("MSGMNB", |limits| limits.msgmnb, None);
            if errno != Errno::EPERM || ds.msg_qbytes <= limit.value {
                return error;
            }
            let text = format!(
                "a max_bytes of {} needs CAP_SYS_RESOURCE besides the rights of its owner",
                ds.msg_qbytes
            );
            error.because(text).at_limit(limit)
        })
    }
}

fn get(key: Key, flags: GetFlags, mode: Mode) -> Result<i32> {
    key.named_unless(flags, Kind::MessageQueue, "msgget")?;
    sys::msgget(key.get(), flags.bits() | mode.flags()).map_err(|errno| {
        let error = Error::new("msgget", errno, Subject::Key(Kind::MessageQueue, key));
        match errno {
            Errno::ENOENT => error.because("no message queue has this key"),
            Errno::EEXIST => error.because("a message queue with this key exists already"),
            Errno::EACCES => error.because("the queue's mode does not allow us that"),
            Errno::ENOSPC => error.because("no room for another queue").at_limit(Limit::now(
                "MSGMNI",
                |limits| limits.msgmni,
                Some(|usage| usage.message_queues),
            )),
            _ => error,
        }
    })
}

impl MessageQueue {
    /// `msgget(key, IPC_CREAT | IPC_EXCL)`—creates a queue; [`Key::PRIVATE`] for one that no key
    /// leads to.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`]; [`ErrorKind::LimitExceeded`] at MSGMNI.
    ///
    /// ```
    /// use sysv_ipc_rs::{ErrorKind, ipc::{Key, Mode}, msg::MessageQueue};
    /// let key = Key::from_name("sysv_ipc_rs::msg::create");
    /// let queue = MessageQueue::create(key, Mode::default())?;
    /// assert_eq!(MessageQueue::open(key)?.id(), queue.id());
    /// let again = MessageQueue::create(key, Mode::default());
    /// assert_eq!(again.unwrap_err().kind(), ErrorKind::AlreadyExists);
    /// queue.remove()?;
    /// # Ok::<(), sysv_ipc_rs::Error>(())
    /// ```
    #[doc(alias = "msgget")]
    pub fn create(key: Key, mode: Mode) -> Result<Self> {
        get(key, GetFlags::CREATE | GetFlags::EXCLUSIVE, mode).map(|id| Self { id, key })
    }

    /// As [`Self::create`], with `max_bytes` for what the queue may hold (`None`: MSGMNB).
    ///
    /// # Errors
    /// As [`Self::create`] and [`Self::set_max_bytes`]. Then nothing is left behind.
    pub fn create_sized(key: Key, mode: Mode, max_bytes: Option<u64>) -> Result<Self> {
        let queue = Self::create(key, mode)?;
        let sized = max_bytes.map_or(Ok(()), |max_bytes| queue.set_max_bytes(max_bytes));
        if sized.is_err() {
            let _ = queue.remove();
        }
        sized.map(|()| queue)
    }

    /// Opens the queue that has this key, or creates it.
    ///
    /// `mode` and `max_bytes` are for a new one; `owner` refuses one that isn't that user's alone,
    /// and is never created for another user than ours.
    ///
    /// # Errors
    /// As [`Self::open`], [`Self::create_sized`] and [`Self::check_owner`].
    pub fn open_or_create(
        key: Key,
        mode: Mode,
        max_bytes: Option<u64>,
        owner: Option<u32>,
    ) -> Result<Self> {
        open_or_create(
            owner,
            || Self::open(key)?.owned_by(owner),
            || Self::create_sized(key, mode, max_bytes),
        )
    }

    fn owned_by(self, owner: Option<u32>) -> Result<Self> {
        <Self as Control>::check_owner(self.id, owner).map(|()| self)
    }

    /// `msgget(key, 0)`—opens the queue that has this key.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`]; [`ErrorKind::AccessDenied`].
    #[doc(alias = "msgget")]
    pub fn open(key: Key) -> Result<Self> {
        get(key, GetFlags::empty(), Mode::NONE).map(|id| Self { id, key })
    }

    /// The queue that has this id.
    ///
    /// # Errors
    /// [`ErrorKind::Removed`] if no queue has it; [`ErrorKind::AccessDenied`] if the kernel tells
    /// nothing about it.
    pub fn from_id(id: i32) -> Result<Self> {
        let ds = Self::stat_ds(id)?;
        Ok(Self { id, key: Key::new(ds.msg_perm.__key) })
    }

    /// Refuses the queue unless `owner` both owns and created it.
    ///
    /// # Errors
    /// [`ErrorKind::UntrustedOwner`].
    pub fn check_owner(&self, owner: u32) -> Result<()> {
        <Self as Control>::check_owner(self.id, Some(owner))
    }

    /// The kernel's number for the queue.
    #[must_use]
    pub const fn id(&self) -> i32 {
        self.id
    }

    /// The key by which it was found or made.
    #[must_use]
    pub const fn key(&self) -> Key {
        self.key
    }

    /// `msgctl(id, IPC_STAT)`—owner, mode, times, and what is in it.
    ///
    /// Where the mode forbids that, by `MSG_STAT_ANY`.
    ///
    /// # Errors
    /// [`ErrorKind::Removed`]; [`ErrorKind::AccessDenied`].
    #[doc(alias = "IPC_STAT")]
    pub fn stat(&self) -> Result<MessageQueueStat> {
        Self::stat_ds(self.id).map(|ds| MessageQueueStat::new(self.id, ds))
    }

    /// `msgctl(id, IPC_SET)`—changes owner, group or mode: one read and one write.
    ///
    /// # Errors
    /// [`ErrorKind::Removed`]; [`ErrorKind::AccessDenied`] for others than owner and creator, and
    /// for a queue whose `max_bytes` is above MSGMNB, without `CAP_SYS_RESOURCE`.
    #[doc(alias = "IPC_SET")]
    pub fn set_permissions(&self, change: PermissionChange) -> Result<()> {
        Self::change(self.id, change)
    }

    /// `msgctl(id, IPC_SET)`—changes how many bytes the queue may hold; waiting senders look again.
    ///
    /// # Errors
    /// [`ErrorKind::AccessDenied`] for others than owner and creator, and for more than MSGMNB
    /// without `CAP_SYS_RESOURCE`; `EINVAL` for more than an `int` holds.
    ///
    /// ```
    /// use sysv_ipc_rs::{ipc::{Key, Mode}, msg::MessageQueue};
    /// let queue = MessageQueue::create(Key::PRIVATE, Mode::default())?;
    /// queue.set_max_bytes(100)?;
    /// assert_eq!(queue.stat()?.max_bytes, 100);
    /// queue.remove()?;
    /// # Ok::<(), sysv_ipc_rs::Error>(())
    /// ```
    #[doc(alias = "msg_qbytes")]
    pub fn set_max_bytes(&self, max_bytes: u64) -> Result<()> {
        // The kernel would take the low 32 bits alone.
        if c_int::try_from(max_bytes).is_err() {
            let error = Error::new(Self::CALL, Errno::EINVAL, Self::subject(self.id));
            return Err(error.because(format!("max_bytes {max_bytes} is above {}", c_int::MAX)));
        }
        let mut ds = Self::stat_ds(self.id)?;
        ds.msg_qbytes = max_bytes;
        Self::set_ds(self.id, &ds)
    }

    /// `msgctl(id, IPC_RMID)`—removes the queue and all messages in it at once; who waits on it is
    /// told so.
    ///
    /// # Errors
    /// [`ErrorKind::Removed`] if it is gone; [`ErrorKind::AccessDenied`].
    #[doc(alias = "IPC_RMID")]
    pub fn remove(&self) -> Result<()> {
        Self::remove_id(self.id)
    }

    /// `msgsnd(id, …)`—sends a message, and waits while the queue is full.
    ///
    /// # Errors
    /// [`ErrorKind::MessageTooBig`] if it can never fit; [`ErrorKind::Removed`], also while
    /// waiting; [`ErrorKind::Interrupted`]; `EINVAL` for a type below 1.
    #[doc(alias = "msgsnd")]
    pub fn send(&self, mtype: i64, data: &[u8]) -> Result<()> {
        self.send_deadline(mtype, data, Deadline::NEVER)
    }

    /// As [`Self::send`], but waits no longer than until `deadline`.
    ///
    /// # Errors
    /// As [`Self::send`]; [`ErrorKind::TimedOut`] at the deadline, with nothing sent.
    ///
    /// ```
    /// use std::time::Duration;
    /// use sysv_ipc_rs::{ErrorKind, wait::Deadline, ipc::{Key, Mode}, msg::MessageQueue};
    /// let queue = MessageQueue::create(Key::PRIVATE, Mode::default())?;
    /// queue.set_max_bytes(3)?;
    /// queue.send(1, b"abc")?;
    /// let late = queue.send_deadline(1, b"d", Deadline::after(Duration::from_millis(2)));
    /// assert_eq!(late.unwrap_err().kind(), ErrorKind::TimedOut);
    /// queue.remove()?;
    /// # Ok::<(), sysv_ipc_rs::Error>(())
    /// ```
    pub fn send_deadline(&self, mtype: i64, data: &[u8], deadline: Deadline) -> Result<()> {
        let mut room = Room::new();
        let mut outgoing = Outgoing::new(&mut room, *self, mtype);
        let sent = outgoing.set_text(data).and_then(|()| match outgoing.attempt() {
            Err(Errno::EAGAIN) if !deadline.passed() => {
                outgoing.wait(&mut TimeLimit::new(deadline))
            }
            answer => answer,
        });
        sent.map_err(|errno| outgoing.error(errno))
    }

    /// `msgsnd` with `IPC_NOWAIT`—sends now, or tells that the queue is full.
    ///
    /// # Errors
    /// As [`Self::send`], without waiting.
    pub fn try_send(&self, mtype: i64, data: &[u8]) -> Result<bool> {
        match self.send_deadline(mtype, data, Deadline::PASSED) {
            Err(error) if error.kind() == ErrorKind::TimedOut => Ok(false),
            answer => answer.map(|()| true),
        }
    }

    /// `msgrcv(id, …)`—takes a message, and waits while there is none.
    ///
    /// # Errors
    /// [`ErrorKind::Removed`], also while waiting; [`ErrorKind::AccessDenied`], likewise;
    /// [`ErrorKind::Interrupted`].
    #[doc(alias = "msgrcv")]
    pub fn receive(&self, selection: Selection) -> Result<Message> {
        self.receive_deadline(selection, Deadline::NEVER)
    }

    /// As [`Self::receive`], but waits no longer than until `deadline`.
    ///
    /// # Errors
    /// As [`Self::receive`]; [`ErrorKind::TimedOut`] at the deadline.
    ///
    /// ```
    /// use std::time::Duration;
    /// use sysv_ipc_rs::{ErrorKind, wait::Deadline, ipc::{Key, Mode}};
    /// use sysv_ipc_rs::msg::{MessageQueue, Selection};
    /// let queue = MessageQueue::create(Key::PRIVATE, Mode::default())?;
    /// let late = queue.receive_deadline(Selection::ANY, Deadline::after(Duration::from_millis(2)));
    /// assert_eq!(late.unwrap_err().kind(), ErrorKind::TimedOut);
    /// queue.remove()?;
    /// # Ok::<(), sysv_ipc_rs::Error>(())
    /// ```
    pub fn receive_deadline(&self, selection: Selection, deadline: Deadline) -> Result<Message> {
        let mut room = Room::new();
        let mut incoming = Incoming::new(&mut room, *self, selection, None, false);
        let received = match incoming.attempt() {
            Err(Errno::ENOMSG) if !deadline.passed() => {
                incoming.wait(&mut TimeLimit::new(deadline))
            }
            answer => answer,
        };
        received.map_err(|errno| incoming.error(errno))?;
        Ok(Message { mtype: incoming.mtype(), data: incoming.text().to_vec() })
    }

    /// `msgrcv` with `IPC_NOWAIT`—takes a message if there is one.
    ///
    /// # Errors
    /// As [`Self::receive`], without waiting.
    pub fn try_receive(&self, selection: Selection) -> Result<Option<Message>> {
        match self.receive_deadline(selection, Deadline::PASSED) {
            Err(error) if error.kind() == ErrorKind::TimedOut => Ok(None),
            answer => answer.map(Some),
        }
    }

    /// `msgrcv` with `MSG_COPY`—a copy of the message at place `index`, which stays in the queue;
    /// `None` if there is none.
    ///
    /// # Errors
    /// `ENOSYS` where the kernel was built without `CONFIG_CHECKPOINT_RESTORE`.
    ///
    /// ```
    /// use sysv_ipc_rs::{ipc::{Key, Mode}, msg::MessageQueue};
    /// let queue = MessageQueue::create(Key::PRIVATE, Mode::default())?;
    /// queue.send(5, b"stays")?;
    /// assert_eq!(queue.peek(0)?.unwrap().data, b"stays");
    /// assert_eq!(queue.peek(1)?, None);
    /// assert_eq!(queue.stat()?.messages, 1);
    /// queue.remove()?;
    /// # Ok::<(), sysv_ipc_rs::Error>(())
    /// ```
    #[doc(alias = "MSG_COPY")]
    pub fn peek(&self, index: u32) -> Result<Option<Message>> {
        let mut room = Room::new();
        let mut incoming = Incoming::peek(&mut room, *self, index, transfer::PEEKED);
        match incoming.attempt() {
            Ok(()) => Ok(Some(Message { mtype: incoming.mtype(), data: incoming.text().to_vec() })),
            Err(Errno::ENOMSG) => Ok(None),
            Err(errno) => Err(incoming.error(errno)),
        }
    }
}
