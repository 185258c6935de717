//! `struct msgbuf`: a message's type and text in one piece of memory, as `msgsnd` and `msgrcv`
//! want it.

use std::cell::Cell;
use std::collections::TryReserveError;
use std::ffi::{c_long, c_void};
use std::mem::{self, MaybeUninit};

/// The bytes before the text.
const HEADER: usize = size_of::<c_long>();

/// Room for the text of a message that needs no memory from the heap: the usual MSGMAX.
const INLINE: usize = 8192;

#[repr(C, align(8))]
struct Inline([u8; HEADER + INLINE]);

/// Room on the caller's stack, where it is never copied, as it would be inside a [`Packet`].
///
/// The interpreter ends a recursion by counting, not by looking at the stack, and reckons with much
/// less for each level. So of Python code only handlers of signals may run while a function has
/// one, and none that has one is inlined where arguments are still read.
pub(crate) struct Room(MaybeUninit<Inline>);

impl Room {
    #[inline]
    pub(crate) const fn new() -> Self {
        Self(MaybeUninit::uninit())
    }
}

thread_local! {
    /// The memory of the thread's last long message: to get it anew from the system costs several
    /// times what the message itself does.
    static SPARE: Cell<Vec<MaybeUninit<c_long>>> = const { Cell::new(Vec::new()) };
}

/// The most bytes that are kept for a thread's next long message.
const SPARE_MAX: usize = 2 << 20;

impl Drop for Packet<'_> {
    #[inline]
    fn drop(&mut self) {
        if !self.heap.is_empty() {
            self.spare();
        }
    }
}

/// A message on its way into the kernel or out of it.
pub(crate) struct Packet<'room> {
    inline: &'room mut Room,
    /// Used instead of `inline` if it isn't empty; in words, for the type's alignment.
    heap: Vec<MaybeUninit<c_long>>,
    /// Type and so many bytes of text are initialised.
    text_len: usize,
}

impl<'room> Packet<'room> {
    /// An empty message with room for [`INLINE`] bytes.
    #[inline]
    pub(crate) fn new(inline: &'room mut Room) -> Self {
        let mut packet = Self { inline, heap: Vec::new(), text_len: 0 };
        packet.set_mtype(0);
        packet
    }

    /// Makes room for `text_len` bytes of text. What the packet held is forgotten.
    #[inline]
    pub(crate) fn make_room(&mut self, text_len: usize) -> Result<(), TryReserveError> {
        self.text_len = 0;
        if text_len > self.room() {
            self.make_heap(text_len)?;
        }
        self.set_mtype(0);
        Ok(())
    }

    #[cold]
    fn make_heap(&mut self, text_len: usize) -> Result<(), TryReserveError> {
        let words = text_len.div_ceil(HEADER).saturating_add(1);
        if self.heap.capacity() < words {
            self.heap = SPARE.try_with(Cell::take).unwrap_or_default();
        }
        if self.heap.capacity() < words {
            self.heap = Vec::new();
            self.heap.try_reserve_exact(words)?;
        }
        // SAFETY: the memory is reserved, and MaybeUninit needs no initialising.
        unsafe { self.heap.set_len(words) };
        Ok(())
    }

    /// Keeps the memory for the thread's next long message, unless the thread ends.
    #[cold]
    fn spare(&mut self) {
        if self.heap.capacity() * HEADER <= SPARE_MAX {
            let _ = SPARE.try_with(|spare| spare.set(mem::take(&mut self.heap)));
        }
    }

    /// How many bytes of text fit.
    pub(crate) fn room(&self) -> usize {
        if self.heap.is_empty() { INLINE } else { (self.heap.len() - 1) * HEADER }
    }

    #[inline]
    pub(super) fn as_ptr(&self) -> *const c_void {
        if self.heap.is_empty() { self.inline.0.as_ptr().cast() } else { self.heap.as_ptr().cast() }
    }

    #[inline]
    pub(super) fn as_mut_ptr(&mut self) -> *mut c_void {
        if self.heap.is_empty() {
            self.inline.0.as_mut_ptr().cast()
        } else {
            self.heap.as_mut_ptr().cast()
        }
    }

    #[inline]
    pub(crate) fn set_mtype(&mut self, mtype: c_long) {
        // SAFETY: both places are aligned for the type and have room for it.
        unsafe { self.as_mut_ptr().cast::<c_long>().write(mtype) };
    }

    #[inline]
    pub(crate) fn mtype(&self) -> c_long {
        // SAFETY: the type is initialised from the packet's creation on.
        unsafe { self.as_ptr().cast::<c_long>().read() }
    }

    /// Makes `text` the packet's text.
    #[inline]
    pub(crate) fn set_text(&mut self, text: &[u8]) -> Result<(), TryReserveError> {
        // SAFETY: pointer and length are those of a live slice.
        unsafe { self.set_text_from(text.as_ptr(), text.len()) }
    }

    /// As [`Self::set_text`], from memory that others may write to meanwhile.
    ///
    /// # Safety
    /// `len` bytes can be read at `from`.
    #[inline]
    pub(crate) unsafe fn set_text_from(
        &mut self,
        from: *const u8,
        len: usize,
    ) -> Result<(), TryReserveError> {
        let mtype = self.mtype();
        self.make_room(len)?;
        self.set_mtype(mtype);
        // SAFETY: the text begins behind the type, inside the same memory.
        let text = unsafe { self.as_mut_ptr().cast::<u8>().add(HEADER) };
        // SAFETY: the caller vouches for `from`; the packet has room, and its memory is ours alone.
        unsafe { std::ptr::copy_nonoverlapping(from, text, len) };
        self.text_len = len;
        Ok(())
    }

    pub(crate) fn text_len(&self) -> usize {
        self.text_len
    }

    /// # Safety
    /// Type and `text_len` bytes of text have been written.
    pub(super) unsafe fn set_text_len(&mut self, text_len: usize) {
        self.text_len = text_len;
    }

    #[inline]
    pub(crate) fn text(&self) -> &[u8] {
        // SAFETY: the text begins behind the type, inside the same memory.
        let start = unsafe { self.as_ptr().cast::<u8>().add(HEADER) };
        // SAFETY: `text_len` bytes of it are initialised, and borrowed with the packet.
        unsafe { std::slice::from_raw_parts(start, self.text_len) }
    }
}
