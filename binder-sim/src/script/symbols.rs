//! What steps have brought that later ones speak of: buffers and handles.

use super::payload::Item;
use super::say::{Buffer, Number, Say, Sent};
use crate::protocol::{Delivered, Object};
use alloc::vec;
use alloc::vec::Vec;

/// What steps have brought, actor by actor.
#[derive(Debug, Clone)]
pub struct Symbols {
    /// The buffers that each actor has received and not freed: where in its mapping.
    buffers: Vec<Vec<u64>>,
    /// By step, the buffer that it received, from the start of the mapping.
    buffer_of: Vec<(usize, u64)>,
    /// By step, the first handle in what it received.
    handle_of: Vec<(usize, u32)>,
}

impl Symbols {
    /// Nothing yet, for so many actors.
    pub fn new(actors: usize) -> Symbols {
        Symbols { buffers: vec![Vec::new(); actors], buffer_of: Vec::new(), handle_of: Vec::new() }
    }

    /// The actor received this in this step; its mapping begins at `base`.
    pub fn received(&mut self, actor: usize, step: usize, delivered: &Delivered, base: u64) {
        let buffer = delivered.buffer.wrapping_sub(base);
        self.buffers[actor].push(buffer);
        self.buffer_of.push((step, buffer));
        let handle = delivered.payload.objects.iter().find_map(|placed| match placed.object {
            Object::Handle { handle, .. } => Some(handle),
            _ => None,
        });
        self.handle_of.extend(handle.map(|handle| (step, handle)));
    }

    /// The commands as the actor can write them now: nothing in them is left to be looked up.
    pub fn fill_in(&mut self, actor: usize, write: &[Say]) -> Vec<Say> {
        write.iter().map(|say| self.say(actor, say)).collect()
    }

    /// A handle by its number.
    pub fn number(&self, number: Number) -> Number {
        let Number::Of(step) = number else { return number };
        let found = self.handle_of.iter().find(|(known, _)| *known == step);
        Number::Is(found.map_or(u32::MAX, |(_, handle)| *handle))
    }

    /// One command.
    fn say(&mut self, actor: usize, say: &Say) -> Say {
        match say {
            Say::Transaction(target, sent) => Say::Transaction(self.number(*target), self.sent(sent)),
            Say::Reply(sent) => Say::Reply(self.sent(sent)),
            Say::FreeBuffer(buffer) => Say::FreeBuffer(self.buffer(actor, *buffer)),
            Say::Count(count, handle) => Say::Count(*count, self.number(*handle)),
            Say::Notice(notice, handle, cookie) => Say::Notice(*notice, self.number(*handle), *cookie),
            other => other.clone(),
        }
    }

    /// A payload.
    fn sent(&self, sent: &Sent) -> Sent {
        let mut sent = sent.clone();
        for item in &mut sent.items {
            if let Item::Handle { handle, .. } = item {
                *handle = self.number(*handle);
            }
        }
        sent
    }

    /// A buffer by its place; it is then freed.
    fn buffer(&mut self, actor: usize, buffer: Buffer) -> Buffer {
        let held = &mut self.buffers[actor];
        let place = match buffer {
            Buffer::Last => held.pop(),
            Buffer::Of(step) => {
                self.buffer_of.iter().find(|(known, _)| *known == step).map(|(_, place)| *place)
            }
            Buffer::At(place) => Some(place),
            Buffer::Address(_) => return buffer,
        };
        held.retain(|known| Some(*known) != place);
        place.map_or(Buffer::Address(0), Buffer::At)
    }
}
