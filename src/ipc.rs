//! What semaphore sets, message queues and shared memory have in common: keys, modes, owners, and
//! the way in which objects are created and opened.

use std::ffi::{CString, c_int};
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;
use sha2::{Digest, Sha256};

use crate::error::{Error, ErrorKind, Result, Subject};
use crate::sys;

/// One of the three kinds of object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A semaphore set.
    SemaphoreSet,
    /// A message queue.
    MessageQueue,
    /// A shared memory segment.
    SharedMemory,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SemaphoreSet => "semaphore set",
            Self::MessageQueue => "message queue",
            Self::SharedMemory => "shared memory segment",
        })
    }
}

/// The name of an object: a 32-bit number on which programs have agreed.
///
/// ```
/// use sysv_ipc_rs::ipc::Key;
///
/// assert_eq!(Key::new(-559_038_737).to_string(), "0xdeadbeef");
/// assert_eq!(Key::from_name("cache"), Key::from_name("cache"));
/// ```
///
/// # References
/// - [sysvipc(7)](https://man7.org/linux/man-pages/man7/sysvipc.7.html)
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(i32);

impl Key {
    /// `IPC_PRIVATE`: creates an object that no key leads to.
    pub const PRIVATE: Self = Self(libc::IPC_PRIVATE);

    /// The key with this number; 0 is [`Self::PRIVATE`].
    #[must_use]
    pub const fn new(key: i32) -> Self {
        Self(key)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> i32 {
        self.0
    }

    /// `ftok(path, proj_id)`—a key made of a file's device and inode and the low 8 bits of
    /// `proj_id`.
    ///
    /// Two files can have the same key, and a file that is replaced gets another one.
    ///
    /// # Errors
    /// The errno of `stat`, if the file can't be looked at; `EINVAL` for a path with a NUL byte.
    ///
    /// ```
    /// use sysv_ipc_rs::ipc::Key;
    /// assert_eq!(Key::ftok("/tmp", 7)?.get() >> 24, 7);
    /// # Ok::<(), nix::errno::Errno>(())
    /// ```
    ///
    /// # References
    /// - [ftok(3)](https://man7.org/linux/man-pages/man3/ftok.3.html)
    pub fn ftok(path: impl AsRef<Path>, proj_id: c_int) -> std::result::Result<Self, Errno> {
        let path = CString::new(path.as_ref().as_os_str().as_bytes()).map_err(|_| Errno::EINVAL)?;
        sys::ftok(&path, proj_id).map(Self)
    }

    /// A key made of a name: the first 4 bytes, big-endian, of the SHA-256 of its UTF-8 text,
    /// without the top bit; 0 becomes 1. The same on every machine and in every version.
    ///
    /// ```
    /// use sysv_ipc_rs::ipc::Key;
    /// assert_eq!(Key::from_name("").get(), 0x63b0_c442);
    /// ```
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        let [a, b, c, d, ..]: [u8; 32] = Sha256::digest(name.as_bytes()).into();
        Self(i32::from_be_bytes([a & 0x7f, b, c, d]).max(1))
    }
}

impl Key {
    /// Refuses to open by [`Self::PRIVATE`]: it leads to no object, and the kernel would create one.
    pub(crate) fn named_unless(
        self,
        flags: GetFlags,
        kind: Kind,
        call: &'static str,
    ) -> Result<()> {
        if self != Self::PRIVATE || flags.contains(GetFlags::CREATE) {
            return Ok(());
        }
        let error = Error::new(call, Errno::EINVAL, Subject::Key(kind, self));
        Err(error.because("IPC_PRIVATE is no key that an object can be opened by"))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#010x}", self.0)
    }
}

/// Who may read and write an object: the nine permission bits.
///
/// ```
/// use sysv_ipc_rs::ipc::Mode;
///
/// assert_eq!(Mode::default(), Mode::new(0o600).unwrap());
/// assert_eq!(Mode::new(0o1000), None);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Mode(u16);

impl Mode {
    /// `0o600`: for the owner alone.
    pub const OWNER: Self = Self(0o600);

    /// `0o666`: for everybody.
    pub const EVERYBODY: Self = Self(0o666);

    /// Asks for no rights: opening then never fails for the mode's sake.
    pub(crate) const NONE: Self = Self(0);

    /// The mode with these bits; `None` outside `0..=0o777`.
    #[must_use]
    pub const fn new(bits: u16) -> Option<Self> {
        if bits <= 0o777 { Some(Self(bits)) } else { None }
    }

    /// The bits.
    #[must_use]
    pub const fn bits(self) -> u16 {
        self.0
    }

