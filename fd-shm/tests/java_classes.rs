//! The contracts of Java's `MemoryFile` and `SharedMemory`, rule by rule.

use std::io::{Read, Seek, SeekFrom, Write};

use fd_shm::ashmem::{MemoryFile, Prot, SharedMemory, Shrinker};
use fd_shm::{Error, Region};
use nix::errno::Errno;

/// A memory file that says "0123456789".
fn digits() -> MemoryFile {
    let file = MemoryFile::new("digits", 10).expect("a file");
    file.write_bytes(b"0123456789", 0, 0, 10).expect("it fits");
    file
}

/// The system, which is the only one to see the file's pins.
fn system_of(file: &MemoryFile) -> Shrinker {
    let mut system = Shrinker::new();
    system.add_file(file).expect("a file that keeps its pins");
    system
}

/// Reads one byte, at a place.
fn at(file: &MemoryFile, offset: usize) -> Result<u8, Error> {
    let mut byte = [b'?'];
    file.read_bytes(&mut byte, offset, 0, 1).map(|_| byte[0])
}

#[test]
fn the_exception_comes_once_and_then_there_are_zeros() {
    let mut file = digits();
    let mut system = system_of(&file);
    assert!(!file.allow_purging(true).expect("unpins"), "the value before");
    assert!(file.allow_purging(true).expect("nothing"), "the value before");
    assert_eq!(at(&file, 3).expect("not purged"), b'3');
    assert_eq!(system.purgeable_pages(), 1, "unpinned again");

    assert_eq!(system.purge_all().pages(), 1);
    let refused = at(&file, 3).expect_err("purged");
    assert!(refused.is_purged(), "{refused}");
    assert_eq!(
        refused.to_string(),
        "MemoryFile::read_bytes(3, 0, 1): the file was purged: what it held is gone"
    );
    assert_eq!(system.purge_all().pages(), 0, "left pinned");
    assert_eq!(at(&file, 3).expect("told once"), 0);
    assert_eq!(system.purgeable_pages(), 1, "unpinned again");

    // A write is told as well, and what it was to write is not written.
    assert_eq!(system.purge_all().pages(), 1);
    assert!(file.write_bytes(b"x", 0, 0, 1).is_err_and(|refused| refused.is_purged()));
    assert_eq!(at(&file, 0).expect("told once"), 0);

    // Who forbids purging is not told.
    assert_eq!(system.purge_all().pages(), 1);
    assert!(file.allow_purging(false).expect("pins"), "the value before");
    assert!(!file.is_purging_allowed());
    assert_eq!(at(&file, 0).expect("not told"), 0);
    assert_eq!(system.purgeable_pages(), 0, "pinned");
}

#[test]
fn checks_come_in_java_s_order() {
    let mut file = digits();
    let mut system = system_of(&file);
    file.allow_purging(true).expect("unpins");
    assert_eq!(system.purge_all().pages(), 1);
    let beyond = |file: &MemoryFile| at(file, 10).expect_err("past the end");
    assert!(beyond(&file).is_purged(), "first the purge");
    assert!(beyond(&file).is_out_of_bounds(), "then the range");
    assert_eq!(system.purgeable_pages(), 1, "unpinned again");
    assert_eq!(system.purge_all().pages(), 1);
    file.deactivate();
    assert!(beyond(&file).is_deactivated(), "before all, whether it is active");
    assert!(file.write_bytes(b"x", 0, 0, 1).is_err_and(|refused| refused.is_deactivated()));
    assert_eq!(file.length(), 10);
    file.allow_purging(false).expect("pins need the descriptor, and no mapping");
}

#[test]
fn ranges_of_file_and_buffer_are_checked() {
    let file = digits();
    let mut buffer = [b'.'; 6];
    assert_eq!(file.read_bytes(&mut buffer, 2, 1, 3).expect("in both"), 3);
    assert_eq!(&buffer, b".234..");
    assert_eq!(file.read_bytes(&mut buffer, 10, 6, 0).expect("nothing, at both ends"), 0);
    let rows = [
        (8, 0, 3),
        (11, 0, 0),
        (0, 4, 3),
        (0, 7, 0),
        (usize::MAX, 0, 1),
        (0, usize::MAX, 1),
        (0, 0, usize::MAX),
    ];
    for (offset, place, count) in rows {
        assert!(file.read_bytes(&mut buffer, offset, place, count).is_err_and(|e| e.is_out_of_bounds()));
        assert!(file.write_bytes(&buffer, place, offset, count).is_err_and(|e| e.is_out_of_bounds()));
    }
    file.write_bytes(b"-abc-", 1, 7, 3).expect("in both");
    assert_eq!([6, 7, 9].map(|offset| at(&file, offset).expect("inside")), *b"6ac");
    for (length, name) in [(0, "none"), (1 << 31, "too long for an int")] {
        assert!(MemoryFile::new(name, length).is_err_and(|refused| refused.is_invalid_input()), "{name}");
        assert!(
            SharedMemory::create(name, length).is_err_and(|refused| refused.is_invalid_input()),
            "{name}"
        );
    }
}

