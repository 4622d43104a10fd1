//! What each seal forbids, asked of the kernel: every operation under every seal.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;

use fd_shm::{FixedFd, Memfd, MemfdOptions, Seals};
use nix::errno::Errno;
use rustix::fs::FallocateFlags;

/// What is tried on a memory file of 8192 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    Shrink,
    Grow,
    Write,
    MapWritable,
    MapReadOnly,
    SealMore,
}
use Operation::{Grow, MapReadOnly, MapWritable, SealMore, Shrink, Write};

const OPERATIONS: [Operation; 6] = [Shrink, Grow, Write, MapWritable, MapReadOnly, SealMore];

/// Tries it; what the kernel said, 0 for yes.
fn attempt(memfd: &Memfd, operation: Operation) -> i32 {
    let done = match operation {
        Shrink => memfd.set_len(4096),
        Grow => memfd.set_len(12288),
        Write => {
            let written = File::from(copy_of(memfd)).write_at(b"x", 0);
            return written.err().and_then(|e| e.raw_os_error()).unwrap_or(0);
        }
        MapWritable => fixed(memfd).map::<()>().map(drop),
        MapReadOnly => fixed(memfd).map_read_only::<()>().map(drop),
        SealMore => memfd.add_seals(Seals::GROW),
    };
    done.err().map_or(0, |e| e.raw_os_error().expect("the kernel's refusal"))
}

fn copy_of(memfd: &Memfd) -> OwnedFd {
    memfd.as_fd().try_clone_to_owned().expect("dup")
}

/// Every file of these tests that is mapped has the shrink seal.
fn fixed(memfd: &Memfd) -> FixedFd {
    FixedFd::new(copy_of(memfd)).expect("sealed against shrinking")
}

fn sealed(seals: Seals) -> Memfd {
    let memfd = MemfdOptions::new().executable(true).create("seals").expect("a memory file");
    memfd.set_len(8192).expect("sized");
    memfd.add_seals(seals).expect("sealed");
    memfd
}

#[test]
fn each_seal_forbids_exactly_this() {
    // A seal, the seals that it brings, and what it forbids. Everything else must work.
    let rows: [(Seals, Seals, &[Operation]); 7] = [
        (Seals::NONE, Seals::NONE, &[]),
        (Seals::SHRINK, Seals::SHRINK, &[Shrink]),
        (Seals::GROW, Seals::GROW, &[Grow]),
        (Seals::WRITE, Seals::WRITE, &[Write, MapWritable]),
        (Seals::FUTURE_WRITE, Seals::FUTURE_WRITE, &[Write, MapWritable]),
        (Seals::SEAL, Seals::SEAL, &[SealMore]),
        (Seals::EXEC, every_seal_but_seal(), &[Shrink, Grow, Write, MapWritable]),
    ];
    for (seal, brings, forbidden) in rows {
        for operation in OPERATIONS {
            // Only what cannot shrink can be mapped, so these two rows are tried with that seal added.
            let mapping = matches!(operation, MapWritable | MapReadOnly);
            let memfd = sealed(if mapping { seal | Seals::SHRINK } else { seal });
            if !mapping {
                assert_eq!(memfd.seals().expect("seals"), brings, "after adding {seal}");
            }
            let expected = if forbidden.contains(&operation) { Errno::EPERM as i32 } else { 0 };
            assert_eq!(attempt(&memfd, operation), expected, "{operation:?} under {seal}");
        }
    }
}

/// On an executable file F_SEAL_EXEC brings the others along: what can be run can no longer be written.
fn every_seal_but_seal() -> Seals {
    Seals::EXEC | Seals::SHRINK | Seals::GROW | Seals::WRITE | Seals::FUTURE_WRITE
}

#[test]
fn a_memory_file_is_born_not_executable_with_that_sealed() {
    let memfd = Memfd::create("born").expect("a memory file");
    assert_eq!(memfd.seals().expect("seals"), Seals::EXEC);
    memfd.add_seals(Seals::SHRINK).expect("sealing is open");
}