    pub(crate) fn flags(self) -> c_int {
        c_int::from(self.0)
    }
}

impl Default for Mode {
    /// [`Self::OWNER`].
    fn default() -> Self {
        Self::OWNER
    }
}

impl fmt::Debug for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mode({:#o})", self.0)
    }
}

bitflags::bitflags! {
    /// How an object is got by its key. Unknown bits are kept and go to the kernel.
    ///
    /// ```
    /// use sysv_ipc_rs::ipc::GetFlags;
    /// assert_eq!(GetFlags::from_bits_retain(0o5000), GetFlags::CREATE | GetFlags::from_bits_retain(0o4000));
    /// ```
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub struct GetFlags: c_int {
        /// `IPC_CREAT`: made if it doesn't exist.
        const CREATE = libc::IPC_CREAT;
        /// `IPC_EXCL`: with `CREATE`, an error if it exists.
        const EXCLUSIVE = libc::IPC_EXCL;
        const _ = !0;
    }
}

/// `struct ipc_perm`: who owns an object, and who may use it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Permissions {
    /// The key it was created with; [`Key::PRIVATE`] if none leads to it any more.
    pub key: Key,
    /// Owner's user id.
    pub uid: u32,
    /// Owner's group id.
    pub gid: u32,
    /// Creator's user id.
    pub cuid: u32,
    /// Creator's group id.
    pub cgid: u32,
    /// The nine permission bits, and above them the flags of shared memory.
    pub mode: u16,
    /// Which use of its slot this object is.
    pub seq: u16,
}

impl From<libc::ipc_perm> for Permissions {
    #[allow(clippy::useless_conversion, reason = "mode is u16 on x86_64, u32 on aarch64")]
    #[allow(clippy::unnecessary_fallible_conversions, reason = "as above")]
    fn from(perm: libc::ipc_perm) -> Self {
        Self {
            key: Key(perm.__key),
            uid: perm.uid,
            gid: perm.gid,
            cuid: perm.cuid,
            cgid: perm.cgid,
            mode: perm.mode.try_into().unwrap_or(u16::MAX),
            seq: perm.__seq.try_into().unwrap_or(u16::MAX),
        }
    }
}

impl Permissions {
    /// The nine permission bits.
    #[must_use]
    pub fn access(&self) -> Mode {
        Mode(self.mode & 0o777)
    }
}

/// What `IPC_SET` changes of an object's permissions; `None` leaves a field as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PermissionChange {
    /// New owner.
    pub uid: Option<u32>,
    /// New group.
    pub gid: Option<u32>,
    /// New permission bits.
    pub mode: Option<Mode>,
}

impl PermissionChange {
    #[allow(clippy::useless_conversion, reason = "mode is u16 on x86_64, u32 on aarch64")]
    pub(crate) fn apply(self, perm: &mut libc::ipc_perm) {
        perm.uid = self.uid.unwrap_or(perm.uid);
        perm.gid = self.gid.unwrap_or(perm.gid);
        if let Some(mode) = self.mode {
            perm.mode = mode.0.into();
        }
    }
}

/// What the control calls of the three kinds have in common, for the rules that are written once.
pub(crate) trait Control {
    const KIND: Kind;
    /// The name of the control call.
    const CALL: &'static str;
    const STAT_ANY: c_int;
    type Ds;

    fn ctl_stat(id: i32, cmd: c_int) -> sys::Result<(c_int, Self::Ds)>;
    fn ctl_set(id: i32, ds: &Self::Ds) -> sys::Result<()>;
    fn ctl_rmid(id: i32) -> sys::Result<()>;
    fn perm(ds: &mut Self::Ds) -> &mut libc::ipc_perm;

    fn subject(id: i32) -> Subject {
        Subject::Id(Self::KIND, id)
    }

    /// IPC_STAT, or where that is refused, what anybody may see.
    #[inline]
    fn stat_raw(id: i32) -> sys::Result<Self::Ds> {
        match Self::ctl_stat(id, libc::IPC_STAT) {
            Ok((_, ds)) => Ok(ds),
            Err(Errno::EACCES) => match Self::ctl_stat(id, Self::STAT_ANY) {
                // It goes by the slot alone, which may be another object's by now.
                Ok((found, ds)) if found == id => Ok(ds),
                _ => Err(Errno::EACCES),
            },
            Err(errno) => Err(errno),
        }
    }

    fn stat_ds(id: i32) -> Result<Self::Ds> {
        Self::stat_raw(id).map_err(|errno| Self::error(Self::CALL, errno, id))
    }

