//! A round trip with the second process, again and again.

use std::rc::Rc;

use crate::Failure;
use crate::clock::{Clock, Subject};
use crate::second_process::SecondProcess;

/// A closure that goes there and back once, and the part that answers it.
pub(crate) struct Exchange<F> {
    /// Where the answering side is.
    other: Rc<SecondProcess>,
    /// The answering side.
    part: usize,
    /// There and back.
    once: F,
}

impl<F: FnMut() -> Result<(), Failure>> Exchange<F> {
    /// An exchange with a part that answers as often as it is told to.
    pub(crate) fn new(other: &Rc<SecondProcess>, part: usize, once: F) -> Self {
        Self { other: Rc::clone(other), part, once }
    }
}

impl<F: FnMut() -> Result<(), Failure>> Subject for Exchange<F> {
    fn run(&mut self, count: u64, clock: &mut Clock) -> Result<(), Failure> {
        self.other.run(self.part, count + 1)?;
        (self.once)()?; // waits until the other side is there
        clock.start();
        for _ in 0..count {
            (self.once)()?;
            clock.tick();
        }
        self.other.answer(clock).map(drop)
    }
}
