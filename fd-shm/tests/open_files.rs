//! One open file that arrives many times is recognised, through every way by which it can arrive.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

use fd_shm::handover::{OpenFiles, Pull, pidfd, procfs, scm_rights};
use fd_shm::{FixedFd, Region};

#[path = "support/alone.rs"]
mod alone;

#[test]
fn each_open_file_is_kept_once() {
    alone::alone("each_open_file_is_kept_once", || {
        let regions: Vec<_> = (1..=40).map(|len| Region::create("many", len).expect("a region")).collect();
        let (ours, theirs) = UnixStream::pair().expect("sockets");
        let mut known = OpenFiles::new();
        for round in 0..3 {
            for region in regions.iter().rev() {
                scm_rights::send(&ours, b"x", &[region.as_fd(), region.as_fd()]).expect("sent");
                let message = scm_rights::receive(&theirs, &mut [0; 1], 2).expect("received");
                for arrived in message.descriptors {
                    let len = known.keep(arrived, Region::from_fd).expect("kcmp").len();
                    assert_eq!(len, region.len(), "round {round}: its own region, not another's");
                }
            }
        }
        assert_eq!((known.len(), known.is_empty()), (40, false));
        let mut lengths: Vec<_> = known.iter().map(Region::len).collect();
        lengths.sort_unstable();
        assert_eq!(lengths, (1..=40).collect::<Vec<_>>());
    });
}

#[test]
fn the_same_file_opened_again_is_another_open_file() {
    alone::alone("the_same_file_opened_again_is_another_open_file", || {
        let region = Region::create("one", 4096).expect("a region");
        let (here, number) = (std::process::id(), region.as_fd().as_raw_fd());
        let mut known: OpenFiles<OwnedFd> = OpenFiles::default();
        let by_pidfd = pidfd::Process::open(here).expect("a pidfd");
        let by_proc = procfs::Process::open(here).expect("a folder");
        for (arrived, count) in [
            (region.as_fd().try_clone_to_owned().expect("dup"), 1),
            (by_pidfd.pull(number).expect("ourselves"), 1),
            (by_proc.pull(number).expect("ourselves"), 2),
            (by_proc.pull_read_only(number).expect("ourselves"), 3),
        ] {
            known.keep(arrived, Ok).expect("kcmp");
            assert_eq!(known.len(), count);
        }
    });
}

#[test]
fn what_is_refused_is_not_kept_and_is_closed() {
    alone::alone("what_is_refused_is_not_kept_and_is_closed", || {
        let mut known = OpenFiles::new();
        for _ in 0..2 {
            let (reader, _writer) = std::io::pipe().expect("a pipe");
            let refused = known.keep(reader.into(), FixedFd::new).expect_err("a pipe is no region");
            assert!(refused.is_not_a_region(), "{refused}");
            assert!(known.is_empty());
        }
    });
}
