//! What a receiver of a read-only descriptor can do by opening the file again, and what really stops it.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;

use fd_shm::{FixedFd, Region};
use nix::errno::Errno;
use rustix::fs::{Mode, SealFlags};

/// A region, and the same one through a descriptor that is open for reading only.
fn region_and_reader() -> (Region, OwnedFd) {
    let region = Region::create("reopened", 4096).expect("a region");
    let reader = File::open(format!("/proc/self/fd/{}", region.as_fd().as_raw_fd())).expect("opened");
    (region, reader.into())
}

/// Opens it again for writing.
fn again(reader: &OwnedFd) -> io::Result<File> {
    File::options().read(true).write(true).open(format!("/proc/self/fd/{}", reader.as_raw_fd()))
}

fn first_bytes(region: &Region) -> [u8; 2] {
    let mut bytes = [0; 2];
    region.map_read_only::<()>().expect("readable").copy_out(0, &mut bytes).expect("inside");
    bytes
}

#[test]
fn a_read_only_descriptor_is_no_protection() {
    let (region, reader) = region_and_reader();
    assert!(FixedFd::new(reader.try_clone().expect("dup")).expect("a region").map::<()>().is_err());
    again(&reader).expect("opened again").write_at(b"99", 0).expect("written");
    assert_eq!(&first_bytes(&region), b"99");
}

#[test]
fn the_mode_stops_those_who_obey_modes() {
    let (region, reader) = region_and_reader();
    rustix::fs::fchmod(&region, Mode::RUSR).expect("it is ours");
    // Root does not obey modes; everybody else does, the owner included.
    let opened = again(&reader).map_err(|error| error.raw_os_error());
    if rustix::process::geteuid().is_root() {
        opened.expect("root").write_at(b"99", 0).expect("written");
        assert_eq!(&first_bytes(&region), b"99");
    } else {
        assert_eq!(opened.expect_err("the mode"), Some(Errno::EACCES as i32));
    }
    // What the owner took away, the owner can give back.
    rustix::fs::fchmod(&region, Mode::RUSR | Mode::WUSR).expect("it is ours");
    again(&reader).expect("opened again").write_at(b"11", 0).expect("written");
}

#[test]
fn a_seal_stops_every_new_writer_and_no_old_one() {
    let (region, reader) = region_and_reader();
    let old = region.map::<()>().expect("mapped");
    rustix::fs::fcntl_add_seals(&region, SealFlags::FUTURE_WRITE).expect("sealed");
    let again = again(&reader).expect("opened again");
    let refused = again.write_at(b"99", 0).expect_err("sealed");
    assert_eq!(refused.raw_os_error(), Some(Errno::EPERM as i32));
    let again = FixedFd::new(again.into()).expect("a region");
    assert!(again.map::<()>().is_err_and(|refused| refused.is_sealed()));
    old.copy_in(0, b"11").expect("inside");
    assert_eq!(&first_bytes(&region), b"11");
}
