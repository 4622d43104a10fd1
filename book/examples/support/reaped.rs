//! A child that does not outlive the value that stands for it.

use std::process::Child;

/// A process; killed and reaped when dropped before its end.
#[derive(Debug)]
pub(crate) struct Reaped(pub(crate) Child);

impl Drop for Reaped {
    fn drop(&mut self) {
        // Both fail harmlessly when it has been reaped already.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
