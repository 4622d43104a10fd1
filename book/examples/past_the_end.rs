//! 100 bytes, and pages: what is behind the end, in a memory file and in a System V segment; and a file that is
//! nearly all hole.
//!
//! Run it: `cargo run --example past_the_end`
//!
//! What to look for: memory comes in whole pages, so there is something behind byte 99, and it is shared like the rest.
//! Behind the last page there are two ways to fail: SIGBUS where something is mapped and the file has no page for it,
//! SIGSEGV where nothing is mapped. And reading a hole with `read` makes no memory, while touching it does.

#![allow(unsafe_code)] // looks at memory that is not there, which is what is shown

use std::error::Error;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::ptr;
use std::sync::atomic::{AtomicU8, Ordering};

use fd_shm::{Memfd, Region};
use memmap2::MmapOptions;
use rustix::fs::{FallocateFlags, fallocate, fstat};
use rustix::mm::{MapFlags, ProtFlags, mmap, mmap_anonymous, munmap};
use rustix::param::page_size;
use rustix::process::{Resource, Rlimit, setrlimit};
use sysv_shm::{AttachOptions, Attachment, Key, OwnedSegment, Segment};

#[path = "../../fd-shm/examples/support/other.rs"]
#[allow(dead_code)] // one file for several examples: these take no turns
mod other;
use other::{role, start};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The length of file and segment, and how many pages the file is mapped for.
const LEN: usize = 100;
const MAPPED: usize = 3;

fn file() -> Result<Memfd> {
    let file = Memfd::create("short")?;
    file.set_len(LEN as u64)?;
    Ok(file)
}

fn segment() -> Result<OwnedSegment> {
    Ok(Segment::create(Key::PRIVATE, LEN)?.remove_on_drop())
}

// ANCHOR: look
/// Loads the byte at an address.
///
/// # Safety
///
/// Nothing else than atomics reaches it. That it is there is not promised: a signal ends the process if it is not.
unsafe fn look(address: *mut u8) -> u8 {
    // SAFETY: as promised above.
    unsafe { AtomicU8::from_ptr(address) }.load(Ordering::Relaxed)
}

/// A process of its own for one look: at this offset of the file, or of the segment.
fn one_look(kind: &str, offset: usize) -> Result<()> {
    let mut socket = other::socket()?;
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?; // it dies on purpose
    let (file, segment) = (file()?, segment()?);
    let begin = free_addresses()?;
    let _attached: Option<Attachment> = match kind {
        "file" => {
            map_at(begin, &file)?;
            None
        }
        _ => Some(AttachOptions::new().at(begin.addr()).attach(&segment)?),
    };
    segment.remove()?; // before the look, after which nobody may be left to do it
    // SAFETY: this process has one thread, which reaches the memory in this way alone.
    let byte = unsafe { look(begin.wrapping_add(offset)) };
    socket.write_all(&[byte])?;
    Ok(())
}

/// So many addresses that nothing is mapped there, nor right behind them.
fn free_addresses() -> Result<*mut u8> {
    let len = (MAPPED + 1) * page_size();
    // SAFETY: new addresses, of which nothing is done.
    let place = unsafe { mmap_anonymous(ptr::null_mut(), len, ProtFlags::empty(), MapFlags::PRIVATE) }?;
    // SAFETY: our own, and unused. This process has no other thread that could map something there meanwhile.
    unsafe { munmap(place, len) }?;
    Ok(place.cast())
}

/// Maps the file for more pages than it has.
fn map_at(place: *mut u8, file: &Memfd) -> Result<()> {
    let flags = MapFlags::SHARED | MapFlags::FIXED_NOREPLACE;
    // SAFETY: what is mapped at these addresses, if anything is, stays as it is.
    let mapped =
        unsafe { mmap(place.cast(), MAPPED * page_size(), ProtFlags::READ, flags, file.as_fd(), 0) }?;
    if mapped.cast() == place { Ok(()) } else { Err("mapped elsewhere".into()) }
}
// ANCHOR_END: look

