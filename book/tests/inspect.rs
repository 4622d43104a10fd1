//! Looking from outside: names as hostile as the kernel takes them, kinds that no name can feign, one memory or two.
//!
//! The kernel is the oracle: this process makes what is to be seen, and looks at itself.

use std::ffi::CString;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use fd_shm::{Memfd, Region, Seals, scm_rights};
use memmap2::MmapOptions;
use proptest::prelude::*;
use sysv_shm::{Key, Segment};

#[path = "../examples/look/mod.rs"]
#[allow(dead_code)] // the examples use what these tests do not
mod look;
use look::devices::Devices;
use look::maps::{Device, Mapping, mappings, quoted};
use look::process::Process;
use look::regions::{Kind, Region as Seen, regions};

fn devices() -> Devices {
    Devices::find().expect("a memory file")
}

/// Whose turn it is to look: asking a memory file for its seals opens it, in this process that others look at.
static TURN: Mutex<()> = Mutex::new(());

fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner) // a test that has failed left nothing half done
}

/// This process, as others see it.
fn ourselves() -> Process {
    let _turn = turn();
    Process::look(std::process::id(), &devices()).expect("our own /proc")
}

/// The regions that these have.
fn seen(processes: &[Process]) -> Vec<Seen<'_>> {
    let _turn = turn();
    regions(processes, &devices())
}

/// What is said of the region that has this file.
fn with_region<T>(file: &File, say: impl FnOnce(&Seen<'_>) -> T) -> T {
    let (file, processes) = (file.metadata().expect("open"), [ourselves()]);
    let found = seen(&processes);
    let is_it = |seen: &&Seen<'_>| {
        (seen.identity.device, seen.identity.inode) == (Device::of(file.dev()), file.ino())
            && seen.identity.namespace.is_none()
    };
    say(found.iter().find(is_it).expect("it is seen"))
}

/// A memory file of one page, with any name that the kernel takes.
fn memfd(name: &[u8]) -> File {
    let name = CString::new(name).expect("no zero byte");
    let flags = rustix::fs::MemfdFlags::CLOEXEC | rustix::fs::MemfdFlags::ALLOW_SEALING;
    let file = File::from(rustix::fs::memfd_create(&name, flags).expect("a memory file"));
    file.set_len(4096).expect("a page");
    file
}

#[test]
fn a_region_is_seen_from_its_making_to_its_end() {
    let region = Region::create("story", 8192).expect("a region");
    let (mapping, reader) =
        (region.map::<()>().expect("mapped"), region.map_read_only::<()>().expect("mapped"));
    mapping.copy_in(0, &[1]).expect("touched");
    let file = File::from(region.as_fd().try_clone_to_owned().expect("dup"));
    let text = with_region(&file, |seen| seen.to_string());
    for line in [
        "memfd, \"story\"",
        "    8192 bytes, 4 kB in memory; inode ",
        "F_SEAL_SHRINK | F_SEAL_GROW",
        "    mapped  rw-s  8192 bytes, rss 4 kB, ",
        "    mapped  r--s  8192 bytes, rss ",
        "open file A, reads and writes, at 0",
        "goes with its last holder: 2 mappings and 2 descriptors",
    ] {
        assert!(text.contains(line), "no {line:?} in\n{text}");
    }
    drop((mapping, reader));
    let text = with_region(&file, |seen| seen.to_string());
    assert!(text.contains("2 descriptors; nobody has it mapped"), "{text}");
    let inode = file.metadata().expect("open").ino();
    drop((region, file));
    let here = ourselves();
    assert!(here.descriptors.iter().all(|descriptor| descriptor.inode != inode));
    assert!(here.mappings.iter().all(|mapping| mapping.inode != inode));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// The name in the table is exact, and that in maps has only its line ends written otherwise.
    #[test]
    fn a_name_is_read_as_it_was_given(name in hostile_name()) {
        let file = memfd(&name);
        let mapped = MmapOptions::new().map_raw(&file).expect("mapped");
        let (inode, start) = (file.metadata().expect("open").ino(), u64::try_from(mapped.as_ptr().addr()).expect("64 bits"));
        let here = ourselves();
        let shown = [b"/memfd:", &name[..], b" (deleted)"].concat();
        let descriptor = here.descriptors.iter().find(|it| it.number == file.as_raw_fd()).expect("it is open");
        prop_assert_eq!((&descriptor.link, descriptor.inode), (&shown, inode));
        let mapping = here.mappings.iter().find(|mapping| mapping.start == start).expect("it is mapped");
        let in_maps = shown.iter().flat_map(|byte| match byte {
            b'\n' => b"\\012".to_vec(),
            byte => vec![*byte],
        });
        prop_assert_eq!((&mapping.name, mapping.inode, mapping.len()), (&in_maps.collect(), inode, 4096));
        let label = with_region(&file, |seen| (seen.identity.kind, seen.to_string()));
        let (first, expected) = (label.1.lines().next().expect("a line"), format!("memfd, {}", quoted(&name)));
        prop_assert_eq!((label.0, first), (Kind::Memfd, expected.as_str()));
    }

    /// Whatever stands in such a file, it is read to its end.
    #[test]
    fn any_bytes_can_be_read(lines in prop::collection::vec(any_line(), 0..6)) {
        for mapping in mappings(&lines.join(&b'\n')) {
            prop_assert!(mapping.start <= mapping.end);
            prop_assert!(quoted(&mapping.name).chars().all(|letter| !letter.is_control()));
        }
    }
}

