//! One receive buffer per worker thread, so that idle devices hold none.

use std::cell::RefCell;

/// Lends the thread's buffer, which is as long as the longest datagram. Not to be nested.
pub(super) fn lend<R>(use_it: impl FnOnce(&mut [u8]) -> R) -> R {
    SCRATCH.with_borrow_mut(|buffer| use_it(buffer))
}

const LENGTH: usize = 64 * 1024;

thread_local! {
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; LENGTH].into_boxed_slice());
}