/// What a look comes to, in a word.
fn outcome(kind: &str, offset: usize) -> Result<String> {
    let mut command = role(kind);
    command.arg(offset.to_string());
    let (mut looker, mut byte) = (start(command)?, [0]);
    let loaded = looker.socket.read(&mut byte).is_ok_and(|count| count == 1);
    let end = looker.end()?;
    let signal = end.strip_prefix("was killed by ").unwrap_or(&end);
    Ok(if loaded { format!("{} is loaded", byte[0]) } else { signal.to_owned() })
}

fn looks() -> Result<()> {
    println!("A memory file of {LEN} bytes, mapped for {MAPPED} pages, and a segment of {LEN} bytes:\n");
    println!("  {:47}{:15}the segment", "what is looked at", "the file");
    for (what, offset) in [
        ("the last of the bytes", LEN - 1),
        ("the one behind it", LEN),
        ("the last of the page", page_size() - 1),
        ("the first of the next page", page_size()),
        ("the first behind what the file is mapped for", MAPPED * page_size()),
    ] {
        println!("  {what:47}{:15}{}", outcome("file", offset)?, outcome("segment", offset)?);
    }
    Ok(())
}

/// Where an attachment begins; its own pointer is to the first byte alone.
fn begin(attachment: &Attachment<AtomicU8>) -> *mut u8 {
    ptr::with_exposed_provenance_mut(attachment.as_ptr().expose_provenance())
}

// ANCHOR: behind
/// Stores behind the end, within the page, and looks for it in every other way there is.
fn behind() -> Result<()> {
    let (file, segment) = (file()?, segment()?);
    let map = || MmapOptions::new().len(page_size()).map_raw(&file.as_fd());
    let attach = || segment.attach::<AtomicU8>();
    let (of_file, of_segment) = ((map()?, map()?), (attach()?, attach()?));
    let pairs =
        [(of_file.0.as_mut_ptr(), of_file.1.as_mut_ptr()), (begin(&of_segment.0), begin(&of_segment.1))];
    let seen = pairs.map(|(one, other)| {
        // SAFETY: behind the bytes, within the page, and reached as atomics alone.
        unsafe { AtomicU8::from_ptr(one.wrapping_add(LEN)) }.store(7, Ordering::Relaxed);
        // SAFETY: the same.
        unsafe { look(other.wrapping_add(LEN)) }
    });
    println!("\n7 is stored in byte {LEN}, behind the end:");
    println!(
        "  another mapping of the file finds {}, another attachment of the segment {}",
        seen[0], seen[1]
    );
    let (len, mut bytes) = (file.len()?, [0; 200]);
    let file = std::fs::File::from(OwnedFd::from(file));
    println!("  the file is as long as before: {}", if len == LEN as u64 { "yes" } else { "no" });
    println!("  a read of 200 bytes from its beginning returns {}", file.read_at(&mut bytes, 0)?);
    Ok(())
}
// ANCHOR_END: behind

// ANCHOR: hole
/// A file of which next to nothing is there.
fn hole() -> Result<()> {
    const GIB: usize = 1 << 30;
    let region = Region::create("hollow", GIB)?;
    let mapping = region.map::<()>()?;
    let row = |what: &str| -> Result<()> {
        let pages = usize::try_from(fstat(&region)?.st_blocks)? * 512 / page_size();
        println!("  {what:52}{pages}");
        Ok(())
    };
    println!("\nA memory file of 1 GiB:                               pages of memory");
    row("is made and mapped")?;
    let mut bytes = vec![1; 1 << 20];
    rustix::io::pread(&region, &mut *bytes, 0)?;
    row(&format!(
        "1 MiB is read, all of it 0: {}",
        if bytes.iter().all(|b| *b == 0) { "yes" } else { "no" }
    ))?;
    mapping.copy_out(0, &mut bytes[..1])?;
    row("a byte of the first page is loaded")?;
    mapping.copy_in(mapping.tail_len() - 1, &[1])?;
    row("a byte of the last page is stored to")?;
    fallocate(&region, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, 0, page_size() as u64)?;
    row("a hole is punched where the first page is")
}
// ANCHOR_END: hole

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [kind, offset] = arguments.as_slice() {
        return one_look(kind, offset.parse()?);
    }
    looks()?;
    behind()?;
    hole()
}
