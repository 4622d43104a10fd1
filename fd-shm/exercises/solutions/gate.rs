//! Solution: a gate.

use std::sync::atomic::{AtomicU32, Ordering};

use fd_shm::{Result, futex};

/// Returns when the gate is open (the word is 1), and not before. As long as it is closed (0), this sleeps.
pub(crate) fn pass(gate: &AtomicU32) -> Result<()> {
    // A wake-up says nothing; the word does.
    while gate.load(Ordering::Acquire) == 0 {
        futex::wait(gate, 0, None)?;
    }
    Ok(())
}

/// Opens the gate, for all who wait and all who come.
pub(crate) fn open(gate: &AtomicU32) -> Result<()> {
    // The word first: who falls asleep between the two is not woken, and does not sleep
    // either, for the kernel compares.
    gate.store(1, Ordering::Release);
    futex::wake(gate, u32::MAX)?;
    Ok(())
}
