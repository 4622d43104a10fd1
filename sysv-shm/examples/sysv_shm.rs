//! Two processes that know nothing of each other but a number share memory: the tour of `sysv-shm`.
//!
//! Run it:                  `cargo run --example sysv_shm` or, in two terminals:    `cargo run --example
//! sysv_shm -- server` and `cargo run --example sysv_shm -- client`
//!
//! What to look for: the client is given nothing, it only says the key; the id that it finds is also the
//! inode in everybody's maps, so /proc tells who is attached; and nothing is left in the end because the
//! server removes the segment, not because the processes have ended.

use std::error::Error;
use std::ffi::OsStr;
use std::path::Path;
use std::process::{self, ExitCode};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::{env, fs};

use procfs::process::{Process, all_processes};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::futex;
use sysv_shm::{Attachment, Key, OwnedSegment, Segment, SegmentId, shareable};

#[path = "support/stage.rs"]
#[allow(unreachable_pub)] // one file, quoted by every tour: `pub` is what its readers would write
mod stage;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

// ANCHOR: meeting
/// All that the two sides have to agree on beforehand. Any 32-bit number will do, if nobody else has the same
/// idea.
const KEY: Key = Key::new(0x5348_4d31);
/// One page.
const SIZE: usize = 4096;

/// What lies at the beginning of the segment: the same words, seen by both processes.
#[repr(C)]
struct Meeting {
    /// How far the two have come: one of the numbers below. Each waits here for the other.
    step: AtomicU32,
    /// Written by the server, then by the client.
    word: AtomicU32,
}
shareable!(Meeting { step: AtomicU32, word: AtomicU32 });

const MADE: u32 = 0; // a new segment is all zeros
const WAITING: u32 = 1; // the server has written, and waits for a client
const JOINED: u32 = 2; // a client is here, and a second one would come too late
const ANSWERED: u32 = 3; // the client has written
const SEEN: u32 = 4; // the server has looked at everything
const LEFT: u32 = 5; // the client is about to end

/// Bytes of a text, which lies behind the words and is copied in and out: the server's first, then the
/// client's.
const TEXT: usize = 22;
const FROM_SERVER: &[u8; TEXT] = b"a text from the server";
const FROM_CLIENT: &[u8; TEXT] = b"a text from the client";
// ANCHOR_END: meeting

// ANCHOR: server
/// Makes the segment, and looks at what the first client that comes does with it.
fn server() -> Result<()> {
    println!("server  pid {}", process::id());
    let segment = make_or_take_over()?;
    println!("          made a segment of {SIZE} bytes under the key {KEY}: id {}", segment.id());

    let meeting = segment.attach::<Meeting>()?;
    meeting.word.store(42, Ordering::Relaxed);
    meeting.copy_in(0, FROM_SERVER)?;
    println!("          attached it, wrote 42 into a word and a text behind it");
    reach(&meeting.step, WAITING)?;
    println!("          waits for a client, which has to know the key (run it with `-- client`)");

    // A client that is killed from here on leaves us waiting, and Ctrl-C is the way out. The kernel would
    // tell us only if the two shared something that ends with a process: a socket, a pidfd, or a semaphore
    // with SEM_UNDO.
    wait_for(&meeting.step, ANSWERED)?;
    println!("server  pid {}", process::id());
    println!(
        "          sees the client's writes: {}, \"{}\"",
        meeting.word.load(Ordering::Relaxed),
        text(&meeting, TEXT)?
    );
    show_attached(&segment)?;
    reach(&meeting.step, SEEN)?;

    wait_for(&meeting.step, LEFT)?;
    segment.remove()?;
    println!("server  pid {}", process::id());
    println!("          removed the segment: the key is free, the memory goes with the last attachment");
    Ok(())
}
// ANCHOR_END: server

// ANCHOR: client
/// Finds the segment by its key, reads what the server wrote, and answers.
fn client() -> Result<()> {
    let segment = match Segment::open(KEY, SIZE) {
        Err(error) if error.is_not_found() => {
            return Err(format!(
                "there is no server ({error}).\nStart one first, in another terminal: {RUN} server"
            )
            .into());
        }
        other => other?,
    };
    let maker = segment.stat()?.creator_pid;
    if !is_running(maker) {
        return Err(format!(
            "the segment is there, but its server, pid {maker}, is gone.\n\
             Start one, which takes it over: {RUN} server"
        )
        .into());
    }
    println!("client  pid {}", process::id());
    println!(
        "          asked for the key {KEY} and found a segment: id {}, made by pid {maker}",
        segment.id()
    );

    let meeting = segment.attach::<Meeting>()?;
    wait_while(&meeting.step, MADE)?;
    if meeting.step.compare_exchange(WAITING, JOINED, Ordering::Acquire, Ordering::Relaxed).is_err() {
        return Err("the server is talking to another client".into());
    }
    let word = meeting.word.fetch_add(1, Ordering::Relaxed);
    println!("          attached it and sees the server's writes: {word}, \"{}\"", text(&meeting, 0)?);
    meeting.copy_in(TEXT, FROM_CLIENT)?;
    println!("          added 1 to the word, wrote a text of its own, and wakes the server");
    reach(&meeting.step, ANSWERED)?;

    wait_for(&meeting.step, SEEN)?;
    reach(&meeting.step, LEFT)?;
    Ok(())
}
// ANCHOR_END: client

