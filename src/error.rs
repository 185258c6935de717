//! The one error type of the crate.

use std::borrow::Cow;
use std::fmt;

use nix::errno::Errno;

use crate::ipc::{Key, Kind};
use crate::system::Limit;

/// What the operations of this crate answer.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong, apart from the errno: the kernel uses one errno for several of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An object with this key exists already.
    AlreadyExists,
    /// No object has this key.
    NotFound,
    /// The object has been removed.
    Removed,
    /// The object's mode or owner forbids it.
    AccessDenied,
    /// The object belongs to somebody else than it was asked to belong to.
    UntrustedOwner,
    /// It would have to wait, or the time was up.
    TimedOut,
    /// A signal came while waiting.
    Interrupted,
    /// A limit of the kernel is reached.
    LimitExceeded,
    /// The message is larger than the buffer, the queue, or any queue may take.
    MessageTooBig,
    /// Anything else; the errno tells.
    Other,
}

/// Which object an operation was about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Subject {
    None,
    Key(Kind, Key),
    Id(Kind, i32),
}

const MISSING: &str = "the call is missing here: kernels without CONFIG_SYSVIPC, Android and some \
                       sandboxes lack it";

/// A failed operation: the system call, its errno, the object, and what to do about it.
///
/// ```
/// use sysv_ipc_rs::{ErrorKind, ipc::Key, sem::SemaphoreSet};
///
/// let error = SemaphoreSet::open(Key::new(0x5eed_0001), 0).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::NotFound);
/// assert_eq!(error.call(), "semget");
/// assert!(error.to_string().contains("0x5eed0001"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error(Box<Parts>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Parts {
    kind: ErrorKind,
    call: &'static str,
    errno: Errno,
    subject: Subject,
    limit: Option<Limit>,
    explanation: Option<Cow<'static, str>>,
}

impl Error {
    /// What the errno alone says. The modules of the three kinds know more.
    #[cold]
    pub(crate) fn new(call: &'static str, errno: Errno, subject: Subject) -> Self {
        let kind = match errno {
            Errno::EEXIST => ErrorKind::AlreadyExists,
            Errno::ENOENT => ErrorKind::NotFound,
            Errno::EIDRM => ErrorKind::Removed,
            Errno::EACCES | Errno::EPERM => ErrorKind::AccessDenied,
            Errno::EAGAIN | Errno::ENOMSG => ErrorKind::TimedOut,
            Errno::EINTR => ErrorKind::Interrupted,
            Errno::ENOSPC | Errno::ENOMEM | Errno::ERANGE => ErrorKind::LimitExceeded,
            _ => ErrorKind::Other,
        };
        let explanation = (errno == Errno::ENOSYS).then_some(Cow::Borrowed(MISSING));
        let parts = Parts { kind, call, errno, subject, limit: None, explanation };
        Self(Box::new(parts))
    }

    /// An errno that is about no object.
    pub(crate) fn from_errno(call: &'static str, errno: Errno) -> Self {
        Self::new(call, errno, Subject::None)
    }

    pub(crate) fn of_kind(mut self, kind: ErrorKind) -> Self {
        self.0.kind = kind;
        self
    }

    pub(crate) fn because(mut self, explanation: impl Into<Cow<'static, str>>) -> Self {
        self.0.explanation = Some(explanation.into());
        self
    }

    /// Names the limit that was hit.
    pub(crate) fn at_limit(mut self, limit: Limit) -> Self {
        self.0.limit = Some(limit);
        self
    }

    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The system call that failed.
    #[must_use]
    pub fn call(&self) -> &'static str {
        self.0.call
    }

    /// The errno: the kernel's own, but `EIDRM` for every removed object and `ETIMEDOUT` for every
    /// wait that is over, which the kernel tells in several ways.
    #[must_use]
    pub fn errno(&self) -> Errno {
        match self.0.kind {
            ErrorKind::Removed => Errno::EIDRM,
            ErrorKind::TimedOut => Errno::ETIMEDOUT,
            ErrorKind::UntrustedOwner => Errno::EPERM,
            _ => self.0.errno,
        }
    }

    /// The limit that was hit, where the error is about one.
    #[must_use]
    pub fn limit(&self) -> Option<&Limit> {
        self.0.limit.as_ref()
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => Ok(()),
            Self::Key(kind, Key::PRIVATE) => write!(f, " of a private {kind}"),
            Self::Key(kind, key) => write!(f, " of the {kind} with key {key}"),
            Self::Id(kind, id) => write!(f, " on the {kind} with id {id}"),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Parts { call, subject, limit, explanation, .. } = &*self.0;
        write!(f, "{call}{subject}: ")?;
        match explanation {
            Some(text) => f.write_str(text)?,
            None => f.write_str(self.errno().desc())?,
        }
        limit.iter().try_for_each(|limit| write!(f, "; {limit}"))
    }
}

impl std::error::Error for Error {}

impl From<Error> for std::io::Error {
    fn from(error: Error) -> Self {
        Self::from(error.errno())
    }
}