#[test]
fn the_executable_bits_of_the_mode_can_be_sealed() {
    let everything = rustix::fs::Mode::from_raw_mode(0o777);
    let born = Memfd::create("mode").expect("a memory file");
    assert_eq!(rustix::fs::fchmod(&born, everything), Err(rustix::io::Errno::PERM), "F_SEAL_EXEC from birth");
    rustix::fs::fchmod(&born, rustix::fs::Mode::RUSR).expect("the other bits are free");
    rustix::fs::fchmod(sealed(Seals::NONE), everything).expect("not sealed");
}

#[test]
fn a_write_seal_waits_for_writable_mappings() {
    let memfd = sealed(Seals::SHRINK);
    let mapping = fixed(&memfd).map::<()>().expect("a mapping");
    let refused = memfd.add_seals(Seals::WRITE).expect_err("mapped writable");
    assert_eq!(refused.raw_os_error(), Some(Errno::EBUSY as i32), "{refused}");
    assert_eq!(memfd.seals().expect("seals"), Seals::SHRINK, "a refused seal leaves nothing");
    drop(mapping);
    memfd.add_seals(Seals::WRITE).expect("nobody can write now");
}

#[test]
fn a_future_write_seal_leaves_old_mappings_writing() {
    let memfd = sealed(Seals::SHRINK);
    let old = fixed(&memfd).map::<()>().expect("a mapping");
    memfd.add_seals(Seals::FUTURE_WRITE).expect("sealed");
    old.copy_in(0, b"still").expect("inside");
    let reader = fixed(&memfd).map_read_only::<()>().expect("readable");
    let mut seen = [0; 5];
    reader.copy_out(0, &mut seen).expect("inside");
    assert_eq!(&seen, b"still");
    assert!(fixed(&memfd).map::<()>().is_err_and(|e| e.is_sealed()));
}

#[test]
fn a_hole_punched_by_a_peer_reads_as_zero_and_breaks_nothing() {
    let memfd = sealed(Seals::SHRINK | Seals::GROW);
    let mapping = fixed(&memfd).map::<()>().expect("a mapping");
    mapping.copy_in(4000, &[7; 200]).expect("inside, over the end of a page");
    let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    rustix::fs::fallocate(&memfd, hole, 0, 4096).expect("no seal but WRITE and FUTURE_WRITE forbids it");
    let mut seen = [1; 200];
    mapping.copy_out(4000, &mut seen).expect("inside");
    assert_eq!((&seen[..96], &seen[96..]), (&[0; 96][..], &[7; 104][..]));
}

#[test]
fn a_read_only_descriptor_cannot_seal() {
    let memfd = sealed(Seals::NONE);
    let path = format!("/proc/self/fd/{}", memfd.as_fd().as_raw_fd());
    let reader = File::open(path).expect("opened again");
    let refused = rustix::fs::fcntl_add_seals(&reader, rustix::fs::SealFlags::GROW);
    assert_eq!(refused, Err(rustix::io::Errno::PERM));
    assert_eq!(memfd.seals().expect("seals"), Seals::NONE);
}

#[test]
fn the_text_of_a_refusal_names_call_operands_errno_and_meaning() {
    let memfd = sealed(Seals::SHRINK | Seals::SEAL);
    let fd = memfd.as_fd().as_raw_fd();
    let check = |refused: fd_shm::Result<()>, text: String| {
        assert_eq!(refused.expect_err("refused").to_string(), text);
    };
    check(
        memfd.set_len(1),
        format!("ftruncate({fd}, 1): EPERM, the size is sealed: F_SEAL_SHRINK or F_SEAL_GROW"),
    );
    check(
        memfd.add_seals(Seals::GROW),
        format!(
            "fcntl({fd}, F_ADD_SEALS, F_SEAL_GROW): EPERM, \
             F_SEAL_SEAL is set, or this descriptor is not open for writing"
        ),
    );
}
