//! Binder's way of handing over, in the simulator: what the driver's book-keeping costs without kernel and
//! processes.

use binder_sim::driver::Translation;
use binder_sim::world::RoundTrip;

use crate::Failure;
use crate::clock::Alone;
use crate::measure::Entry;

/// One call with one descriptor and its empty reply, in each of the two schemes.
///
/// Nothing of this can be held against the other rows: no process is woken, no page is mapped. It has its
/// place here because it is the same question, and because it says how many transactions a test of the
/// simulator can afford.
pub(super) fn entries() -> Result<Vec<Entry>, Failure> {
    Ok(vec![
        Entry::model("binder-sim, classic", 0, call(Translation::Classic)?),
        Entry::model("binder-sim, deferred", 0, call(Translation::Deferred)?),
    ])
}

fn call(translation: Translation) -> Result<Alone<impl FnMut() -> Result<(), Failure>>, Failure> {
    let mut pair = RoundTrip::new(translation).map_err(Failure::step("a simulated client and server"))?;
    Ok(Alone(move || match pair.call() {
        Ok(u32::MAX) => Err(Failure::new("a simulated call: the descriptor did not arrive")),
        Ok(_) => Ok(()),
        Err(error) => Err(Failure::new(format!("a simulated call: {error}"))),
    }))
}
