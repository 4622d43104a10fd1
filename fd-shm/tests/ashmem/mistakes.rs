//! Worlds that are wrong in one point, as a reader of the driver could be: the random scripts must find each.

use crate::answer::{self, Answer};
use crate::script::{Actor, Ask, Call, PinCall};
use crate::stage::Cast;
use crate::world::World;

/// What a wrong world believes, and what it therefore does with a call; `None` for what it does like any
/// other.
type Mistake = (&'static str, fn(&mut World, Actor, &Call) -> Option<Answer>);

pub(crate) const MISTAKES: [Mistake; 6] = [
    ("a pin of a part tells of the purge for the whole range", |world, actor, call| {
        let Call::Pin { call: PinCall::Pin, fd, .. } = call else { return None };
        let answer = world.call(actor, call);
        if answer == "WAS PURGED" {
            let all = Call::Pin { call: PinCall::Pin, fd: fd.clone(), range: Some((0, 0)) };
            world.call(actor, &all);
        }
        Some(answer)
    }),
    ("opening a descriptor's path gives the same region", |world, actor, call| {
        let Call::Reopen { to, fd } = call else { return None };
        Some(world.call(actor, &Call::Dup { to: to.clone(), fd: fd.clone() }))
    }),
    ("a region lives on when its last descriptor is closed", |world, actor, call| {
        let Call::Ask { ask: Ask::Close, fd } = call else { return None };
        world.call(actor, &Call::Dup { to: format!("kept {fd}"), fd: fd.clone() });
        Some(world.call(actor, call))
    }),
    ("the offset of a mapping is checked", |world, actor, call| {
        let Call::Mmap { at: 1.., .. } = call else { return None };
        let answer = world.call(actor, call);
        Some(if answer == answer::OK { "EINVAL".to_owned() } else { answer })
    }),
    ("a private mapping shows the region", |world, actor, call| {
        let Call::Mmap { shared: false, .. } = call else { return None };
        let mut call = call.clone();
        if let Call::Mmap { shared, .. } = &mut call {
            *shared = true;
        }
        Some(world.call(actor, &call))
    }),
    ("only the process that made a region can unpin it", |world, actor, call| {
        let Call::Pin { call: PinCall::Unpin, fd, range } = call else { return None };
        let status = Call::Pin { call: PinCall::Status, fd: fd.clone(), range: *range };
        let answer = world.call(actor, if actor == 'A' { call } else { &status });
        Some(if answer.ends_with("pinned") { answer::OK.to_owned() } else { answer })
    }),
];

/// A world with a mistake.
pub(crate) struct Wrong {
    world: World,
    mistake: Mistake,
}

impl Wrong {
    pub(crate) fn new(mistake: Mistake) -> Self {
        Self { world: World::default(), mistake }
    }
}

impl Cast for Wrong {
    fn start(&mut self, actor: Actor) {
        self.world.start(actor);
    }

    fn fork(&mut self, actor: Actor, child: Actor) {
        self.world.fork(actor, child);
    }

    fn kill(&mut self, actor: Actor) {
        self.world.kill(actor);
    }

    fn send(&mut self, from: Actor, fd: &str, to: Actor, name: &str) -> Answer {
        self.world.send(from, fd, to, name)
    }

    fn call(&mut self, actor: Actor, call: &Call) -> Answer {
        (self.mistake.1)(&mut self.world, actor, call).unwrap_or_else(|| self.world.call(actor, call))
    }
}
