//! How a set comes into being without anybody ever working with uninitialised values.

use std::time::Duration;

use nix::errno::Errno;

use super::{Operation, OperationFlags, SemaphoreSet, get};
use crate::error::{Error, ErrorKind, Result};
use crate::ipc::{Control, GetFlags, Key, Mode, PermissionChange, may_create};
use crate::sys;
use crate::wait::{Deadline, sleep};

/// The rights that a creator needs itself to initialise a set.
const CREATOR: u16 = 0o600;

/// The first and the longest pause between two looks at a set that is not yet initialised.
const PAUSES: (Duration, Duration) = (Duration::from_micros(100), Duration::from_millis(10));

impl SemaphoreSet {
    /// Creates a set with these values; [`Key::PRIVATE`] for one that no key leads to.
    ///
    /// The values are added by one `semop`: a set whose `otime` is 0 is not ready yet.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`]; [`ErrorKind::LimitExceeded`] at SEMMNI, SEMMNS or SEMMSL, or
    /// for a value above 32767; `EINVAL` for no values. Then nothing is left behind.
    ///
    /// ```
    /// use sysv_ipc_rs::{ErrorKind, ipc::{Key, Mode}, sem::SemaphoreSet};
    /// let key = Key::from_name("sysv_ipc_rs::sem::create");
    /// let set = SemaphoreSet::create(key, &[1, 2, 3], Mode::default())?;
    /// assert_eq!(set.values()?, [1, 2, 3]);
    /// let again = SemaphoreSet::create(key, &[1], Mode::default());
    /// assert_eq!(again.unwrap_err().kind(), ErrorKind::AlreadyExists);
    /// set.remove()?;
    /// # Ok::<(), sysv_ipc_rs::Error>(())
    /// ```
    #[doc(alias = "semget")]
    pub fn create(key: Key, values: &[u16], mode: Mode) -> Result<Self> {
        loop {
            match create_once(key, values, mode) {
                // An opener took us for dead.
                Err(error) if error.kind() == ErrorKind::Removed => {}
                answer => return answer,
            }
        }
    }
}

fn create_once(key: Key, values: &[u16], mode: Mode) -> Result<SemaphoreSet> {
    let flags = GetFlags::CREATE | GetFlags::EXCLUSIVE;
    let first_mode = Mode::new(mode.bits() | CREATOR).unwrap_or(mode);
    let id = get(key, values.len(), flags, first_mode)?;
    let set = SemaphoreSet { id, key, len: values.len() };
    let ready = initialise(&set, values).and_then(|()| {
        let change = PermissionChange { mode: Some(mode), ..Default::default() };
        if first_mode == mode { Ok(()) } else { set.set_permissions(change) }
    });
    match ready {
        Ok(()) => Ok(set),
        Err(error) => {
            let _ = set.remove();
            Err(error)
        }
    }
}

fn initialise(set: &SemaphoreSet, values: &[u16]) -> Result<()> {
    let mut additions = Vec::new();
    let count = values.iter().filter(|&&value| value != 0).count();
    additions.try_reserve_exact(count).map_err(|_| set.op_error(Errno::ENOMEM, count))?;
    for (index, &value) in (0..=u16::MAX).zip(values).filter(|&(_, &value)| value != 0) {
        let delta = i16::try_from(value).map_err(|_| set.op_error(Errno::ERANGE, values.len()))?;
        additions.push(Operation::new(index, delta, OperationFlags::NO_WAIT));
    }
    if additions.is_empty() {
        return mark_ready(set, 0);
    }
    match set.try_raw(&additions) {
        // More values than SEMOPM.
        Err(Errno::E2BIG) => {
            set.set_values(values)?;
            mark_ready(set, values[0])
        }
        answer => answer.map_err(|errno| set.op_error(errno, additions.len())),
    }
}

/// An operation that changes nothing tells that the set is ready, whose first value is known.
fn mark_ready(set: &SemaphoreSet, first_value: u16) -> Result<()> {
    let step = |delta| Operation::new(0, delta, OperationFlags::NO_WAIT);
    let touch: &[_] = if first_value == 0 { &[step(0)] } else { &[step(-1), step(1)] };
    match set.try_raw(touch) {
        // Somebody works with it already, and has changed the value.
        Ok(()) | Err(Errno::EAGAIN) => Ok(()),
        Err(errno) => Err(set.op_error(errno, touch.len())),
    }
}