#[test]
fn streams_move_forward_and_end_with_the_file() {
    let file = MemoryFile::new("stream", 6).expect("a file");
    let mut stream = file.stream();
    assert_eq!(stream.write(b"\xff\xfe").expect("two"), 2);
    assert_eq!(stream.write(b"abcdef").expect("what fits"), 4, "not at 0 again");
    assert_eq!(stream.write(b"x").expect("nothing fits"), 0);
    let mark = stream.seek(SeekFrom::Start(0)).expect("reset");
    let mut byte = [0];
    stream.read_exact(&mut byte).expect("a byte");
    assert_eq!(byte, [0xff], "which is no end");
    stream.seek(SeekFrom::Current(2)).expect("skip");
    let mut rest = Vec::new();
    assert_eq!(stream.read_to_end(&mut rest).expect("the rest"), 3);
    assert_eq!((&rest[..], mark), (&b"bcd"[..], 0));
    assert_eq!(stream.seek(SeekFrom::End(10)).expect("behind the end"), 16);
    assert_eq!(stream.read(&mut byte).expect("nothing"), 0);
    assert!(stream.seek(SeekFrom::Current(-17)).is_err());

    let mut purged = digits();
    purged.allow_purging(true).expect("unpins");
    assert_eq!(system_of(&purged).purge_all().pages(), 1);
    let refused = purged.stream().read(&mut byte).expect_err("purged");
    assert!(refused.get_ref().and_then(|e| e.downcast_ref::<Error>()).is_some_and(Error::is_purged));
}

#[test]
fn parts_are_mapped_with_the_rights_that_are_left() {
    let memory = SharedMemory::create("parts", 10_000).expect("memory");
    let rows = [(0, 0), (0, 10_001), (10_000, 1), (10_001, 0), (4096, 5905), (usize::MAX, 2)];
    for (offset, len) in rows {
        let refused = memory.map(Prot::READ, offset, len).expect_err("no such part");
        assert!(refused.is_invalid_input() && refused.raw_os_error().is_none(), "{refused}");
    }
    let refused = memory.map(Prot::READ, 1, 1).expect_err("no page begins there");
    assert_eq!(refused.raw_os_error(), Some(Errno::EINVAL as i32), "{refused}");
    for prot in [Prot::NONE, Prot::WRITE, Prot::READ | Prot::EXEC] {
        assert!(memory.map(prot, 0, 1).is_err_and(|refused| refused.is_invalid_input()));
    }

    let all = memory.map_read_write().expect("all of it");
    let last = memory.map(Prot::READ, 8192, 1808).expect("the last page");
    assert_eq!((all.len(), last.len(), all.is_read_only(), last.is_read_only()), (10_000, 1808, false, true));
    all.write(8192, b"there").expect("inside");
    let mut seen = [0; 5];
    last.read(0, &mut seen).expect("inside");
    assert_eq!(&seen, b"there");
    assert!(last.write(0, b"no").is_err_and(|refused| refused.is_read_only()));
    assert!(last.read(1804, &mut seen).is_err_and(|refused| refused.is_out_of_bounds()));
    assert!(all.write(9_996, b"there").is_err_and(|refused| refused.is_out_of_bounds()));

    memory.set_protect(Prot::READ).expect("less");
    assert!(memory.set_protect(Prot::READ | Prot::WRITE).is_err(), "rights only shrink");
    assert!(memory.map_read_write().is_err_and(|refused| refused.is_sealed()));
    memory.map_read_only().expect("what is left");
    let received = SharedMemory::from_fd(memory.try_clone().expect("a descriptor").into()).expect("memory");
    drop(memory);
    all.write(0, b"still").expect("a mapping outlives it, with its right");
    assert_eq!(received.size(), 10_000);
    received.map_read_only().expect("mapped").read(0, &mut seen).expect("inside");
    assert_eq!(&seen, b"still");
}

#[test]
fn the_region_beneath_is_one_like_any_other() {
    let memory = SharedMemory::create("digits", 10).expect("memory");
    memory.map_read_write().expect("mapped").write(0, b"0123456789").expect("inside");
    let region = Region::from_fd(memory.try_clone().expect("a descriptor").into()).expect("a region");
    assert_eq!((region.len(), region.name().expect("a name").to_str()), (10, Some("digits")));
    let mut digits = [0; 10];
    region.map_read_only::<()>().expect("mapped").copy_out(0, &mut digits).expect("inside");
    assert_eq!(&digits, b"0123456789");
}