/// Names with all that misleads a reader of maps, up to the kernel's length.
fn hostile_name() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b" (deleted)".to_vec()),
        Just(b"\n7f00-7f01 rw-s 00000000 00:01 1 /memfd:false".to_vec()),
        Just(b"\\012".to_vec()),
        Just(b"/SYSV00001234".to_vec()),
        Just(b"  ".to_vec()),
        prop::collection::vec(1..=255_u8, 0..40),
    ];
    prop::collection::vec(piece, 0..6).prop_map(|pieces| {
        let mut name = pieces.concat();
        name.truncate(249);
        name
    })
}

/// Any bytes, and lines that are nearly right.
fn any_line() -> impl Strategy<Value = Vec<u8>> {
    const LINE: &[u8] = b"7f00aa0000-7f00ab0000 rw-s 00000000 00:01 49025      /memfd:name (deleted)";
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..80),
        (0..LINE.len(), any::<u8>()).prop_map(|(at, byte)| [&LINE[..at], &[byte], &LINE[at + 1..]].concat()),
        (0..LINE.len()).prop_map(|end| LINE[..end].to_vec()),
        Just(b"Rss:       18446744073709551615 kB".to_vec()),
        Just(b"Pss: \xff kB".to_vec()),
    ]
}

#[test]
fn five_columns_and_a_name_or_nothing() {
    let line = b"7f00-8f00 r--s 00002000 fe:1b 77                     /tmp/a  b (deleted) ";
    let mapping = Mapping::parse(line).expect("a line of maps");
    assert_eq!((mapping.start, mapping.end, mapping.offset), (0x7f00, 0x8f00, 0x2000));
    assert_eq!((mapping.device.to_string(), mapping.inode), ("fe:1b".into(), 77));
    assert_eq!(mapping.name, b"/tmp/a  b (deleted) ");
    let nameless = Mapping::parse(b"7f00-8f00 rw-p 00000000 00:00 0 ").expect("a line of maps");
    assert_eq!((nameless.name.len(), nameless.is_shared()), (0, false));
    for other in
        [&b"Rss: 4 kB"[..], b"", b"-", b"8f00-7f00 rw-p 0 00:00 0", b"7f00-8f00 rw-p 0 0 0", b"7f00-8f00"]
    {
        assert_eq!(Mapping::parse(other), None, "{}", other.escape_ascii());
    }
}

#[test]
fn a_name_alone_makes_no_kind() {
    let (devices, ours) = (devices(), Device::of(memfd(b"x").metadata().expect("open").dev()));
    let elsewhere = Device(0xfe, 0);
    for (name, here, there) in [
        (&b"/memfd:x (deleted)"[..], Some(Kind::Memfd), Some(Kind::File)),
        (b"/SYSV00001234 (deleted)", Some(Kind::SystemV), Some(Kind::File)),
        (b"/SYSV", Some(Kind::SystemV), Some(Kind::File)),
        (b"/dev/ashmem/x (deleted)", Some(Kind::Ashmem), None),
        (b"/dev/zero (deleted)", Some(Kind::Anonymous), None),
        (b"/dev/shm/x", None, Some(Kind::Posix)),
        (b"/dev/dri/card0", None, None),
        (b"anon_inode:[io_uring]", None, None),
        (b"", None, None),
    ] {
        let kinds = [ours, elsewhere].map(|device| Kind::of(name, device, &devices));
        assert_eq!(kinds, [here, there], "{}", name.escape_ascii());
    }
}

