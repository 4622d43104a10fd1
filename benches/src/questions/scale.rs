//! What does one more cost, where many stand already?
//!
//! The many are made beside the clock; an operation makes one more and takes it away. They are segments,
//! descriptors, mappings and attachments of this process, and processes that all have one segment attached.
//! Whatever needs System V is measured in a namespace of our own only: a crash would leave thousands of
//! segments.

use std::fs;
use std::os::fd::AsFd;
use std::rc::Rc;

use fd_shm::Region;
use rustix::process::{Resource, getrlimit};
use sysv_shm::{Key, Segment, SegmentId};

use super::Group;
use crate::clock::Alone;
use crate::floor::memory::RawMemory;
use crate::floor::process::Sleeper;
use crate::floor::{memfd, system_v};
use crate::measure::{Effort, Entry};
use crate::memory::RawSegment;
use crate::place::Place;
use crate::{Failure, Question};

/// How large each of the many is.
const SIZE: usize = 4 << 10;

/// The key under which one of many segments is looked for.
const KEY: i32 = 0x6266_0000;

/// How many stand already.
pub(super) fn counts(effort: Effort) -> impl Iterator<Item = u64> {
    [1, 10, 100, 1000, 10_000].into_iter().filter(move |&count| count <= effort.most)
}

/// All kinds of one number.
pub(super) fn group(place: Place, count: u64) -> Result<Group, Failure> {
    let mut group = Group::default();
    for kind in KINDS {
        match (kind.room)() {
            _ if kind.system_v && !place.private_ipc => {
                group.lacks(Question::Scale, kind.subject, "no IPC namespace of one's own");
            }
            (limit, room) if room < count + MARGIN => {
                group.lacks(Question::Scale, kind.subject, format!("{count} and more: {limit} is {room}"));
            }
            _ => {
                let [raw, ours] = (kind.entries)(count)?;
                group.entries.push(Entry { size: count, ..raw });
                group.entries.push(Entry { size: count, ..ours });
            }
        }
    }
    Ok(group)
}

/// What this process and its neighbours need besides.
const MARGIN: u64 = 64;

/// One of the kinds of things that one can have many of.
struct Kind {
    subject: &'static str,
    /// Whether it stands in the IPC namespace.
    system_v: bool,
    /// The name of the limit, and what it is here.
    room: fn() -> (&'static str, u64),
    /// Makes so many, and the raw way and ours of making one more.
    entries: fn(u64) -> Result<[Entry; 2], Failure>,
}

const KINDS: [Kind; 6] = [
    Kind { subject: SEGMENTS, system_v: true, room: shmmni, entries: segments },
    Kind { subject: KEYS, system_v: true, room: shmmni, entries: keys },
    Kind { subject: DESCRIPTORS, system_v: false, room: open_files, entries: descriptors },
    Kind { subject: MAPPINGS, system_v: false, room: map_count, entries: mappings },
    Kind { subject: ATTACHMENTS, system_v: true, room: map_count, entries: attachments },
    Kind { subject: PROCESSES, system_v: true, room: processes_allowed, entries: processes },
];

const SEGMENTS: &str = "System V segments";
const KEYS: &str = "System V, found by key";
const DESCRIPTORS: &str = "memfds";
const MAPPINGS: &str = "memfd mappings";
const ATTACHMENTS: &str = "System V attachments";
const PROCESSES: &str = "System V, by processes";

fn shmmni() -> (&'static str, u64) {
    ("kernel.shmmni", number("/proc/sys/kernel/shmmni"))
}

fn map_count() -> (&'static str, u64) {
    ("vm.max_map_count", number("/proc/sys/vm/max_map_count"))
}

fn open_files() -> (&'static str, u64) {
    ("RLIMIT_NOFILE", getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX))
}

/// A quarter of what the kernel would let everybody have together: there are others.
fn processes_allowed() -> (&'static str, u64) {
    let own = getrlimit(Resource::Nproc).current.unwrap_or(u64::MAX);
    let all = number("/proc/sys/kernel/threads-max").min(number("/proc/sys/kernel/pid_max"));
    ("a quarter of kernel.threads-max or pid_max", own.min(all / 4))
}

fn number(path: &str) -> u64 {
    fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(u64::MAX)
}

/// Segments that stand, unattached: removed when dropped.
fn segments(count: u64) -> Result<[Entry; 2], Failure> {
    let many = many(count, || Ok(RawSegment(system_v::create(None, SIZE)?)))?;
    let other = Rc::clone(&many);
    Ok([
        Entry::floor(
            SEGMENTS,
            0,
            Alone(move || {
                let _ = &many;
                system_v::remove(system_v::create(None, SIZE)?)
            }),
        ),
        Entry::ours(
            SEGMENTS,
            0,
            Alone(move || {
                let _ = &other;
                Ok(Segment::create(Key::PRIVATE, SIZE)?.remove()?)
            }),
        ),
    ])
}

