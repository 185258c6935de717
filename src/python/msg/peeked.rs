//! How long the messages are that a handle has peeked at.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::msg::PEEKED;

/// How much room the next copy will need, by those before it: the longest of the last dozens.
#[derive(Debug)]
pub(super) struct PeekedSize(AtomicUsize);

impl PeekedSize {
    pub(super) const fn unknown() -> Self {
        Self(AtomicUsize::new(PEEKED))
    }

    #[inline]
    pub(super) fn expected(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// Forgets slowly: too little costs another call, too much only what the kernel prepares.
    #[inline]
    pub(super) fn found(&self, len: usize) {
        let expected = self.expected();
        self.0.store(len.max(expected - expected / 32), Ordering::Relaxed);
    }
}
