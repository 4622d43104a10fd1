//! What the tests share.
#![allow(dead_code)] // each test program uses its part

use std::ops::{Deref, DerefMut};
use std::process::Child;

pub(crate) mod actor;
pub(crate) mod namespace;

/// A child that does not outlive the test, however the test ends.
#[derive(Debug)]
pub(crate) struct Leashed(pub(crate) Child);

impl Deref for Leashed {
    type Target = Child;

    fn deref(&self) -> &Child {
        &self.0
    }
}

impl DerefMut for Leashed {
    fn deref_mut(&mut self) -> &mut Child {
        &mut self.0
    }
}

impl Drop for Leashed {
    fn drop(&mut self) {
        // Both fail harmlessly when the child has been reaped already.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
