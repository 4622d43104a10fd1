//! Who is there to act, and how a script is played by them: the same for a simulated world and for real
//! processes.

use std::collections::BTreeMap;

use crate::answer::{self, Answer};
use crate::script::{Actor, Call, Step};

/// Those who act: processes, real or not.
pub(crate) trait Cast {
    /// A process that shares nothing with the others.
    fn start(&mut self, actor: Actor);

    /// A copy of a process that is there.
    fn fork(&mut self, actor: Actor, child: Actor);

    /// Ends a process from outside, and all that it held with it.
    fn kill(&mut self, actor: Actor);

    /// Gives a process's descriptor to another; `Err` is the answer when it has none of that name.
    fn send(&mut self, from: Actor, fd: &str, to: Actor, name: &str) -> Answer;

    /// Any other call of one process.
    fn call(&mut self, actor: Actor, call: &Call) -> Answer;
}

/// Plays a script with a new cast: the answer to each step.
pub(crate) fn play(cast: &mut impl Cast, script: &[Step]) -> Vec<Answer> {
    let mut alive = BTreeMap::new();
    cast.start('A');
    alive.insert('A', true);
    script.iter().map(|step| act(cast, &mut alive, step)).collect()
}

/// Plays one step. `alive` has everybody who was ever there: a letter is used once.
fn act(cast: &mut impl Cast, alive: &mut BTreeMap<Actor, bool>, step: &Step) -> Answer {
    let actor = step.actor;
    if alive.get(&actor) != Some(&true) {
        return answer::no_actor(actor);
    }
    match &step.call {
        Call::Fork { child } if alive.contains_key(child) => format!("{child} was there before"),
        Call::Fork { child } => {
            cast.fork(actor, *child);
            alive.insert(*child, true);
            answer::OK.to_owned()
        }
        Call::Send { fd, to, name } => {
            if alive.get(to) == Some(&false) {
                return answer::no_actor(*to);
            }
            if alive.insert(*to, true).is_none() {
                cast.start(*to);
            }
            cast.send(actor, fd, *to, name)
        }
        Call::Die => {
            cast.kill(actor);
            alive.insert(actor, false);
            answer::OK.to_owned()
        }
        call => cast.call(actor, call),
    }
}
