//! The article's server and client, with one step left out at a time: what breaks, who is told, and what does not
//! break at all.
//!
//! Run it: `cargo run --example binder_15_server_and_client_broken`
//!
//! What to look for: the driver refuses what it can see, and it tells the *caller* even where the mistake was the
//! server's. What it cannot see, a client has to ask the descriptor. What neither can see is up to the two.

#![allow(unsafe_code)] // a private mapping, which the library does not make

use std::error::Error;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU32, Ordering};

use binder_sim::driver::{Read, Translation};
use binder_sim::parcel::{Parcel, Reader};
use binder_sim::protocol::{
    Command, Delivered, Object, ObjectFlags, Payload, Return, TransactionData, TransactionFlags,
};
use binder_sim::world::{Pid, World};
use fd_shm::{Expected, Memfd, Region, shareable};
use memmap2::MmapOptions;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// One step left out: what it was, and what came of it.
fn left_out(step: &str, what_happened: impl std::fmt::Display) {
    println!("  {step:30}  {what_happened}");
}

// ANCHOR: pair
/// A server on handle 0, and a client.
struct Pair {
    world: World<OwnedFd>,
    server: Pid,
    client: Pid,
    /// What the server read after its last reply.
    server_read: Vec<Return>,
}

impl Pair {
    fn new() -> Result<Pair> {
        let mut world = World::new(Translation::Deferred);
        let [server, client] = ["server", "client"].map(|name| world.spawn(name));
        for process in [server, client] {
            world.open_device(process)?;
            world.mmap(process, 128 << 10)?;
            world.write_read(process, vec![], Read::NONE)?;
        }
        world.set_context_manager(server, ObjectFlags::NONE)?;
        Ok(Pair { world, server, client, server_read: vec![] })
    }

    /// The client calls with `flags`, the server replies with number `fd` and says how large it is; then `meanwhile`.
    /// What the client reads.
    fn call(
        &mut self,
        flags: TransactionFlags,
        (fd, size): (u32, i32),
        meanwhile: impl FnOnce(&mut World<OwnedFd>) -> Result<()>,
    ) -> Result<Vec<Return>> {
        let call = TransactionData::new(0, 1, Payload::new()).flags(flags);
        self.world.write_read(self.client, vec![Command::Transaction(call)], Read::NONE)?;
        let read = self.world.write_read(self.server, vec![], Read::NOW)?.ok_or("the call has come")?;
        let call = read.returns.iter().find_map(Return::delivered).ok_or("the call has come")?;
        let reply = Parcel::new().object(Object::fd(fd)).number(size).payload();
        let reply = TransactionData::new(0, 0, reply).flags(TransactionFlags::NONE);
        let write = vec![Command::FreeBuffer(call.buffer), Command::Reply(reply)];
        let read = self.world.write_read(self.server, write, Read::NOW)?;
        self.server_read = read.map(|read| read.returns).unwrap_or_default();
        meanwhile(&mut self.world)?;
        let read = self.world.write_read(self.client, vec![], Read::NOW)?.ok_or("an answer has come")?;
        Ok(read.returns)
    }

    /// A call as it should be, of a server that sends `file`: what arrives.
    fn sends(&mut self, file: impl Into<OwnedFd>, size: i32) -> Result<(OwnedFd, i32)> {
        let fd = self.world.open(self.server, "file", file.into())?;
        let came = self.call(TransactionFlags::ACCEPT_FDS, (fd, size), |_| Ok(()))?;
        self.arrived(&came)
    }

    /// What a reply brought: the open file, and the size that the message says.
    fn arrived(&self, came: &[Return]) -> Result<(OwnedFd, i32)> {
        let (fd, size) = came.iter().find_map(Return::delivered).and_then(contents).ok_or("no descriptor")?;
        let file = self.world.file(self.client, fd).and_then(|file| file.content());
        Ok((file.ok_or("nothing is open there")?.try_clone()?, size))
    }

    /// Prints what both read where no reply came, and why.
    fn refused(&mut self, step: &str, client_read: &[Return]) -> Result<()> {
        let names = |read: &[Return]| {
            let names = read.iter().filter(|read| **read != Return::Noop).map(Return::name);
            names.map(|name| name.trim_start_matches("BR_")).collect::<Vec<_>>().join(", ")
        };
        let (server, client) = (names(&self.server_read), names(client_read));
        let error = self.world.extended_error(self.client)?.to_string();
        let error = error.trim_start_matches("BR_");
        println!("  {step:26}  {server:20}  {client:34}  {error}");
        Ok(())
    }
}

/// The number and the size in a reply.
fn contents(reply: &Delivered) -> Option<(u32, i32)> {
    let mut reader = Reader::new(&reply.payload);
    let &Object::Fd { fd, .. } = reader.object()? else { return None };
    Some((fd, reader.number()?))
}
// ANCHOR_END: pair

// ANCHOR: driver
/// What the driver looks after.
fn seen_by_the_driver() -> Result<()> {
    println!("Seen by the driver, which refuses the reply and tells the caller:\n");
    println!("  {:26}  {:20}  {:34}  its extended error", "left out", "the server reads", "the client reads");
    let mut pair = Pair::new()?;
    let fd = pair.world.open(pair.server, "frames", Region::create("frames", 4096)?.into())?;
    let came = pair.call(TransactionFlags::NONE, (fd, 4096), |_| Ok(()))?;
    pair.refused("TF_ACCEPT_FDS in the call", &came)?;
    let came = pair.call(TransactionFlags::ACCEPT_FDS, (99, 4096), |_| Ok(()))?;
    pair.refused("a descriptor that is open", &came)?;
    let (client, full) = (pair.client, pair.world.table(pair.client).map_or(0, |table| table.len()));
    pair.world.set_limit(client, u32::try_from(full)?)?;
    let came = pair.call(TransactionFlags::ACCEPT_FDS, (fd, 4096), |_| Ok(()))?;
    pair.refused("room in the client's table", &came)
}
// ANCHOR_END: driver