// ANCHOR: waiting
/// Says that we have come as far as `step`, and wakes whoever waits for that.
///
/// Release: what was written before is seen by whoever sees the step (the Acquire in `wait_while`).
fn reach(step: &AtomicU32, now: u32) -> Result<()> {
    step.store(now, Ordering::Release);
    futex::wake(step, futex::Flags::empty(), u32::MAX)?;
    Ok(())
}

/// Sleeps until the other side has come as far as `wanted`.
fn wait_for(step: &AtomicU32, wanted: u32) -> Result<()> {
    loop {
        match step.load(Ordering::Acquire) {
            now if now == wanted => return Ok(()),
            now => wait_while(step, now)?,
        }
    }
}

/// Sleeps in the kernel while `step` is `now`.
///
/// A futex is Linux's, not System V's, which has only semaphores (or signals) for this. The kernel looks at
/// the word and goes to sleep in one step, so no wake-up is lost. The flags do not say PRIVATE: the word is
/// shared by two processes.
fn wait_while(step: &AtomicU32, now: u32) -> Result<()> {
    while step.load(Ordering::Acquire) == now {
        match futex::wait(step, futex::Flags::empty(), now, None) {
            Ok(()) | Err(Errno::AGAIN | Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
// ANCHOR_END: waiting

/// One of the two texts, printable whatever the peer wrote.
fn text(meeting: &Attachment<Meeting>, offset: usize) -> Result<String> {
    let mut bytes = [0; TEXT];
    meeting.copy_out(offset, &mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).escape_debug().to_string())
}

// ANCHOR: take_over
/// Makes the segment. If the key is taken by a segment that nobody can be using, says whose it was and takes
/// the key over.
fn make_or_take_over() -> Result<OwnedSegment> {
    // Ctrl-C runs no destructor, so it has a handler; while we make the segment, the handler waits for this
    // lock.
    let mut made = made();
    ctrlc::set_handler(remove_and_exit)?;
    let segment = match Segment::create_new(KEY, SIZE) {
        Err(error) if error.is_already_exists() => {
            remove_if_stale(Segment::open(KEY, 0)?)?;
            Segment::create_new(KEY, SIZE)?
        }
        other => other?,
    };
    *made = Some(segment);
    Ok(segment.remove_on_drop())
}

/// Removes a segment whose maker is gone and that nobody has attached. Both can be wrong about a program that
/// comes back later for its data: a key alone does not tell whose it is.
fn remove_if_stale(old: Segment) -> Result<()> {
    let stat = old.stat()?;
    let (id, maker, attached) = (old.id(), stat.creator_pid, stat.attached);
    let state = if is_running(maker) { "still runs" } else { "is gone" };
    let found = format!("of {} bytes, id {id}; pid {maker}, which made it, {state}", stat.size);
    if is_running(maker) || attached > 0 {
        return Err(format!(
            "the key {KEY} has a segment {found}; it is attached {attached} times.\n\
             Stop that server first. If it is none of ours, choose: another key, or `ipcrm -m {id}`"
        )
        .into());
    }
    println!("          found a stale segment under the key {KEY}, {found}");
    println!("          takes the key over: removes it and makes its own");
    Ok(old.remove()?)
}

/// What to remove when Ctrl-C comes.
fn made() -> MutexGuard<'static, Option<Segment>> {
    static SEGMENT: Mutex<Option<Segment>> = Mutex::new(None);
    SEGMENT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ctrl-C, SIGTERM or SIGHUP. A handler of the `ctrlc` crate is a thread, so it may do what it likes.
fn remove_and_exit() {
    if let Some(segment) = *made() {
        match segment.remove() {
            Ok(()) => eprintln!("interrupted: removed the segment, id {}", segment.id()),
            Err(error) => eprintln!("interrupted: {error}"), // it has just been removed, at the regular end
        }
    }
    process::exit(130) // what a shell says of a program that SIGINT ended
}
// ANCHOR_END: take_over

/// Whether there is such a process. Pid 0 stands for one that cannot be seen from here, which may be running.
fn is_running(pid: u32) -> bool {
    pid == 0 || Path::new(&format!("/proc/{pid}")).exists()
}

// ANCHOR: attached
/// Prints who has the segment attached, and the line that says so in each process's maps.
fn show_attached(segment: &Segment) -> Result<()> {
    let stat = segment.stat()?;
    println!(
        "          looks who is attached; the segment itself knows only how many mappings: {}",
        stat.attached
    );
    let mut lines = lines_in_maps(segment.id())?;
    lines.sort_by_key(|(pid, _)| *pid != process::id()); // ourselves first
    for (pid, line) in lines {
        let role = match pid {
            pid if pid == process::id() => "server",
            pid if Some(pid) == stat.last_pid => "client",
            _ => "others",
        };
        println!("          {role}  /proc/{pid}/maps");
        println!("                  {line}");
    }
    println!("          address   each process has its own; an address means nothing to the other");
    println!("          rw-s      read, write, shared");
    println!("          inode     is the segment's id: this is how /proc tells who is attached");
    println!(
        "          /SYSV     and the key it was made under; \"deleted\", for no directory has such a file"
    );
    Ok(())
}

/// Finds the mappings of the segment `id` of our IPC namespace in all processes that we may look into.
///
/// Another namespace can have another segment of the same id, so processes of other namespaces are left out.
fn lines_in_maps(id: SegmentId) -> Result<Vec<(u32, String)>> {
    let ours = ipc_namespace(&Process::myself()?);
    let mut found = Vec::new();
    for process in all_processes()?.flatten().filter(|process| ipc_namespace(process) == ours) {
        // Unreadable when it has just ended, or belongs to somebody else.
        let maps = fs::read_to_string(format!("/proc/{}/maps", process.pid())).unwrap_or_default();
        for line in maps.lines() {
            // address perms offset dev inode path
            let fields: Vec<&str> = line.split_whitespace().collect();
            if let [_, _, _, _, inode, path, ..] = fields[..]
                && path.starts_with("/SYSV")
                && inode == id.to_string()
            {
                found.push((process.pid().unsigned_abs(), fields.join(" ")));
            }
        }
    }
    Ok(found)
}

fn ipc_namespace(process: &Process) -> Option<u64> {
    process.namespaces().ok()?.0.get(OsStr::new("ipc")).map(|namespace| namespace.identifier)
}
// ANCHOR_END: attached

// ANCHOR: tour
/// Both roles, one after the other on this terminal, and what they leave behind.
fn tour() -> Result<()> {
    println!("Two processes share memory because both know a number. To be both of them yourself, run");
    println!("`{RUN} server` and, in another terminal, `... -- client`.");
    println!();
    let mut stage = stage::Stage::new()?;
    let server = stage.enter("server")?;
    stage.show_until("waits for a client")?;
    let id = Segment::open(KEY, 0)?.id();
    let outcome = stage.enter("client")?.finish();
    if outcome.is_err()
        && let Some(pid) = Pid::from_raw(server.pid().cast_signed())
    {
        kill_process(pid, Signal::TERM)?; // nobody else would come: let it remove what it made
    }
    stage.show_rest()?;
    outcome.and(server.finish())?;

    println!();
    println!("Both have ended. What is left:");
    match Segment::open(KEY, 0) {
        Ok(segment) => {
            return Err(format!("there is a segment under the key {KEY}: id {}", segment.id()).into());
        }
        Err(error) => println!("  under its key                nothing:\n    {error}"),
    }
    println!(
        "  in /proc/sysvipc/shm         {}",
        listed_keys()?.into_iter().filter(|&key| key == KEY).count()
    );
    println!("  processes that attach it     {}", lines_in_maps(id)?.len());
    println!("Nothing, because the server removed it. Had it been killed before that, the segment would");
    println!("still be there: it belongs to no process, and no process's end is its end.");
    Ok(())
}
// ANCHOR_END: tour

/// The keys of all segments of this IPC namespace: the first column of the kernel's list, in signed decimal.
fn listed_keys() -> Result<Vec<Key>> {
    let list = fs::read_to_string("/proc/sysvipc/shm")?;
    let keys = list.lines().filter_map(|line| line.split_whitespace().next()?.parse().ok());
    Ok(keys.map(Key::new).collect())
}

/// How a reader starts one of the roles.
const RUN: &str = "cargo run --example sysv_shm --";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let result = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => tour(),
        ["server"] => server(),
        ["client"] => client(),
        _ => Err(format!(
            "unknown arguments {arguments:?}: the roles are `server` and `client`; none shows both"
        )
        .into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sysv_shm: {error}");
            ExitCode::FAILURE
        }
    }
}
