//! Two players of one script: what each of them saw, and where they do not agree.

use super::{Recorded, Run, Script};
use crate::driver::{Profile, Translation};
use crate::world::World;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// A step of which two players of a script did not see the same.
///
/// ```text
///  5 client: read now
///       recorded: EAGAIN
///       seen:     NOOP, DEAD_BINDER 0xd1
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disagreement {
    /// The step's number, from 1.
    pub step: usize,
    /// Who did what in it, as the script says it.
    pub did: String,
    /// What came of it as it stands in a record, line by line.
    pub recorded: Vec<String>,
    /// What came of it here.
    pub seen: Vec<String>,
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.did)?;
        for (who, lines) in [("recorded:", &self.recorded), ("seen:", &self.seen)] {
            let first = lines.first().map_or("nothing", String::as_str);
            write!(f, "\n      {who:9} {first}")?;
            lines.iter().skip(1).try_for_each(|line| write!(f, "\n      {:9} {line}", ""))?;
        }
        Ok(())
    }
}

impl Script {
    /// What every step sees in a fresh world that is like this kernel; of the last one also which files
    /// somebody still holds when all have left.
    ///
    /// # Examples
    /// ```
    /// use binder_sim::driver::Profile;
    /// use binder_sim::script::Script;
    ///
    /// let script: Script = "
    ///     actor one
    ///     one: open binder
    ///     one: get_extended_error
    /// "
    /// .parse()?;
    /// let (old, new) = (script.play_as(Profile::V5_10), script.play_as(Profile::V6_1));
    /// let differ = script.compare(&old, &new);
    /// assert_eq!(differ.len(), 1);
    /// assert_eq!((differ[0].step, &differ[0].recorded[..]), (2, &["EINVAL".to_string()][..]));
    /// # Ok::<(), binder_sim::script::ParseError>(())
    /// ```
    pub fn play_as(&self, kernel: Profile) -> Vec<Vec<String>> {
        Run::new(self, World::with_profile(kernel, Translation::Deferred)).play(|_, _| {})
    }

    /// The steps of which `seen` does not say what `recorded` says; both have an entry for each step.
    pub fn compare(&self, recorded: &[Vec<String>], seen: &[Vec<String>]) -> Vec<Disagreement> {
        let lines = |player: &[Vec<String>], at: usize| player.get(at).cloned().unwrap_or_default();
        let differ = (0..self.steps.len()).filter(|&at| recorded.get(at) != seen.get(at));
        let disagreement = |at| Disagreement {
            step: at + 1,
            did: self.text_of(at + 1),
            recorded: lines(recorded, at),
            seen: lines(seen, at),
        };
        differ.map(disagreement).collect()
    }
}

impl Recorded {
    /// The steps of which `seen` does not say what was recorded on `kernel`: all, if nothing was.
    pub fn compare(&self, kernel: &str, seen: &[Vec<String>]) -> Vec<Disagreement> {
        self.script.compare(self.on(kernel).map_or(&[], Vec::as_slice), seen)
    }
}