#[test]
fn shared_anonymous_memory_has_a_kind() {
    let zero = File::options().read(true).write(true).open("/dev/zero").expect("/dev/zero");
    let anonymous = MmapOptions::new().len(4096).map_raw(&zero).expect("mapped");
    let start = u64::try_from(anonymous.as_ptr().addr()).expect("64 bits");
    let processes = [ourselves()];
    let found = seen(&processes);
    let seen = found.iter().find(|seen| seen.mapped.iter().any(|it| it.mapping.start == start));
    assert_eq!(seen.expect("it is seen").identity.kind, Kind::Anonymous);
}

#[test]
fn what_the_kernel_adds_to_a_name_is_taken_off_and_no_more() {
    let path = format!("/dev/shm/seen by a test, {} (deleted)", std::process::id());
    let file = File::options().read(true).write(true).create_new(true).open(&path).expect("/dev/shm");
    let _gone = Removed(path.clone());
    file.set_len(4096).expect("a page");
    let _mapped = MmapOptions::new().map_raw(&file).expect("mapped");
    let named = with_region(&file, |seen| seen.to_string());
    fs::remove_file(&path).expect("removed");
    let unlinked = with_region(&file, |seen| seen.to_string());
    assert!(named.starts_with("POSIX, \"/seen by") && named.contains(" (deleted)\"\n"), "{named}");
    assert!(named.contains("stays as long as it has a name: 1 mapping and 1 descriptor"), "{named}");
    assert!(unlinked.contains(" (deleted)\", unlinked\n"), "{unlinked}");
    assert_eq!(unlinked.matches("(deleted)").count(), 1, "{unlinked}");
    assert!(unlinked.contains("goes with its last holder: 1 mapping and 1 descriptor"), "{unlinked}");
}

#[test]
fn a_file_on_disk_is_shared_memory_when_somebody_maps_it() {
    let path = std::env::temp_dir().join(format!("seen by a test, {}", std::process::id()));
    let file = File::options().read(true).write(true).create_new(true).open(&path).expect("a folder for it");
    let _gone = Removed(path.display().to_string());
    file.set_len(8192).expect("two pages");
    let inode = file.metadata().expect("open").ino();
    let shown = |processes: &[Process]| {
        let found = seen(processes);
        found.iter().find(|seen| seen.identity.inode == inode).map(ToString::to_string)
    };
    assert_eq!(shown(&[ourselves()]), None, "a file that is open, and mapped by nobody");
    let _mapped = MmapOptions::new().offset(4096).map_raw(&file).expect("mapped");
    let text = shown(&[ourselves()]).expect("it is mapped");
    assert!(text.contains("mapped  rw-s  4096 bytes from 4096, rss 0 kB"), "{text}");
    assert!(text.contains("stays as long as it has a name: 1 mapping and 1 descriptor"), "{text}");
}

/// A file that is gone when the test is.
struct Removed(String);

impl Drop for Removed {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.0)); // an error: it has been removed
    }
}

/// Another process, with a tmpfs in a mount namespace of its own.
#[test]
fn a_file_without_a_name_is_found_in_another_mount_namespace() {
    const SCRIPT: &str = "mount -t tmpfs t /mnt && exec 9>'/mnt/memfd: (deleted)' && echo here >&9 &&
                          rm '/mnt/memfd: (deleted)' && echo ready && read end";
    // Root may do without a user namespace, where those are forbidden.
    let ways: [&[&str]; 2] = [&["--user", "--map-root-user", "--mount"], &["--mount"]];
    let Some(mut child) = ways.into_iter().find_map(|way| mounted(way, SCRIPT)) else {
        return skip("no tmpfs can be mounted in a namespace of one's own");
    };
    let processes = [Process::look(child.id(), &devices()).expect("our child")];
    let text = seen(&processes).iter().map(ToString::to_string).collect::<String>();
    drop(child.stdin.take());
    child.wait().expect("reaped");
    assert!(
        text.contains("file on a tmpfs, unlinked, \"/mnt/memfd: (deleted)\"\n    5 bytes, 4 kB"),
        "{text}"
    );
}