    /// Whether the id is no object's any more (the kernel says EINVAL to that, and to much else).
    fn is_gone(id: i32) -> bool {
        matches!(Self::ctl_stat(id, libc::IPC_STAT), Err(Errno::EINVAL | Errno::EIDRM))
    }

    /// The error of a call on an id, where `call` says nothing special by its errno.
    fn error(call: &'static str, errno: Errno, id: i32) -> Error {
        let error = Error::new(call, errno, Self::subject(id));
        match errno {
            Errno::EIDRM => error.because("it has been removed"),
            Errno::EINVAL if Self::is_gone(id) => {
                error.of_kind(ErrorKind::Removed).because("no such object: it has been removed")
            }
            Errno::EACCES => error.because("its mode does not allow us that"),
            Errno::EPERM => error.because("only its owner, its creator and root may do that"),
            _ => error,
        }
    }

    fn remove_id(id: i32) -> Result<()> {
        Self::ctl_rmid(id).map_err(|errno| Self::error(Self::CALL, errno, id))
    }

    fn change(id: i32, change: PermissionChange) -> Result<()> {
        let mut ds = Self::stat_ds(id)?;
        change.apply(Self::perm(&mut ds));
        Self::set_ds(id, &ds).map_err(|error| match error.errno() {
            Errno::EINVAL => error.because("its owner is to be no user or group of this namespace"),
            _ => error,
        })
    }

    /// `IPC_SET`.
    fn set_ds(id: i32, ds: &Self::Ds) -> Result<()> {
        Self::ctl_set(id, ds).map_err(|errno| Self::error(Self::CALL, errno, id))
    }

    /// Refuses the object if `owner` is given and not the only one who has rights on it.
    fn check_owner(id: i32, owner: Option<u32>) -> Result<()> {
        let Some(owner) = owner else { return Ok(()) };
        match Self::ctl_stat(id, libc::IPC_STAT) {
            Ok((_, mut ds)) => {
                check_owner(owner, Self::subject(id), Self::CALL, *Self::perm(&mut ds))
            }
            Err(Errno::EACCES) => Err(untrusted(
                Self::subject(id),
                Self::CALL,
                format!("it can't be read, so it can't be told whether it is user {owner}'s"),
            )),
            Err(errno) => Err(Self::error(Self::CALL, errno, id)),
        }
    }
}

fn untrusted(subject: Subject, call: &'static str, why: String) -> Error {
    Error::new(call, Errno::EPERM, subject).of_kind(ErrorKind::UntrustedOwner).because(why)
}

/// Refuses an object that `owner` does not both own and have created.
///
/// The creator counts too: it keeps every right when it gives the object away.
fn check_owner(
    owner: u32,
    subject: Subject,
    call: &'static str,
    libc::ipc_perm { uid, cuid, .. }: libc::ipc_perm,
) -> Result<()> {
    if uid == owner && cuid == owner {
        return Ok(());
    }
    let why = format!(
        "it is not user {owner}'s alone (owner: user {uid}, creator: user {cuid}); \
         somebody else may have planted it"
    );
    Err(untrusted(subject, call, why))
}

/// Refuses an object whose key is not the one that it is remembered by: the id is another object's
/// by now.
pub(crate) fn same_key<C: Control>(id: i32, found: Key, remembered: i32) -> Result<()> {
    if found.get() == remembered {
        return Ok(());
    }
    let error = Error::new(C::CALL, Errno::EIDRM, C::subject(id));
    let text = format!("its key is {found}, not {}: it has been removed", Key::new(remembered));
    Err(error.of_kind(ErrorKind::Removed).because(text))
}

/// `open_or_create` with an `owner` other than us can't create: nobody else would own it.
pub(crate) fn may_create(owner: Option<u32>) -> bool {
    owner.is_none_or(|owner| owner == nix::unistd::geteuid().as_raw())
}

/// Opens the object, or creates it if there is none and we may: whichever of the two wins a race.
pub(crate) fn open_or_create<T>(
    owner: Option<u32>,
    open: impl Fn() -> Result<T>,
    create: impl Fn() -> Result<T>,
) -> Result<T> {
    loop {
        match open() {
            Err(error) if error.kind() == ErrorKind::NotFound && may_create(owner) => {}
            Err(error) if error.kind() == ErrorKind::Removed => continue,
            answer => return answer,
        }
        match create() {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            answer => return answer,
        }
    }
}

/// The time of a C struct, in seconds since the epoch; 0 = never.
pub(crate) type Time = i64;