/// `open_or_create` of a set: opens the one with this key once it is initialised, or creates it,
/// and starts anew if its creator died before initialising it.
///
/// A set that is still pristine (no `otime`, no value, no last pid) after `timeout` counts as
/// abandoned. If we created it, or another process of ours, it is removed by its id and creation
/// starts over. So a creator that is stopped for longer than `timeout` loses its set, an untouched
/// set of `ipcmk -S` counts as abandoned, and foreign code that operates before initialising voids
/// the promise.
///
/// ```
/// use std::time::Duration;
/// use sysv_ipc_rs::ipc::{Key, Mode};
/// use sysv_ipc_rs::sem::Creation;
///
/// let key = Key::from_name("sysv_ipc_rs::sem::Creation");
/// let creation = || Creation::new(key, vec![3], Mode::default(), None, Some(Duration::from_secs(10)));
/// let set = creation().run()?;
/// assert_eq!(creation().run()?.id(), set.id());
/// set.remove()?;
/// # Ok::<(), sysv_ipc_rs::Error>(())
/// ```
#[derive(Debug)]
pub struct Creation {
    key: Key,
    values: Vec<u16>,
    mode: Mode,
    owner: Option<u32>,
    timeout: Option<Duration>,
    pristine: Option<(i32, Deadline)>,
    pause: Duration,
}

impl Creation {
    /// `values` and `mode` are for a new set; `owner` refuses one that isn't that user's alone;
    /// `timeout` is how long a pristine set may stay so, `None` for ever.
    #[must_use]
    pub fn new(
        key: Key,
        values: Vec<u16>,
        mode: Mode,
        owner: Option<u32>,
        timeout: Option<Duration>,
    ) -> Self {
        Self { key, values, mode, owner, timeout, pristine: None, pause: PAUSES.0 }
    }

    /// Opens or creates the set.
    ///
    /// # Errors
    /// Those of [`SemaphoreSet::open`] and [`SemaphoreSet::create`];
    /// [`ErrorKind::UntrustedOwner`]; [`ErrorKind::TimedOut`] for a pristine set of another user;
    /// [`ErrorKind::Interrupted`].
    pub fn run(mut self) -> Result<SemaphoreSet> {
        loop {
            if let Some(set) = self.step()? {
                return Ok(set);
            }
            self.wait().map_err(|errno| Error::new("semop", errno, crate::error::Subject::None))?;
        }
    }

    /// Sleeps until it is time for another step; EINTR if a signal came.
    pub(crate) fn wait(&mut self) -> sys::Result<()> {
        let left = self.pristine.and_then(|(_, deadline)| deadline.remaining());
        sleep(self.pause.min(left.unwrap_or(PAUSES.1)))?;
        self.pause = (self.pause * 2).min(PAUSES.1);
        Ok(())
    }

    /// Goes as far as it can without waiting; `None` while another process may be initialising.
    pub(crate) fn step(&mut self) -> Result<Option<SemaphoreSet>> {
        loop {
            let answer = match SemaphoreSet::open(self.key, self.values.len()) {
                Ok(set) => self.look(set),
                Err(error) if error.kind() == ErrorKind::NotFound && may_create(self.owner) => {
                    create_once(self.key, &self.values, self.mode).map(Look::Ready)
                }
                Err(error) => Err(error),
            };
            match answer {
                Ok(Look::Ready(set)) => return Ok(Some(set)),
                Ok(Look::Pristine) => return Ok(None),
                Ok(Look::Recycled) => {}
                Err(error) if error.kind() == ErrorKind::Removed => {}
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn look(&mut self, set: SemaphoreSet) -> Result<Look> {
        self.owner.map_or(Ok(()), |owner| set.check_owner(owner))?;
        let unreadable = match is_initialised(&set) {
            Ok(true) => return Ok(Look::Ready(set)),
            Ok(false) => None,
            // Its otime, which anybody sees, will tell.
            Err(error) if error.kind() == ErrorKind::AccessDenied => Some(error),
            Err(error) => return Err(error),
        };
        let deadline = match self.pristine {
            Some((id, deadline)) if id == set.id => deadline,
            _ => {
                let deadline = self.timeout.map_or(Deadline::NEVER, Deadline::after);
                self.pristine = Some((set.id, deadline));
                deadline
            }
        };
        if !deadline.passed() {
            return Ok(Look::Pristine);
        }
        if let Some(error) = unreadable {
            return Err(error.because("its mode hides from us whether it has been initialised"));
        }
        if set.stat()?.permissions.cuid != nix::unistd::geteuid().as_raw() {
            let error = SemaphoreSet::error("semget", Errno::EAGAIN, set.id);
            return Err(error.because(
                "its creator, another user, has not initialised it in time; if that process is \
                 dead, the set can be removed by that user or root",
            ));
        }
        set.remove()?;
        Ok(Look::Recycled)
    }
}

enum Look {
    Ready(SemaphoreSet),
    Pristine,
    Recycled,
}

fn is_initialised(set: &SemaphoreSet) -> Result<bool> {
    if set.stat()?.otime != 0 || set.values()?.iter().any(|&value| value != 0) {
        return Ok(true);
    }
    let mut indices = (0..=u16::MAX).take(set.len());
    let used = indices.try_fold(false, |used, index| Ok(used || set.last_pid(index)? != 0))?;
    // It may have been initialised, with zeros, between the two looks.
    Ok(used || set.stat()?.otime != 0)
}
