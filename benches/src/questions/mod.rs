//! The questions, one file each: the subjects of the first process, and the parts that the second one plays
//! in them.

pub(crate) mod bulk_copy;
pub(crate) mod descriptors;
pub(crate) mod hand_over;
pub(crate) mod hand_over_peer;
pub(crate) mod inheritance;
pub(crate) mod joining;
pub(crate) mod peer;
pub(crate) mod ping_pong;
pub(crate) mod set_up;
pub(crate) mod simulated;
pub(crate) mod throughput;

use crate::Failure;
use crate::measure::{Effort, Entry};
use crate::place::Place;
use crate::report::Question;
use crate::second_process::SecondProcess;

/// The sizes of set-up, joining and hand-over: one page, and enough pages to see what each of them costs.
const REGIONS: [usize; 2] = [4 << 10, 1 << 20];

/// Prepares a question: its subjects in groups, each of which is measured in turns.
///
/// # Errors
///
/// When a subject cannot be prepared.
pub fn prepare(question: Question, place: Place, effort: Effort) -> Result<Vec<Vec<Entry>>, Failure> {
    let other = || SecondProcess::start(place);
    match question {
        Question::SetUp => REGIONS.into_iter().map(set_up::entries).collect(),
        Question::Joining => {
            let other = other()?;
            REGIONS.into_iter().map(|size| joining::entries(&other, place, size)).collect()
        }
        Question::HandOver => {
            let other = other()?;
            let regions = REGIONS.into_iter().map(|size| hand_over::entries(&other, size));
            let inherited = REGIONS.into_iter().map(inheritance::entries);
            regions.chain(inherited).chain([descriptors::entries(), simulated::entries()]).collect()
        }
        Question::BulkCopy => bulk_copy::sizes(effort.largest).map(bulk_copy::entries).collect(),
        Question::PingPong => Ok(vec![ping_pong::entries(&other()?)?]),
        Question::Throughput => {
            let other = other()?;
            throughput::sizes(effort).map(|size| throughput::entries(&other, size)).collect()
        }
    }
}
