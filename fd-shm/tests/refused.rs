//! What a receiver may be given, and which of it becomes a region: each kind of descriptor a row.

use std::fs::{File, OpenOptions};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;

use fd_shm::{Error, FixedFd, Memfd, MemfdOptions, Seals};
use rustix::fs::{MemfdFlags, OFlags};

#[path = "support/alone.rs"]
mod alone;

/// A memory file with `seals`.
fn memfd(len: u64, seals: Seals) -> Memfd {
    let memfd = Memfd::create("refused").expect("a memory file");
    memfd.set_len(len).expect("sized");
    memfd.add_seals(seals).expect("sealed");
    memfd
}

/// The same file opened again, as a peer may have done before sending it.
fn reopen(memfd: &Memfd, how: &mut OpenOptions) -> OwnedFd {
    let path = format!("/proc/self/fd/{}", memfd.as_fd().as_raw_fd());
    how.open(path).expect("a memory file can be opened again").into()
}

fn open(path: &str, how: &mut OpenOptions) -> OwnedFd {
    how.open(path).expect(path).into()
}

fn read_write() -> OpenOptions {
    File::options().read(true).write(true).clone()
}

/// A row: what it is, how it is made, the predicate that tells, and words of the reason.
type Row = (&'static str, fn() -> OwnedFd, fn(&Error) -> bool, &'static str);

const NO_REGION: fn(&Error) -> bool = Error::is_not_a_region;
const SHRINKABLE: fn(&Error) -> bool = Error::is_shrinkable;

const REFUSED: &[Row] = &[
    ("reading end of a pipe", || std::io::pipe().expect("pipe").0.into(), NO_REGION, "a pipe"),
    ("writing end of a pipe", || std::io::pipe().expect("pipe").1.into(), NO_REGION, "write-only"),
    ("socket", || UnixStream::pair().expect("pair").0.into(), NO_REGION, "a socket"),
    ("/dev/zero", || open("/dev/zero", &mut read_write()), NO_REGION, "a character device"),
    ("directory", || open("/", File::options().read(true)), NO_REGION, "a directory"),
    ("directory of tmpfs", || open("/dev/shm", File::options().read(true)), NO_REGION, "a directory"),
    ("ordinary file", || open("/proc/self/exe", File::options().read(true)), NO_REGION, "an ordinary file"),
    ("file in /proc", || open("/proc/self/maps", File::options().read(true)), NO_REGION, "an ordinary file"),
    (
        "file without a name on tmpfs",
        || open("/dev/shm", read_write().custom_flags(OFlags::TMPFILE.bits().cast_signed())),
        SHRINKABLE,
        "F_SEAL_SHRINK is missing",
    ),
    ("eventfd", eventfd, NO_REGION, "not a memory region"),
    ("unsealed memfd", || memfd(4096, Seals::NONE).into(), SHRINKABLE, "F_SEAL_SHRINK is missing"),
    (
        "memfd sealed in all but shrinking",
        || memfd(4096, all_but_shrink()).into(),
        SHRINKABLE,
        "F_SEAL_SHRINK",
    ),
    (
        "memfd that cannot be sealed",
        || MemfdOptions::new().sealable(false).create("plain").expect("memfd").into(),
        SHRINKABLE,
        "F_SEAL_SHRINK is missing",
    ),
    ("sealed memfd of size 0", || memfd(0, Seals::SHRINK).into(), NO_REGION, "size 0"),
    (
        "sealed memfd, opened with O_PATH",
        || {
            // Not File::options: where musl is the libc, std takes this flag for a mode of access.
            let memfd = memfd(4096, Seals::SHRINK);
            let path = format!("/proc/self/fd/{}", memfd.as_fd().as_raw_fd());
            let flags = OFlags::PATH | OFlags::CLOEXEC;
            rustix::fs::open(path, flags, rustix::fs::Mode::empty()).expect("opened again")
        },
        NO_REGION,
        "O_PATH",
    ),
    (
        "sealed memfd, opened write-only",
        || reopen(&memfd(4096, Seals::SHRINK), File::options().write(true)),
        NO_REGION,
        "write-only",
    ),
];

