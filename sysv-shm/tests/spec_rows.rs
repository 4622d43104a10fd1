//! Rules of the kernel that this crate never meets, because its types rule them out, or that take a second
//! namespace or an id chosen on purpose: asked raw.

#![allow(unsafe_code)]

mod support;

use std::fs;
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::thread;

use libc::{c_int, c_void, shmid_ds};
use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use support::namespace::{private, segments, skip};
use sysv_shm::{Key, Segment, SegmentId};

const KEY: Key = Key::new(0x0001_2345);

/// The kernel's `shmctl` command that takes an index, and one that it does not have.
const SHM_STAT: c_int = 13;
const NO_COMMAND: c_int = 99;

/// `shmctl` with whatever buffer, as an errno.
fn control(id: c_int, command: c_int, buffer: *mut shmid_ds) -> Result<c_int, Errno> {
    // SAFETY: the buffers here are a whole `shmid_ds`, or an address at which nothing is, which the kernel
    // finds out (EFAULT).
    Errno::result(unsafe { libc::shmctl(id, command, buffer) })
}

/// `shmdt` of an address that is none of an attachment's, as an errno.
fn detach(address: *const c_void) -> Result<c_int, Errno> {
    // SAFETY: no attachment begins there, so that nothing is unmapped; that is what is tested.
    Errno::result(unsafe { libc::shmdt(address) })
}

/// A buffer for any command.
fn buffer() -> Box<shmid_ds> {
    // SAFETY: a `shmid_ds` is numbers, and zero is one.
    Box::new(unsafe { std::mem::zeroed() })
}

#[test]
fn only_the_beginning_of_an_attachment_can_be_detached() {
    private(|| {
        let page = rustix::param::page_size();
        let segment = Segment::create_new(KEY, 3 * page).unwrap().remove_on_drop();
        let attachment = segment.attach::<AtomicU32>().unwrap();
        let base = ptr::from_ref(&*attachment).cast::<c_void>();
        for offset in [1, page - 1, page, 2 * page] {
            assert_eq!(detach(base.wrapping_byte_add(offset)), Err(Errno::EINVAL), "at {offset}");
        }
        assert_eq!(segment.stat().unwrap().attached, 1);
    });
}

#[test]
fn replacing_needs_an_address() {
    private(|| {
        let segment = Segment::create_new(KEY, 4096).unwrap().remove_on_drop();
        // SAFETY: refused, and so replaces nothing; that is what is tested.
        let address = unsafe { libc::shmat(segment.id().number(), ptr::null(), libc::SHM_REMAP) };
        assert_eq!((address.addr(), Errno::last()), (usize::MAX, Errno::EINVAL));
        assert_eq!(segment.stat().unwrap().attached, 0);
    });
}

#[test]
fn what_shmctl_refuses() {
    private(|| {
        let segment = Segment::create_new(KEY, 4096).unwrap().remove_on_drop();
        let (id, mut good) = (segment.id().number(), buffer());
        let nowhere = ptr::without_provenance_mut::<shmid_ds>(8);
        let nobody = libc::uid_t::MAX; // (uid_t) -1 is no user
        for (id, command, buffer, refused) in [
            (id, NO_COMMAND, &raw mut *good, Errno::EINVAL),
            (id, -1, &raw mut *good, Errno::EINVAL),
            (-1, libc::IPC_STAT, &raw mut *good, Errno::EINVAL),
            (id + 1, libc::IPC_STAT, &raw mut *good, Errno::EINVAL), // an empty index
            (id + 32_768, libc::IPC_STAT, &raw mut *good, Errno::EINVAL), // the index, in another sequence
        ] {
            assert_eq!(control(id, command, buffer), Err(refused), "shmctl({id}, {command})");
        }
        // With 32 bits glibc reads and writes the buffer itself, and is killed.
        if cfg!(target_pointer_width = "64") {
            for (id, command) in [(id, libc::IPC_STAT), (id, libc::IPC_SET), (0, libc::IPC_INFO)] {
                assert_eq!(control(id, command, nowhere), Err(Errno::EFAULT), "shmctl({id}, {command})");
            }
        }
        good.shm_perm.uid = nobody;
        assert_eq!(control(id, libc::IPC_SET, &raw mut *good), Err(Errno::EINVAL), "uid -1");
        assert_eq!(segment.stat().unwrap().mode, 0o600, "and nothing of it was done");
    });
}

