//! Exercise: a gate.

use std::sync::atomic::{AtomicU32, Ordering};

use fd_shm::{Result, futex};

/// Returns when the gate is open (the word is 1), and not before. As long as it is closed (0), this sleeps.
pub(crate) fn pass(gate: &AtomicU32) -> Result<()> {
    // HOLE: whoever is woken goes through, and not everybody is woken. Mend both
    // functions, and take this line out.
    if gate.load(Ordering::Acquire) == 0 {
        futex::wait(gate, 0, None)?;
    }
    Ok(())
}

/// Opens the gate, for all who wait and all who come.
pub(crate) fn open(gate: &AtomicU32) -> Result<()> {
    gate.store(1, Ordering::Release);
    futex::wake(gate, 1)?;
    Ok(())
}