// ANCHOR: client
/// What only the client can look after, by asking the descriptor.
fn seen_by_the_client() -> Result<()> {
    println!("\nSeen by a client that asks the descriptor, before anything is mapped:");
    let mut pair = Pair::new()?;
    let (pipe, _) = pair.sends(std::io::pipe()?.0, 4096)?;
    left_out("sending a region", reason(Region::from_fd(pipe)));
    let unsealed = Memfd::create("frames")?;
    unsealed.set_len(4096)?;
    let (unsealed, _) = pair.sends(unsealed, 4096)?;
    left_out("sealing its size", reason(Region::from_fd(unsealed)));
    let (region, said) = pair.sends(Region::create("frames", 4096)?, 1 << 20)?;
    let refused = Expected::new().at_least(usize::try_from(said)?).check(region);
    left_out("a size that is true", format!("the message says {said}: {}", reason(refused)));
    let (small, _) = pair.sends(Region::create("frames", 4)?, 4)?;
    left_out("room for the agreed words", reason(Region::from_fd(small)?.map::<Shared>()));
    Ok(())
}
// ANCHOR_END: client

/// The reason of a refusal, behind the call, which has a number of this run in it.
fn reason<T>(came: fd_shm::Result<T>) -> String {
    let refused = came.err().map_or("it came through".to_owned(), |refused| refused.to_string());
    refused.split_once(": ").map_or(refused.clone(), |(_, reason)| reason.to_owned())
}

// ANCHOR: two
/// What server and client have agreed on.
#[repr(C)]
struct Shared {
    /// Counts what both have done.
    done: AtomicU32,
    /// Written by the server.
    frame: AtomicU32,
}
shareable!(Shared { done: AtomicU32, frame: AtomicU32 });

/// What nobody sees, and the two have to look after.
fn seen_by_nobody() -> Result<()> {
    println!("\nSeen by nobody:");
    let mut pair = Pair::new()?;
    let region = Region::create("frames", 4096)?;
    let ours = region.map::<Shared>()?;
    let (came, _) = pair.sends(region, 4096)?;
    // SAFETY: the region cannot shrink, and nothing but one word is ever reached through this mapping.
    let mut pages = unsafe { MmapOptions::new().map_copy(&came) }?;
    // SAFETY: the first word of a page, aligned, and reached as this atomic alone while `pages` is there.
    let private = unsafe { AtomicU32::from_ptr(pages.as_mut_ptr().cast()) };
    private.store(7, Ordering::Relaxed);
    let seen = ours.done.load(Ordering::Relaxed);
    left_out("MAP_SHARED", format!("the client stores 7, the server sees {seen}"));
    let theirs = Region::from_fd(came)?.map::<Shared>()?;
    let (one, other) = (ours.done.load(Ordering::Relaxed), theirs.done.load(Ordering::Relaxed));
    ours.done.store(one + 1, Ordering::Relaxed);
    theirs.done.store(other + 1, Ordering::Relaxed);
    left_out("adding atomically", format!("two additions of 1 make {}", ours.done.load(Ordering::Relaxed)));
    ours.frame.store(5, Ordering::Relaxed);
    let checked = theirs.frame.load(Ordering::Relaxed);
    ours.frame.store(500, Ordering::Relaxed);
    let used = theirs.frame.load(Ordering::Relaxed);
    left_out("copying before checking", format!("{checked} when it was checked, {used} when it was used"));
    let fd = pair.world.open(pair.server, "frames", Region::create("frames", 4096)?.into())?;
    for _ in 0..3 {
        pair.call(TransactionFlags::ACCEPT_FDS, (fd, 4096), |_| Ok(()))?;
    }
    let table = pair.world.table(pair.client).map(|table| table.rows(|file| file.label().into()));
    let numbers = table.iter().flatten().filter(|row| row.file == "frames").count();
    left_out(
        "closing what arrived",
        format!("three calls more, and the client has {numbers} numbers for one region"),
    );
    Ok(())
}
// ANCHOR_END: two

// ANCHOR: for_free
/// What nobody has to do.
fn for_free() -> Result<()> {
    println!("\nNot needed:");
    let mut pair = Pair::new()?;
    let region = Region::create("frames", 4096)?;
    let ours = region.map::<Shared>()?;
    let (server, fd) = (pair.server, pair.world.open(pair.server, "frames", region.into())?);
    let came = pair.call(TransactionFlags::ACCEPT_FDS, (fd, 4096), |world| Ok(world.close(server, fd)?))?;
    let (came, _) = pair.arrived(&came)?;
    left_out("keeping what travels open", "the server closed it before the client read, and it arrived");
    let theirs = Region::from_fd(came)?.map::<Shared>()?;
    pair.world.exit(server)?;
    ours.frame.store(42, Ordering::Relaxed);
    drop(ours);
    let seen = theirs.frame.load(Ordering::Relaxed);
    left_out("a server that lives", format!("it has died, and the client still reads {seen}"));
    Ok(())
}
// ANCHOR_END: for_free

fn main() -> Result<()> {
    seen_by_the_driver()?;
    seen_by_the_client()?;
    seen_by_nobody()?;
    for_free()
}
