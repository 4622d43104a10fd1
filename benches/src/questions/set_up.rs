//! What does it cost to make a region, fill it, and destroy it?
//!
//! Every way copies the same bytes from private memory into the whole region: a page costs its first touch
//! far more than its copy, and a region that is never touched has no pages at all. No second process:
//! nothing is shared yet.

use std::ffi::CString;
use std::os::fd::AsFd;

use fd_shm::Region;
use ipc_channel::ipc::IpcSharedMemory;
use sysv_shm::{Key, Segment};

use crate::Failure;
use crate::clock::Alone;
use crate::floor::{memfd, posix, system_v};
use crate::measure::{Effort, Entry};
use crate::memory::RawSegment;
use crate::payload::pattern;

/// The sizes: from one page to more than any cache holds.
pub(super) fn sizes(effort: Effort) -> impl Iterator<Item = usize> {
    let all = [4 << 10, 64 << 10, 1 << 20, 16 << 20, 64 << 20];
    all.into_iter().filter(move |&size| size as u64 <= effort.largest)
}

/// The ways of one size.
pub(super) fn entries(size: usize) -> Result<Vec<Entry>, Failure> {
    let bytes = pattern(size);
    let with = |work: fn(&[u8]) -> Result<(), Failure>| {
        let bytes = bytes.clone();
        Alone(move || work(&bytes))
    };
    let in_bytes = size as u64;
    let entries = vec![
        Entry::floor("System V", in_bytes, with(system_v_raw)),
        Entry::ours("System V", in_bytes, with(system_v_ours)),
        Entry::floor("memfd, sealed", in_bytes, with(memfd_raw)),
        Entry::ours("memfd, sealed", in_bytes, with(memfd_ours)),
        Entry::model("memfd, not sealed", in_bytes, with(unsealed)),
        Entry::floor("POSIX shared memory", in_bytes, with(posix)),
        Entry::model("mmap, anonymous and shared", in_bytes, with(anonymous)),
        Entry::peer("ipc-channel shared memory", in_bytes, "memfd, sealed", with(peer)),
    ];
    #[cfg(feature = "peers")]
    let entries = entries.into_iter().chain(crate::peers::set_up(size)?).collect();
    Ok(entries)
}

fn system_v_raw(bytes: &[u8]) -> Result<(), Failure> {
    let segment = RawSegment(system_v::create(None, bytes.len())?);
    system_v::attach(segment.0, bytes.len())?.write(0, bytes);
    Ok(())
}

fn system_v_ours(bytes: &[u8]) -> Result<(), Failure> {
    let segment = Segment::create(Key::PRIVATE, bytes.len())?.remove_on_drop();
    segment.attach::<()>()?.copy_in(0, bytes)?;
    Ok(())
}

fn memfd_raw(bytes: &[u8]) -> Result<(), Failure> {
    let fd = memfd::create(c"floor", bytes.len())?;
    memfd::map_new(fd.as_fd(), bytes.len())?.write(0, bytes);
    Ok(())
}

fn memfd_ours(bytes: &[u8]) -> Result<(), Failure> {
    Region::create("ours", bytes.len())?.map::<()>()?.copy_in(0, bytes)?;
    Ok(())
}

fn unsealed(bytes: &[u8]) -> Result<(), Failure> {
    let fd = memfd::create_unsealed(c"floor", bytes.len())?;
    memfd::map_new(fd.as_fd(), bytes.len())?.write(0, bytes);
    Ok(())
}

/// The name is this process's own, and gone again before the mapping is made.
fn posix(bytes: &[u8]) -> Result<(), Failure> {
    let name = CString::new(format!("/benches-{}", std::process::id())).map_err(Failure::step("a name"))?;
    let fd = posix::create(&name, bytes.len())?;
    memfd::map_new(fd.as_fd(), bytes.len())?.write(0, bytes);
    Ok(())
}

fn anonymous(bytes: &[u8]) -> Result<(), Failure> {
    memfd::map_anonymous(bytes.len())?.write(0, bytes);
    Ok(())
}

/// A memfd too, but without seals: the receiver has to trust the sender not to shrink it.
fn peer(bytes: &[u8]) -> Result<(), Failure> {
    drop(std::hint::black_box(IpcSharedMemory::from_bytes(bytes)));
    Ok(())
}
