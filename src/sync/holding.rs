//! What this process holds of an object: the kernel undoes it at exit, but tells nobody before.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::sys::process::Generation;

/// What the handles of one object share in a process. What a forked child inherits is the parent's.
#[derive(Debug, Default)]
pub(crate) struct Holding {
    /// The process that has it, by its generation; 0 = none.
    process: AtomicU64,
    /// The thread that took it.
    thread: AtomicU64,
    /// How often that thread has taken it.
    depth: AtomicU32,
    died: AtomicBool,
    /// Whether it was told of a death with one of its units.
    told: AtomicBool,
    /// How many units the process has: the count, and above it the generation.
    units: AtomicU64,
}

const COUNT_BITS: u32 = 16;

thread_local! {
    static THREAD: u64 = {
        static NEWEST: AtomicU64 = AtomicU64::new(0);
        NEWEST.fetch_add(1, Ordering::Relaxed) + 1
    };
}

/// Names the calling thread among all that the process ever has.
fn thread() -> u64 {
    THREAD.try_with(|&token| token).unwrap_or(0)
}

static HOLDINGS: Mutex<BTreeMap<i32, Arc<Holding>>> = Mutex::new(BTreeMap::new());

impl Holding {
    /// The one of the set with this id, of which a `new` one has no past.
    ///
    /// The registry is never locked across a call into Python, so that a fork finds it free.
    pub(crate) fn of(id: i32, new: bool) -> Arc<Self> {
        let mut all = HOLDINGS.lock().unwrap_or_else(PoisonError::into_inner);
        if new {
            all.remove(&id);
        }
        if let Some(holding) = all.get(&id) {
            return Arc::clone(holding);
        }
        all.retain(|_, holding| Arc::strong_count(holding) > 1 || holding.is_in_use());
        Arc::clone(all.entry(id).or_default())
    }

    /// The object is gone, and its id may come back as another's.
    pub(crate) fn forget(id: i32) {
        HOLDINGS.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }

    fn is_in_use(&self) -> bool {
        self.is_ours() || self.units() > 0
    }

    /// The calling thread has just taken it.
    #[inline]
    pub(crate) fn take(&self, died: bool) {
        self.died.store(died, Ordering::Relaxed);
        self.thread.store(thread(), Ordering::Relaxed);
        self.depth.store(1, Ordering::Relaxed);
        self.process.store(Generation::current().number(), Ordering::Release);
    }

    /// Whether this process has it.
    #[inline]
    pub(crate) fn is_ours(&self) -> bool {
        self.process.load(Ordering::Acquire) == Generation::current().number()
    }

    /// Whether the calling thread has it.
    #[inline]
    pub(crate) fn is_mine(&self) -> bool {
        self.is_ours() && self.thread.load(Ordering::Relaxed) == thread()
    }

    /// Whether its last owner died, as far as this process has it.
    pub(crate) fn died(&self) -> bool {
        self.is_ours() && self.died.load(Ordering::Relaxed)
    }

    /// How often the thread that has it has taken it.
    pub(crate) fn depth(&self) -> u32 {
        self.depth.load(Ordering::Relaxed)
    }

    /// The thread that has it takes it or gives it so often; `None` if it can't count so far.
    pub(crate) fn set_depth(&self, depth: Option<u32>) -> Option<()> {
        self.depth.store(depth?, Ordering::Relaxed);
        Some(())
    }

    /// Gives it up, if this process has it: of several threads, one does.
    #[inline]
    pub(crate) fn let_go(&self) -> bool {
        let ours = Generation::current().number();
        self.process.compare_exchange(ours, 0, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// It could not be given: this process still has it.
    #[cold]
    pub(crate) fn keep(&self) {
        self.process.store(Generation::current().number(), Ordering::Release);
    }

    /// How many units this process has.
    pub(crate) fn units(&self) -> u64 {
        count(self.units.load(Ordering::Acquire))
    }

    /// It has one more.
    #[inline]
    pub(crate) fn add_unit(&self) {
        let _ = self.change_units(|count| Some(count + 1));
    }

    /// It has one more, with which it was perhaps told that an owner had died.
    #[inline]
    pub(crate) fn add_told_unit(&self, died: bool) {
        if died || self.units() == 0 {
            self.told.store(died, Ordering::Relaxed);
        }
        self.add_unit();
    }

    /// Whether it was told so with one of the units that it has.
    pub(crate) fn told(&self) -> bool {
        self.units() > 0 && self.told.load(Ordering::Relaxed)
    }

    /// It has one less, if it had one: of several threads, one gives it.
    #[inline]
    pub(crate) fn take_unit(&self) -> bool {
        self.change_units(|count| count.checked_sub(1))
    }

    fn change_units(&self, change: impl Fn(u64) -> Option<u64>) -> bool {
        let tag = Generation::current().number() << COUNT_BITS;
        let change = |units| change(count(units)).map(|count| tag | count);
        self.units.fetch_update(Ordering::AcqRel, Ordering::Acquire, change).is_ok()
    }
}

/// How many of them are this process's.
fn count(units: u64) -> u64 {
    let ours = units >> COUNT_BITS == Generation::current().number();
    if ours { units & ((1 << COUNT_BITS) - 1) } else { 0 }
}
