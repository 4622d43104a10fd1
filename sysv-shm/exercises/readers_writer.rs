//! Exercise: many may read, or one may write.

use sysv_shm::Operation;

/// The semaphore that counts who reads now; 0 in the beginning.
pub(crate) const READERS: u16 = 0;
/// The semaphore that is 1 while somebody writes; 0 in the beginning.
pub(crate) const WRITER: u16 = 1;

/// What a reader does in one call before it reads: the kernel takes it back if the reader is killed.
pub(crate) fn begin_reading() -> Vec<Operation> {
    vec![Operation::wait_for_zero(WRITER), Operation::add(READERS).undo()]
}

/// What it does when it has read.
pub(crate) fn end_reading() -> Vec<Operation> {
    vec![Operation::take(READERS).undo()]
}

/// What a writer does in one call before it writes.
pub(crate) fn begin_writing() -> Vec<Operation> {
    // HOLE: this writes while others read, and a writer that is killed writes for ever. Mend both, and take
    // this comment out.
    vec![Operation::wait_for_zero(WRITER), Operation::add(WRITER)]
}

/// What it does when it has written.
pub(crate) fn end_writing() -> Vec<Operation> {
    vec![Operation::take(WRITER).undo()]
}
