//! The questions, one file each: the subjects of the first process, and the parts that the second one plays
//! in them.

pub(crate) mod bulk_copy;
pub(crate) mod descriptors;
pub(crate) mod first_touch;
pub(crate) mod hand_over;
pub(crate) mod hand_over_peer;
pub(crate) mod in_place;
pub(crate) mod inheritance;
pub(crate) mod joining;
pub(crate) mod passing;
pub(crate) mod peer;
pub(crate) mod ping_pong;
pub(crate) mod ping_pong_kernel;
pub(crate) mod ping_pong_peer;
pub(crate) mod scale;
pub(crate) mod set_up;
pub(crate) mod simulated;
pub(crate) mod throughput;

use crate::Failure;
use crate::measure::{Effort, Entry};
use crate::place::Place;
use crate::question::Question;
use crate::report::Missing;
use crate::second_process::SecondProcess;

/// The sizes of joining and hand-over: one page, and enough pages to see what each of them costs.
const REGIONS: [usize; 2] = [4 << 10, 1 << 20];

/// Subjects that take turns.
#[derive(Debug, Default)]
pub struct Group {
    /// The subjects.
    pub entries: Vec<Entry>,
    /// What the machine does not let us measure with them.
    pub missing: Vec<Missing>,
}

impl Group {
    /// Notes what cannot be measured here.
    fn lacks(&mut self, question: Question, subject: &str, reason: impl Into<String>) {
        self.missing.push(Missing { question, subject: subject.to_owned(), reason: reason.into() });
    }
}

impl From<Vec<Entry>> for Group {
    fn from(entries: Vec<Entry>) -> Self {
        Self { entries, missing: Vec::new() }
    }
}

/// A group that is yet to be prepared: its memory and its second process stand only while it is measured.
pub type Preparation = Box<dyn FnOnce() -> Result<Group, Failure>>;

/// The groups of a question. Preparing one fails when a subject cannot be made.
pub fn prepare(question: Question, place: Place, effort: Effort) -> Vec<Preparation> {
    match question {
        Question::SetUp => set_up::sizes(effort).map(|size| plain(move || set_up::entries(size))).collect(),
        Question::Joining => {
            each(REGIONS, move |size| joining::group(&SecondProcess::start(place)?, place, size)).collect()
        }
        Question::FirstTouch => vec![Box::new(first_touch::group)],
        Question::HandOver => {
            let given =
                REGIONS.map(|size| plain(move || hand_over::entries(&SecondProcess::start(place)?, size)));
            let inherited = REGIONS.map(|size| plain(move || inheritance::entries(size)));
            given.into_iter().chain(inherited).chain([plain(descriptors::entries)]).collect()
        }
        Question::BulkCopy => {
            bulk_copy::sizes(effort.largest).map(|size| plain(move || bulk_copy::entries(size))).collect()
        }
        Question::PingPong => ping_pong::groups(place),
        Question::Throughput => throughput::sizes(effort)
            .map(|size| plain(move || throughput::entries(&SecondProcess::start(place)?, size)))
            .collect(),
        Question::Scale => each(scale::counts(effort), move |count| scale::group(place, count)).collect(),
        Question::Simulator => {
            each(simulated::sizes(effort), |size| simulated::entries(size).map(Group::from)).collect()
        }
    }
}

/// A preparation that lacks nothing.
fn plain(entries: impl FnOnce() -> Result<Vec<Entry>, Failure> + 'static) -> Preparation {
    Box::new(move || entries().map(Group::from))
}

/// A preparation for each size.
fn each<S: 'static>(
    sizes: impl IntoIterator<Item = S>,
    group: impl Fn(S) -> Result<Group, Failure> + Copy + 'static,
) -> impl Iterator<Item = Preparation> {
    sizes.into_iter().map(move |size| -> Preparation { Box::new(move || group(size)) })
}
