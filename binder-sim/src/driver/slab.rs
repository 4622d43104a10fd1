//! Where the driver keeps its objects: numbered slots, reused, each number good for one object only.

use alloc::vec::Vec;
use core::marker::PhantomData;
use core::ops::{Index, IndexMut};

/// The number of an object in a [`Slab`]: the slot, and how many objects the slot had before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    /// The slot.
    pub(crate) index: u32,
    /// The objects that the slot had before this one.
    pub(crate) generation: u32,
}

/// A number of one kind of object.
macro_rules! key {
    ($(#[$doc:meta])* $visibility:vis $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        $visibility struct $name(pub(crate) crate::driver::slab::Key);

        impl From<crate::driver::slab::Key> for $name {
            fn from(key: crate::driver::slab::Key) -> $name { $name(key) }
        }
        impl From<$name> for crate::driver::slab::Key {
            fn from(name: $name) -> crate::driver::slab::Key { name.0 }
        }
    };
}
pub(crate) use key;

/// Slots of `T`, numbered by `K`.
///
/// # Invariants
/// `free` lists exactly the slots that hold nothing; a key whose generation is not the slot's names nothing.
#[derive(Debug)]
pub(crate) struct Slab<K, T> {
    /// Each slot: its generation, and what it holds.
    slots: Vec<(u32, Option<T>)>,
    /// The empty slots; the last freed is used first.
    free: Vec<u32>,
    /// `K` is the type of the keys only.
    keys: PhantomData<fn() -> K>,
}

impl<K: From<Key> + Into<Key> + Copy, T> Slab<K, T> {
    /// No slots.
    pub(crate) fn new() -> Slab<K, T> {
        Slab { slots: Vec::new(), free: Vec::new(), keys: PhantomData }
    }

    /// Puts `value` into an empty slot.
    pub(crate) fn insert(&mut self, value: T) -> K {
        if let Some(index) = self.free.pop() {
            let slot = &mut self.slots[index as usize];
            slot.1 = Some(value);
            return Key { index, generation: slot.0 }.into();
        }
        // More than 2^32 objects do not fit in memory.
        let index = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        self.slots.push((0, Some(value)));
        Key { index, generation: 0 }.into()
    }

    /// Takes what `key` names out, and ends the key.
    pub(crate) fn remove(&mut self, key: K) -> Option<T> {
        let key: Key = key.into();
        let slot = self.slots.get_mut(key.index as usize).filter(|slot| slot.0 == key.generation)?;
        let value = slot.1.take()?;
        // INVARIANT: the generation grows with each removal, so that old keys name nothing.
        slot.0 = slot.0.wrapping_add(1);
        self.free.push(key.index);
        Some(value)
    }

    /// Drops what `key` names where it is, and ends the key.
    pub(crate) fn discard(&mut self, key: K) {
        let key: Key = key.into();
        if let Some(slot) = self.slots.get_mut(key.index as usize).filter(|slot| slot.0 == key.generation)
            && slot.1.is_some()
        {
            // INVARIANT: as in `remove`.
            (slot.0, slot.1) = (slot.0.wrapping_add(1), None);
            self.free.push(key.index);
        }
    }

    /// What `key` names, if it still does. Keys that come from outside go through here.
    pub(crate) fn get(&self, key: K) -> Option<&T> {
        let key: Key = key.into();
        self.slots.get(key.index as usize).filter(|slot| slot.0 == key.generation)?.1.as_ref()
    }

    /// What `key` names, if it still does.
    pub(crate) fn get_mut(&mut self, key: K) -> Option<&mut T> {
        let key: Key = key.into();
        self.slots.get_mut(key.index as usize).filter(|slot| slot.0 == key.generation)?.1.as_mut()
    }

    /// All objects with their keys, in the order of the slots.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (K, &T)> {
        (0..).zip(&self.slots).filter_map(|(index, &(generation, ref value))| {
            value.as_ref().map(|value| (Key { index, generation }.into(), value))
        })
    }

    /// All objects, in the order of the slots, to be changed.
    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.slots.iter_mut().filter_map(|(_, value)| value.as_mut())
    }

    /// How many objects there are.
    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }
}

/// For keys that the driver itself keeps: each names something for as long as it is kept, and `check` holds the
/// driver to it. Like the kernel's `BUG_ON`: to go on with a wrong object would be worse.
impl<K: From<Key> + Into<Key> + Copy + core::fmt::Debug, T> Index<K> for Slab<K, T> {
    type Output = T;
    fn index(&self, key: K) -> &T {
        self.get(key).unwrap_or_else(|| kept_too_long(key))
    }
}

impl<K: From<Key> + Into<Key> + Copy + core::fmt::Debug, T> IndexMut<K> for Slab<K, T> {
    fn index_mut(&mut self, key: K) -> &mut T {
        self.get_mut(key).unwrap_or_else(|| kept_too_long(key))
    }
}

#[cold]
#[inline(never)]
fn kept_too_long<K: core::fmt::Debug>(key: K) -> ! {
    panic!("slab: {key:?} was kept after its object went")
}

#[cfg(test)]
mod tests {
    use super::Slab;
    use crate::driver::ProcessId;

    #[test]
    #[should_panic(expected = "was kept after its object went")]
    fn a_key_that_was_kept_too_long_ends_the_program() {
        let mut slab: Slab<ProcessId, u8> = Slab::new();
        let key = slab.insert(7);
        slab.discard(key);
        slab.insert(8);
        let _ = slab[key];
    }
}
