//! Plays one program on both sides, and tells it as a story when they disagree.

use std::collections::BTreeMap;
use std::fmt::Write;

use nix::errno::Errno;

use crate::calls;
use crate::facts::{Answer, Outcome};
use crate::kernel::{Kernel, World};
use crate::mistakes::Mistake;
use crate::rights::User;
use crate::state::Model;
use crate::step::{Action, Role, Step};

/// A program on its way.
struct Play<'w> {
    world: &'w World,
    model: Model,
    kernel: Kernel<'w>,
    /// The steps so far, as they will be told.
    story: String,
    /// How many they are.
    now: usize,
    tally: &'w mut Tally,
}

/// How often each kind of step ended in each way.
pub(crate) type Tally = BTreeMap<(&'static str, String), usize>;

/// Plays `program` in a fresh namespace, with a right model or a wrong one; an error is the story of the
/// disagreement.
pub(crate) fn play(
    world: &World,
    program: &[Step],
    mistake: Option<&Mistake>,
    tally: &mut Tally,
) -> Result<(), String> {
    let model = Model::new(world.limits, calls::page(), world.user);
    let kernel = Kernel::new(world, model.who(Role::Parent));
    let mut play = Play { world, model, kernel, story: String::new(), now: 0, tally };
    for step in program {
        let forced = matches!(step.action, Action::Force(_));
        if play.model.can(step) && (world.limited || !forced) {
            play.step(step, mistake).map_err(|differences| format!("{}{differences}", play.story))?;
        }
    }
    Ok(())
}

impl Play<'_> {
    /// Makes one step on both sides; an error holds what differs.
    fn step(&mut self, step: &Step, mistake: Option<&Mistake>) -> Result<(), String> {
        if !self.model.runs(step.role) {
            self.start(step.role);
        }
        self.now += 1;
        self.kernel.look_at_the_clock();
        let before = mistake.map(|_| self.model.clone());
        let mut expected = self.model.make(self.now, step);
        if let (Some(mistake), Some(before)) = (mistake, before) {
            mistake.make(&before, &mut self.model, step, &mut expected);
        }
        let child = match step.action {
            Action::Fork(child) => Some(self.model.who(child)),
            _ => None,
        };
        let answer = self.kernel.make(step, child);
        let said = self.translated(&answer, &expected);
        self.tell(step, &said);
        *self.tally.entry((step.action.kind(), expected.kind())).or_default() += 1;
        if said != expected.to_string() {
            return Err(format!("            the kernel says {said}, the model {expected}\n"));
        }
        let mut differences = match (answer, expected) {
            (Answer::Stat(seen), Outcome::Stat(facts)) => self.kernel.names.differences(&facts, &seen),
            _ => Vec::new(),
        };
        differences.extend(self.differences());
        if differences.is_empty() { Ok(()) } else { Err(differences.join("\n") + "\n") }
    }

    fn start(&mut self, role: Role) {
        let stranger = self.world.stranger.filter(|_| role == Role::Bob);
        let who = self.model.start(role, stranger.unwrap_or(self.world.user));
        self.kernel.start(who, stranger.is_some());
        let whom = stranger.map_or_else(String::new, |User { uid, .. }| format!(" as uid {uid}"));
        writeln!(self.story, "      {role:<6}  starts{whom}").expect("a string");
    }

    /// The kernel's answer in the model's words.
    fn translated(&mut self, answer: &Answer, expected: &Outcome) -> String {
        match *answer {
            Answer::Got(id) => Outcome::Got(self.kernel.name(id)).to_string(),
            Answer::Done => Outcome::Done.to_string(),
            Answer::Refused(errno) => Outcome::Refused(Errno::from_raw(errno)).to_string(),
            Answer::Stat(_) => match expected {
                Outcome::Stat(_) => expected.to_string(),
                _ => "a stat".to_owned(),
            },
        }
    }

    fn tell(&mut self, step: &Step, said: &str) {
        let Self { now, .. } = *self;
        let (role, action) = (step.role, step.action.to_string());
        writeln!(self.story, "{now:>4}  {role:<6}  {action:<58}  {said}").expect("a string");
    }

    /// Compares every segment of the namespace with every segment of the model.
    fn differences(&mut self) -> Vec<String> {
        let seen = self.kernel.segments();
        let mut lines = Vec::new();
        if self.kernel.listed() != seen {
            lines.push("            the crate lists other segments than /proc/sysvipc/shm".to_owned());
        }
        for (name, segment) in &self.model.segments {
            match seen.get(name) {
                Some(seen) => {
                    for difference in self.kernel.names.differences(&segment.facts, seen) {
                        lines.push(format!("            segment {}: {difference}", name.0));
                    }
                }
                None => {
                    lines.push(format!("            segment {}: the kernel has none, the model has", name.0))
                }
            }
        }
        for name in seen.keys().filter(|name| !self.model.segments.contains_key(name)) {
            lines.push(format!("            segment {}: the kernel has it, the model has none", name.0));
        }
        lines
    }
}
