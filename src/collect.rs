//! Collections that are as large as their caller likes: an error, never an abort, where no memory is
//! left for them.

use nix::errno::Errno;

/// All of `items`; ENOMEM where they are too many.
pub(crate) fn all<T>(items: impl ExactSizeIterator<Item = T>) -> crate::sys::Result<Vec<T>> {
    let mut collected = Vec::new();
    collected.try_reserve_exact(items.len()).map_err(|_| Errno::ENOMEM)?;
    collected.extend(items);
    Ok(collected)
}