/// One segment with a key, found among so many others that have keys too.
fn keys(count: u64) -> Result<[Entry; 2], Failure> {
    let mut next = KEY;
    let many = many(count, || {
        next += 1;
        Ok(RawSegment(system_v::create(Some(next), SIZE)?))
    })?;
    let other = Rc::clone(&many);
    // The last made: nothing would find it by looking at the first few.
    Ok([
        Entry::floor(
            KEYS,
            0,
            Alone(move || {
                let _ = &many;
                system_v::find(next).map(drop)
            }),
        ),
        Entry::ours(
            KEYS,
            0,
            Alone(move || {
                let _ = &other;
                Segment::open(Key::new(next), 0)?;
                Ok(())
            }),
        ),
    ])
}

/// Open files of this process.
fn descriptors(count: u64) -> Result<[Entry; 2], Failure> {
    let many = many(count, || memfd::create(c"one of many", SIZE))?;
    let other = Rc::clone(&many);
    Ok([
        Entry::floor(
            DESCRIPTORS,
            0,
            Alone(move || {
                let _ = &many;
                memfd::create(c"one more", SIZE).map(drop)
            }),
        ),
        Entry::ours(
            DESCRIPTORS,
            0,
            Alone(move || {
                let _ = &other;
                Region::create("one more", SIZE)?;
                Ok(())
            }),
        ),
    ])
}

/// Mappings of one region by this process, each touched.
fn mappings(count: u64) -> Result<[Entry; 2], Failure> {
    let region = Rc::new(Region::create("many", SIZE)?);
    let many = many(count, || touched(memfd::map_new(region.as_fd(), SIZE)?))?;
    let (other, same) = (Rc::clone(&many), Rc::clone(&region));
    Ok([
        Entry::floor(
            MAPPINGS,
            0,
            Alone(move || {
                let _ = &many;
                touched(memfd::map_new(region.as_fd(), SIZE)?).map(drop)
            }),
        ),
        Entry::ours(
            MAPPINGS,
            0,
            Alone(move || {
                let _ = &other;
                Ok(same.map::<()>()?.copy_in(0, &[1; 8])?)
            }),
        ),
    ])
}

/// Attachments of one segment by this process, each touched.
fn attachments(count: u64) -> Result<[Entry; 2], Failure> {
    let segment = Rc::new(RawSegment(system_v::create(None, SIZE)?));
    let id = segment.0;
    let many = many(count, || touched(system_v::attach(id, SIZE)?))?;
    let (other, same) = (Rc::clone(&many), Rc::clone(&segment));
    Ok([attach_raw(ATTACHMENTS, (many, segment), id), attach_ours(ATTACHMENTS, (other, same), id)])
}

/// Processes that have one segment attached: children that inherit the attachment, and sleep.
fn processes(count: u64) -> Result<[Entry; 2], Failure> {
    let segment = Rc::new(RawSegment(system_v::create(None, SIZE)?));
    let id = segment.0;
    let inherited = touched(system_v::attach(id, SIZE)?)?;
    let many = many(count, Sleeper::start)?;
    drop(inherited);
    let (other, same) = (Rc::clone(&many), Rc::clone(&segment));
    Ok([attach_raw(PROCESSES, (many, segment), id), attach_ours(PROCESSES, (other, same), id)])
}

fn attach_raw(subject: &'static str, many: impl Sized + 'static, id: i32) -> Entry {
    Entry::floor(
        subject,
        0,
        Alone(move || {
            let _ = &many;
            touched(system_v::join(id)?).map(drop)
        }),
    )
}

fn attach_ours(subject: &'static str, many: impl Sized + 'static, id: i32) -> Entry {
    Entry::ours(
        subject,
        0,
        Alone(move || {
            let _ = &many;
            Ok(Segment::from(SegmentId::new(id)).attach::<()>()?.copy_in(0, &[1; 8])?)
        }),
    )
}

/// So many of them, shared by the two ways of making one more.
fn many<T>(count: u64, make: impl FnMut() -> Result<T, Failure>) -> Result<Rc<Vec<T>>, Failure> {
    let mut make = make;
    (0..count).map(|_| make()).collect::<Result<Vec<_>, _>>().map(Rc::new)
}

fn touched(memory: RawMemory) -> Result<RawMemory, Failure> {
    memory.write(0, &[1; 8]);
    Ok(memory)
}
