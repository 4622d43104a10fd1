//! The article's story: one process sends another a descriptor, and each step is seen.
//!
//! Told in both schemes over one world, so that the one difference shows: *who* chooses the number in the
//! receiver, and *when*. Between the send and the read the receiver opens a file of its own: whoever chooses
//! first gets the lowest free number.

use crate::driver::{Read, Translation};
use crate::error::Error;
use crate::protocol::{Command, Object, ObjectFlags, Payload, Return, TransactionData, TransactionFlags};
use crate::trace::Trace;
use crate::world::{Pid, World};
use alloc::vec;

/// The number under which the sender has the shared memory.
pub const SENDER_FD: u32 = 7;

/// What both processes map for receiving: as much as libbinder asks for, 1 MiB less two pages.
const MAPPING: usize = (1 << 20) - 2 * 4096;

/// A sender with a shared memory under 7, and a receiver on handle 0 that has a hole at 4.
///
/// # Errors
/// None that a fresh world can have.
pub fn before(translation: Translation) -> Result<(World, Pid, Pid), Error> {
    let mut world = World::new(translation);
    let [sender, receiver] = ["sender", "receiver"].map(|name| world.spawn(name));
    for process in [sender, receiver] {
        for fd in 0..3 {
            world.open_at(process, fd, "terminal", ())?;
        }
        world.open_device(process)?;
        world.mmap(process, MAPPING)?;
    }
    world.open_at(sender, SENDER_FD, "shared memory", ())?;
    world.open_at(receiver, 5, "config", ())?;
    world.set_context_manager(receiver, ObjectFlags::ACCEPTS_FDS)?;
    let enter = vec![Command::EnterLooper];
    world.write_read(receiver, enter, Read::NONE)?;
    // A thread's first call comes back at once; this one is not part of the story.
    world.write_read(sender, vec![], Read::NONE)?;
    Ok((world, sender, receiver))
}

/// Runs the story; gives the world as it is at the end, and every step between the two.
///
/// # Errors
/// None that a fresh world can have.
///
/// # Examples
/// ```
/// use binder_sim::driver::Translation;
/// use binder_sim::story::one_descriptor;
///
/// for (translation, number, chosen_by) in
///     [(Translation::Classic, 4, "sender"), (Translation::Deferred, 6, "receiver")]
/// {
///     let (_, trace) = one_descriptor(translation)?;
///     let row = &trace.translations[0];
///     assert_eq!((row.sender_fd, row.receiver_fd), (7, number));
///     assert_eq!(row.chosen_in_call_of, chosen_by);
/// }
/// # Ok::<(), binder_sim::error::Error>(())
/// ```
pub fn one_descriptor(translation: Translation) -> Result<(World, Trace), Error> {
    let (mut world, sender, receiver) = before(translation)?;
    world.trace(&[sender, receiver]);
    // The sender calls handle 0 with one FD object, and waits for the reply.
    let payload = Payload::objects([Object::fd(SENDER_FD)]);
    let call = TransactionData::new(0, 1, payload).flags(TransactionFlags::NONE);
    world.write_read(sender, vec![Command::Transaction(call)], Read::WAIT)?;
    // Before it reads, the receiver opens a file of its own.
    let log = world.open(receiver, "log", ())?;
    world.note_action(receiver, "open(\"log\")", &alloc::format!("{log} is its lowest free number now"));
    // It reads the call, gives the buffer back, and answers; the descriptor is its own to keep.
    let read = world.write_read(receiver, vec![], Read::WAIT)?;
    let buffer =
        read.and_then(|read| read.returns.iter().find_map(Return::delivered).map(|call| call.buffer));
    let reply = TransactionData::new(0, 0, Payload::new()).flags(TransactionFlags::NONE);
    let mut answer = vec![Command::Reply(reply)];
    answer.splice(0..0, buffer.map(Command::FreeBuffer));
    world.write_read(receiver, answer, Read::NONE)?;
    world.run();
    let read = world.take_returned(sender);
    let buffer =
        read.and_then(|read| read.returns.iter().find_map(Return::delivered).map(|reply| reply.buffer));
    let trace = world.take_trace().unwrap_or_else(|| Trace::new(translation, vec![]));
    let free = buffer.map(Command::FreeBuffer).into_iter().collect();
    world.write_read(sender, free, Read::NONE)?;
    Ok((world, trace))
}