#[test]
fn some_commands_go_by_index_and_some_by_nothing() {
    private(|| {
        Segment::create(Key::PRIVATE, 1).unwrap().remove().unwrap(); // so that index and id may differ
        let segment = Segment::create_new(KEY, 4096).unwrap().remove_on_drop();
        let (id, mut seen) = (segment.id().number(), buffer());
        assert_eq!(control(id % 32_768, SHM_STAT, &raw mut *seen), Ok(id));
        #[cfg(target_env = "gnu")]
        let key = seen.shm_perm.__key;
        #[cfg(target_env = "musl")]
        #[allow(deprecated)] // a name that the crate `libc` means to change
        let key = seen.shm_perm.__ipc_perm_key;
        assert_eq!((seen.shm_segsz, key), (4096, KEY.number()));
        // The highest index in use, whatever id is given.
        assert_eq!(control(12_345, libc::IPC_INFO, &raw mut *seen), Ok(id % 32_768));
    });
}

#[test]
fn an_id_is_not_used_again_soon() {
    private(|| {
        let mut ids: Vec<_> = (0..1000)
            .map(|_| {
                let segment = Segment::create(Key::PRIVATE, 1).unwrap();
                segment.remove().unwrap();
                segment.id()
            })
            .collect();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 1000);
    });
}

#[test]
fn an_id_that_is_used_again_is_known_by_its_size_or_taken_for_what_it_is() {
    private(|| {
        let again = |id: SegmentId, size| {
            fs::write("/proc/sys/kernel/shm_next_id", id.number().to_string()).map(|()| {
                let segment = Segment::create(Key::PRIVATE, size).unwrap().remove_on_drop();
                assert_eq!(segment.id(), id);
                segment
            })
        };
        let old = Segment::create(KEY, 8192).unwrap();
        old.remove().unwrap();
        match again(old.id(), 4096) {
            Ok(smaller) => {
                assert!(old.attach::<AtomicU32>().unwrap_err().is_removed());
                assert_eq!(smaller.stat().unwrap().attached, 0);
            }
            Err(error) => return skip("kernel.shm_next_id", &format!("it cannot be set: {error}")),
        }
        let larger = again(old.id(), 12_288).unwrap();
        assert_eq!(old.attach::<AtomicU32>().unwrap().len(), 12_288, "its real length");
        drop(larger);
    });
}

#[test]
fn limits_out_of_range_are_refused() {
    private(|| {
        for (limit, value) in [("shmmni", "32769"), ("shmmni", "-1"), ("shm_rmid_forced", "2")] {
            let path = format!("/proc/sys/kernel/{limit}");
            let before = fs::read_to_string(&path).unwrap();
            match fs::write(&path, value).map_err(|error| error.raw_os_error()) {
                Err(Some(libc::EINVAL)) => assert_eq!(fs::read_to_string(&path).unwrap(), before),
                Err(Some(libc::EACCES | libc::EPERM)) => skip(limit, "it cannot be set in this namespace"),
                other => panic!("{limit} = {value}: {other:?}"),
            }
        }
    });
}

#[test]
fn what_is_attached_goes_along_into_another_namespace() {
    private(|| {
        let segment = Segment::create_new(KEY, 4096).unwrap().remove_on_drop();
        thread::scope(|scope| {
            scope.spawn(|| {
                let counter = segment.attach::<AtomicU32>().unwrap();
                unshare(CloneFlags::CLONE_NEWIPC).unwrap();
                assert!(Segment::open(KEY, 0).unwrap_err().is_not_found(), "the key is of the old one");
                assert!(segment.stat().unwrap_err().is_removed(), "and so is the id");
                assert_eq!(segments(), [""; 0]);
                counter.store(7, Relaxed); // the memory is there
            });
        });
        let stat = segment.stat().unwrap();
        assert_eq!((stat.attached, stat.last_pid), (0, Some(std::process::id())), "detached from over there");
        assert!(stat.detached_at.is_some());
        assert_eq!(segment.attach::<AtomicU32>().unwrap().load(Relaxed), 7);
    });
}

#[test]
fn the_maps_file_keeps_the_key_that_a_removal_takes() {
    private(|| {
        let segment = Segment::create_new(Key::new(0x0bad_cafe), 4096).unwrap();
        let _attachment = segment.attach::<()>().unwrap();
        segment.remove().unwrap();
        assert_eq!(segment.stat().unwrap().key, Key::PRIVATE);
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        assert!(maps.lines().any(|line| line.ends_with("/SYSV0badcafe (deleted)")), "{maps}");
    });
}