fn all_but_shrink() -> Seals {
    Seals::GROW | Seals::WRITE | Seals::SEAL
}

fn eventfd() -> OwnedFd {
    rustix::event::eventfd(0, rustix::event::EventfdFlags::CLOEXEC).expect("eventfd")
}

#[test]
fn whatever_is_not_a_region_is_refused_and_closed() {
    alone::alone("whatever_is_not_a_region_is_refused_and_closed", || {
        for (what, make, predicate, reason) in REFUSED {
            let fd = make();
            let refused = FixedFd::new(fd).expect_err(what);
            assert!(predicate(&refused), "{what}: {refused}");
            assert!(refused.to_string().contains(reason), "{what}: {refused}");
        }
    });
}

#[test]
fn huge_pages_are_refused() {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING | MemfdFlags::HUGETLB;
    let fd = match rustix::fs::memfd_create("huge", flags) {
        Ok(fd) => fd,
        Err(errno) => {
            let reason = format!(
                "skipped huge_pages_are_refused: memfd_create(MFD_HUGETLB): {errno}, no hugetlbfs here\n"
            );
            assert!(std::env::var_os("CI").is_none(), "in CI: {reason}");
            // Not eprintln!, which the test harness swallows.
            std::io::Write::write_all(&mut std::io::stderr(), reason.as_bytes()).expect("standard error");
            return;
        }
    };
    rustix::fs::fcntl_add_seals(&fd, rustix::fs::SealFlags::SHRINK).expect("sealed");
    let refused = FixedFd::new(fd).expect_err("a peer could make a touch fail");
    assert!(refused.is_not_a_region() && refused.to_string().contains("huge pages"), "{refused}");
}

#[test]
fn a_refusal_names_the_call_the_descriptor_and_the_errno() {
    let (reader, _writer) = std::io::pipe().expect("pipe");
    let number = reader.as_raw_fd();
    let refused = FixedFd::new(reader.into()).expect_err("a pipe");
    assert_eq!(
        refused.to_string(),
        format!("fcntl({number}, F_GET_SEALS): EINVAL, a pipe, not a memory region")
    );
}

#[test]
fn a_read_only_descriptor_is_a_region_that_maps_read_only() {
    let writable = memfd(4096, Seals::SHRINK);
    let fixed = FixedFd::new(reopen(&writable, File::options().read(true))).expect("a region");
    let refused = fixed.map::<()>().expect_err("no writing through it");
    assert_eq!(refused.raw_os_error(), Some(nix::errno::Errno::EACCES as i32), "{refused}");

    FixedFd::new(writable.into())
        .expect("a region")
        .map::<()>()
        .expect("writable")
        .copy_in(0, b"x")
        .expect("inside");
    let mut byte = [0; 1];
    fixed.map_read_only::<()>().expect("readable").copy_out(0, &mut byte).expect("inside");
    assert_eq!(&byte, b"x");
}

#[test]
fn a_region_sealed_against_writing_maps_read_only() {
    for seal in [Seals::WRITE, Seals::FUTURE_WRITE] {
        let fixed = FixedFd::new(memfd(4096, Seals::SHRINK | seal).into()).expect("a region");
        assert!(fixed.map::<()>().is_err_and(|e| e.is_sealed()), "{seal}");
        assert_eq!(fixed.map_read_only::<()>().expect("readable").len(), 4096, "{seal}");
    }
}

#[test]
fn a_region_that_grows_keeps_the_length_that_was_checked() {
    let growing = memfd(100, Seals::SHRINK);
    let fixed = FixedFd::new(growing.as_fd().try_clone_to_owned().expect("dup")).expect("a region");
    growing.set_len(9000).expect("growing is not sealed");
    assert_eq!((fixed.len(), fixed.map::<()>().expect("a mapping").len()), (100, 100));
}
