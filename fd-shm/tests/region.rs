//! Regions: what `create` makes, what it refuses, and that a refusal leaves nothing.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use fd_shm::ashmem::Pinning;
use fd_shm::{FixedFd, NAME_MAX, Region, Seals, same_open_file};
use nix::errno::Errno;
use rustix::io::FdFlags;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

#[path = "support/alone.rs"]
mod alone;

#[test]
fn a_region_is_what_was_asked_for() {
    let longest = "n".repeat(NAME_MAX);
    for (name, size) in
        [("frames", 1), ("", 4096), ("näme (deleted)", 10_000), ("two\nlines", 4097), (&longest, 64)]
    {
        let region = Region::create(name, size).expect(name);
        assert_eq!((region.name().expect(name).to_str(), region.len()), (Some(name), size));
        assert!(region.seals().expect(name).contains(Seals::SHRINK | Seals::GROW));
        assert!(rustix::io::fcntl_getfd(&region).expect(name).contains(FdFlags::CLOEXEC));
        assert_eq!(region.map::<()>().expect(name).len(), size, "the real length, not rounded");

        // What its maker need not check, a receiver does; both see the same.
        let received = Region::from_fd(region.into()).expect(name);
        assert_eq!((received.name().expect(name).to_str(), received.len()), (Some(name), size));
    }
}

#[test]
fn two_regions_may_have_one_name() {
    let (one, other) = (Region::create("same", 64).expect("one"), Region::create("same", 64).expect("other"));
    one.map::<()>().expect("mapped").copy_in(0, b"x").expect("inside");
    let mut byte = [0; 1];
    other.map::<()>().expect("mapped").copy_out(0, &mut byte).expect("inside");
    assert_eq!(byte, [0], "a label, not an address");
}

#[test]
fn bad_names_and_sizes_are_refused_and_leave_nothing() {
    alone::alone("bad_names_and_sizes_are_refused_and_leave_nothing", || {
        let long = "n".repeat(NAME_MAX + 1);
        let rows = [
            ("zero", 0, "Region::create(\"zero\", 0): a region of size 0 can never be mapped".to_owned()),
            ("a\0b", 1, "memfd_create(\"a\\u{0}b\"): a name cannot have a zero byte inside".to_owned()),
            (&long, 1, format!("memfd_create(\"{long}\"): a name has at most 249 bytes, this one 250")),
        ];
        for (name, size, text) in rows {
            let refused = Region::create(name, size).expect_err(name);
            assert_eq!((refused.to_string(), refused.is_invalid_input()), (text, true));
        }
        if cfg!(target_pointer_width = "64") {
            let refused = Region::create("vast", usize::MAX).expect_err("beyond 63 bits");
            assert_eq!(refused.raw_os_error(), Some(Errno::EINVAL as i32), "{refused}");
        }
    });
}

#[test]
fn a_full_table_is_an_error_that_says_so() {
    alone::alone("a_full_table_is_an_error_that_says_so", || {
        let (limits, lowest) = (getrlimit(Resource::Nofile), lowest_free_descriptor());
        setrlimit(Resource::Nofile, Rlimit { current: Some(lowest), ..limits }).expect("fewer");
        let refused = Region::create("full", 4096).expect_err("no number is left");
        setrlimit(Resource::Nofile, limits).expect("as before");
        assert_eq!(
            refused.to_string(),
            "memfd_create(\"full\"): EMFILE, this process has no free descriptor (RLIMIT_NOFILE)"
        );
        assert!(refused.is_table_full() && refused.is_limit());
    });
}

#[test]
fn a_clone_is_one_more_descriptor_of_the_same_open_file() {
    alone::alone("a_clone_is_one_more_descriptor_of_the_same_open_file", || {
        for pinning in [Pinning::Ignored, Pinning::Kept] {
            let region = Region::create_with("twin", 10_000, pinning).expect("a region");
            let twin = region.try_clone().expect("a clone");
            let (here, numbers) = (std::process::id(), [&region, &twin].map(|one| one.as_fd().as_raw_fd()));
            assert_ne!(numbers[0], numbers[1]);
            assert!(same_open_file((here, numbers[0]), (here, numbers[1])).expect("kcmp"));
            assert!(rustix::io::fcntl_getfd(&twin).expect("flags").contains(FdFlags::CLOEXEC));
            assert_eq!((twin.len(), twin.pinning(), twin.seals()), (10_000, pinning, region.seals()));

            region.map::<()>().expect("mapped").copy_in(9_999, b"x").expect("inside");
            region.unpin(0, 0).expect("all of it");
            twin.purge_all().expect("what the other has unpinned");
            drop(region);
            let mut byte = [0; 1];
            twin.map::<()>().expect("mapped").copy_out(9_999, &mut byte).expect("inside");
            let purged = twin.pin(0, 0).expect("needed").was_purged();
            assert_eq!((byte[0], purged), if pinning == Pinning::Kept { (0, true) } else { (b'x', false) });
        }
    });
}

#[test]
fn a_clone_needs_a_free_number() {
    alone::alone("a_clone_needs_a_free_number", || {
        let region = Region::create("only", 4096).expect("a region");
        let (limits, lowest) = (getrlimit(Resource::Nofile), lowest_free_descriptor());
        setrlimit(Resource::Nofile, Rlimit { current: Some(lowest), ..limits }).expect("fewer");
        let refused = region.try_clone().expect_err("no number is left");
        setrlimit(Resource::Nofile, limits).expect("as before");
        let number = region.as_fd().as_raw_fd();
        let text = "EMFILE, this process has no free descriptor (RLIMIT_NOFILE)";
        assert_eq!(refused.to_string(), format!("fcntl({number}, F_DUPFD_CLOEXEC): {text}"));
        assert!(refused.is_table_full());
    });
}

#[test]
fn a_region_larger_than_the_address_space_cannot_be_mapped() {
    alone::alone("a_region_larger_than_the_address_space_cannot_be_mapped", || {
        // It takes no memory until touched, so the kernel makes it; a peer can send one.
        let (largest, errno) = if cfg!(target_pointer_width = "64") {
            (usize::MAX / 2, Some(Errno::ENOMEM as i32)) // no file is larger
        } else {
            (usize::MAX, None) // refused before the call: a pointer reaches no further than half of it
        };
        let vast = Region::create("vast", largest).expect("a file");
        let refused = vast.map::<()>().expect_err("no room");
        assert_eq!(refused.raw_os_error(), errno, "{refused}");
        assert!(vast.map_read_only::<()>().is_err());
    });
}

#[test]
fn a_descriptor_comes_back_out() {
    let region = Region::create("out", 64).expect("a region");
    let number = region.as_fd().as_raw_fd();
    let fd = OwnedFd::from(FixedFd::from(region));
    assert_eq!(fd.as_raw_fd(), number);
}

/// The number that the next descriptor would get.
fn lowest_free_descriptor() -> u64 {
    let probe = std::io::stdin().as_fd().try_clone_to_owned().expect("dup");
    probe.as_raw_fd().unsigned_abs().into()
}
