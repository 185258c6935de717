//! Collections that are as large as their caller likes: an error, never an abort, where no memory is
//! left for them.

use nix::errno::Errno;

/// All of `items`, of which there are about `expected`; `no_memory` where they are too many.
pub(crate) fn collect<T, E>(
    items: impl IntoIterator<Item = Result<T, E>>,
    expected: usize,
    no_memory: impl Fn() -> E,
) -> Result<Vec<T>, E> {
    let mut collected = Vec::new();
    collected.try_reserve_exact(expected).map_err(|_| no_memory())?;
    for item in items {
        collected.try_reserve(1).map_err(|_| no_memory())?;
        collected.push(item?);
    }
    Ok(collected)
}

/// All of `items`; ENOMEM where they are too many.
pub(crate) fn all<T>(items: impl ExactSizeIterator<Item = T>) -> crate::sys::Result<Vec<T>> {
    let mut collected = Vec::new();
    collected.try_reserve_exact(items.len()).map_err(|_| Errno::ENOMEM)?;
    collected.extend(items);
    Ok(collected)
}
