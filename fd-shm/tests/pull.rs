//! Pulling out of another process, by pidfd and through /proc: what arrives, and every reason to be refused.

use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

use fd_shm::handover::{Pull, pidfd, procfs};
use fd_shm::{Error, Region, same_open_file};
use nix::errno::Errno;
use rustix::io::{FdFlags, fcntl_getfd};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

#[path = "support/alone.rs"]
mod alone;
#[path = "support/holder.rs"]
mod holder;

use holder::Holder;

fn errno(error: &Error) -> Option<Errno> {
    error.raw_os_error().map(Errno::from_raw)
}

/// Both ways into the same process.
fn both(pid: u32) -> [Box<dyn Pull>; 2] {
    [
        Box::new(pidfd::Process::open(pid).expect("a pidfd")),
        Box::new(procfs::Process::open(pid).expect("its folder")),
    ]
}

#[test]
fn a_pidfd_brings_the_same_open_file_and_proc_a_new_one() {
    const NAME: &str = "a_pidfd_brings_the_same_open_file_and_proc_a_new_one";
    if holder::is_this_process() {
        return;
    }
    alone::alone(NAME, || {
        let holder = Holder::start(NAME, "");
        let mut offsets = Vec::new();
        for (way, is_same) in both(holder.pid()).iter().zip([true, false]) {
            let fd = way.pull(holder.number).expect("a child of ours");
            assert!(fcntl_getfd(&fd).expect("flags").contains(FdFlags::CLOEXEC));
            let ends = ((holder.pid(), holder.number), (std::process::id(), fd.as_raw_fd()));
            assert_eq!(same_open_file(ends.0, ends.1).expect("kcmp"), is_same);
            // The offset belongs to the open file: the first moves the holder's, the second starts anew.
            let mut file = File::from(fd);
            offsets.push(file.stream_position().expect("an offset"));
            file.seek(SeekFrom::Start(77)).expect("a seek");
            assert_eq!(Region::from_fd(OwnedFd::from(file)).expect("a region").len(), 4096);
        }
        assert_eq!(offsets, [0, 0]);
        let info = std::fs::read_to_string(format!("/proc/{}/fdinfo/{}", holder.pid(), holder.number));
        assert!(info.expect("fdinfo").starts_with("pos:\t77\n"));
    });
}

#[test]
fn a_read_only_pull_cannot_write() {
    const NAME: &str = "a_read_only_pull_cannot_write";
    if holder::is_this_process() {
        return;
    }
    alone::alone(NAME, || {
        let holder = Holder::start(NAME, "");
        let process = procfs::Process::open(holder.pid()).expect("its folder");
        let region =
            Region::from_fd(process.pull_read_only(holder.number).expect("opened")).expect("a region");
        assert!(region.map::<()>().is_err());
        assert_eq!(region.map_read_only::<()>().expect("readable").len(), 4096);
    });
}

#[test]
fn who_is_undumpable_or_mightier_is_left_alone() {
    const NAME: &str = "who_is_undumpable_or_mightier_is_left_alone";
    if holder::is_this_process() {
        return;
    }
    alone::alone(NAME, || {
        let mighty = Holder::start(NAME, "");
        holder::become_ordinary().expect("less is always allowed");
        let open = Holder::start(NAME, "");
        let shut = Holder::start(NAME, "undumpable");
        for way in both(open.pid()) {
            way.pull(open.number).expect("same user, dumpable, and a child of ours");
        }
        let mut refusing = vec![&shut];
        // Started by root it has capabilities that we have given up.
        if rustix::process::getuid().is_root() {
            refusing.push(&mighty);
        }
        for holder in refusing {
            for (way, answer) in both(holder.pid()).iter().zip([Errno::EPERM, Errno::EACCES]) {
                let refused = way.pull(holder.number).expect_err("not ours to look into");
                assert_eq!(
                    (errno(&refused), refused.is_permission_denied()),
                    (Some(answer), true),
                    "{refused}"
                );
                assert!(refused.to_string().contains("CAP_SYS_PTRACE"), "it says what would do: {refused}");
            }
        }
    });
}