/// A child in namespaces of its own, once it says that it is ready.
fn mounted(namespaces: &[&str], script: &str) -> Option<Child> {
    let mut unshare = Command::new("unshare");
    unshare.args(namespaces).args(["sh", "-c", script]);
    let mut child =
        unshare.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
    let ready = child.stdout.take()?.read_exact(&mut [0; 6]);
    if ready.is_err() {
        child.wait().expect("reaped");
    }
    ready.is_ok().then_some(child)
}

fn skip(reason: &str) {
    writeln!(std::io::stderr(), "skipped: {reason}").expect("standard error");
    assert!(std::env::var_os("CI").is_none(), "in CI nothing is skipped");
}

#[test]
fn one_open_file_has_one_letter() {
    let file = memfd(b"letters");
    let (copy, again) =
        (file.try_clone().expect("dup"), File::open(format!("/proc/self/fd/{}", file.as_raw_fd())));
    let again = again.expect("opened again");
    let files = with_region(&file, |seen| {
        let of = |file: &File| seen.open.iter().find(|open| open.descriptor.number == file.as_raw_fd())?.file;
        [of(&file), of(&copy), of(&again)]
    });
    let here = (std::process::id(), file.as_raw_fd());
    if let Err(refused) = fd_shm::same_open_file(here, here) {
        assert_eq!(files, [None; 3]);
        return skip(&refused.to_string());
    }
    let [ours, copy, again] = files;
    assert!(ours.is_some() && ours == copy && again.is_some() && ours != again, "{files:?}");
}

#[test]
fn seals_are_told_if_the_file_can_be_opened() {
    let file = OwnedFd::from(Memfd::create("sealed").expect("a memory file"));
    let seals = Seals::of(&file).expect("a memory file");
    assert_eq!(with_region(&file.into(), |seen| seen.facts.seals), Some(seals));
}

#[test]
fn two_segments_with_one_inode_are_one_region_in_one_namespace_only() {
    let segment = Segment::create(Key::PRIVATE, 4096).expect("a segment").remove_on_drop();
    let _attached = segment.attach::<()>().expect("attached");
    let inode = u64::try_from(segment.id().number()).expect("positive");
    let here = ourselves();
    assert!(here.mappings.iter().any(|mapping| mapping.inode == inode), "its inode is its id");
    let elsewhere = Process { namespace: Some("ipc:[1]".into()), ..here.clone() };
    let count = |processes: &[Process]| {
        let found = seen(processes);
        found
            .iter()
            .filter(|seen| (seen.identity.kind, seen.identity.inode) == (Kind::SystemV, inode))
            .count()
    };
    assert_eq!([count(&[here.clone(), here.clone()]), count(&[here.clone(), elsewhere])], [1, 2]);
    let processes = [here];
    let found = seen(&processes);
    let told = found.iter().find(|seen| seen.facts.segment.is_some_and(|told| told.id == segment.id()));
    let text = told.expect("it is in the table").to_string();
    assert!(text.contains("stays until it is removed, whoever goes: 1 mapping, all seen"), "{text}");
    segment.remove().expect("ours");
}

#[test]
fn descriptors_on_their_way_are_counted_and_not_named() {
    let (sender, receiver) = UnixStream::pair().expect("sockets");
    let gift = memfd(b"gift");
    scm_rights::send(&sender, &[0], &[gift.as_fd(); 3]).expect("sent");
    let unread = || ourselves().unread.into_iter().find(|(socket, _)| *socket == receiver.as_raw_fd());
    assert_eq!(unread(), Some((receiver.as_raw_fd(), 3)));
    drop(scm_rights::receive(&receiver, &mut [0], 3).expect("received"));
    assert_eq!(unread(), None);
}

#[test]
fn a_process_that_has_gone_is_an_error() {
    let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().expect("cat");
    let pid = child.id();
    child.kill().expect("killed");
    child.wait().expect("reaped");
    let gone = Process::look(pid, &devices()).expect_err("it has gone");
    assert_eq!(gone.kind(), std::io::ErrorKind::NotFound, "{gone}");
    assert!(!look::process::has_memory(pid));
    assert!(look::process::has_memory(std::process::id()));
}

#[test]
fn a_process_may_call_itself_what_it_likes() {
    let ours = std::thread::spawn(|| {
        rustix::thread::set_name(c"\"a\nb\x1b[2J \"").expect("prctl");
        let thread = rustix::thread::gettid().as_raw_pid().unsigned_abs();
        Process::look(thread, &devices()).expect("a thread of ours").command
    });
    assert_eq!(ours.join().expect("no panic"), r#"\"a\nb\u{1b}[2J \""#);
}