#[test]
fn numbers_that_are_not_open_and_processes_that_have_gone() {
    const NAME: &str = "numbers_that_are_not_open_and_processes_that_have_gone";
    if holder::is_this_process() {
        return;
    }
    alone::alone(NAME, || {
        let mut holder = Holder::start(NAME, "");
        let ways = both(holder.pid());
        for (way, answer) in ways.iter().zip([Errno::EBADF, Errno::ENOENT]) {
            for (number, answer) in
                [(900, Some(answer)), (i32::MAX, Some(answer)), (-1, None), (i32::MIN, None)]
            {
                let refused = way.pull(number).expect_err("not open there");
                assert_eq!(errno(&refused), answer, "{refused}");
                assert!(refused.is_not_found(), "{refused}");
            }
        }
        // The way holds the process, not its number: when it has gone, nobody else is meant.
        holder.end();
        for way in &ways {
            let refused = way.pull(holder.number).expect_err("gone");
            assert!(refused.is_gone(), "{refused}");
        }
        assert!(pidfd::Process::open(holder.pid()).is_err_and(|e| e.is_gone()));
        assert!(procfs::Process::open(holder.pid()).is_err_and(|e| e.is_gone()));
        for pid in [0, u32::MAX] {
            assert!(pidfd::Process::open(pid).is_err_and(|e| e.is_invalid_input()), "{pid}");
            assert!(procfs::Process::open(pid).is_err_and(|e| e.is_invalid_input()), "{pid}");
            assert!(pidfd::allow(pid).is_err_and(|e| e.is_invalid_input()), "{pid}");
        }
    });
}

#[test]
fn with_a_full_table_nothing_is_taken_and_it_can_be_tried_again() {
    const NAME: &str = "with_a_full_table_nothing_is_taken_and_it_can_be_tried_again";
    if holder::is_this_process() {
        return;
    }
    alone::alone(NAME, || {
        let holder = Holder::start(NAME, "");
        for way in both(holder.pid()) {
            let limits = getrlimit(Resource::Nofile);
            let room = File::open("/dev/null").expect("null").as_raw_fd().unsigned_abs();
            setrlimit(Resource::Nofile, Rlimit { current: Some(room.into()), ..limits }).expect("fewer");
            let refused = way.pull(holder.number);
            setrlimit(Resource::Nofile, limits).expect("as before");
            let refused = refused.expect_err("no number is left");
            assert_eq!((errno(&refused), refused.is_table_full()), (Some(Errno::EMFILE), true), "{refused}");
            way.pull(holder.number).expect("now there is room");
        }
    });
}

#[test]
fn opening_is_an_act_so_only_regular_files_are_opened() {
    alone::alone("opening_is_an_act_so_only_regular_files_are_opened", || {
        let here = procfs::Process::open(std::process::id()).expect("our folder");
        let (reader, _writer) = std::io::pipe().expect("a pipe");
        let (socket, _other) = UnixStream::pair().expect("sockets");
        let null = File::open("/dev/null").expect("a device");
        let folder = File::open("/proc").expect("a folder");
        // Of a pipe whose other end is gone, an open for reading would wait for ever.
        for fd in [reader.as_fd(), socket.as_fd(), null.as_fd(), folder.as_fd()] {
            for refused in [here.pull(fd.as_raw_fd()), here.pull_read_only(fd.as_raw_fd())] {
                let refused = refused.expect_err("no regular file");
                assert!(refused.is_not_a_region() && refused.to_string().contains("no regular file"));
            }
        }
        let sealed = Region::create("fine", 1).expect("a region");
        here.pull(sealed.as_fd().as_raw_fd()).expect("a regular file");
    });
}

#[test]
fn permission_is_given_and_taken_back() {
    alone::alone("permission_is_given_and_taken_back", || {
        let parent = rustix::process::getppid().expect("a parent").as_raw_nonzero().get().unsigned_abs();
        let allowance = pidfd::allow(parent).expect("the parent exists");
        let yama = std::fs::exists("/proc/sys/kernel/yama/ptrace_scope").expect("/proc");
        assert_eq!(allowance.is_recorded(), yama, "kept where there is somebody to keep it");
    });
}
