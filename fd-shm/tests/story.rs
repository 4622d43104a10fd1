//! The whole story between two real processes: make, hand over, check, map, write both ways, and nothing is
//! left.

use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use fd_shm::{Region, same_open_file, scm_rights, shareable};

#[path = "support/alone.rs"]
mod alone;

/// The words that both sides agreed on.
#[repr(C)]
struct Words {
    ours: AtomicU32,
    theirs: AtomicU32,
    number: AtomicU32,
    spare: AtomicU32,
}
shareable!(Words { ours: AtomicU32, theirs: AtomicU32, number: AtomicU32, spare: AtomicU32 });

/// Set in the process that plays the receiver; its socket is its standard input.
const RECEIVER: &str = "STORY_RECEIVER";

#[test]
fn two_processes_share_a_region() {
    if std::env::var_os(RECEIVER).is_some() {
        return receiver();
    }
    alone::alone("two_processes_share_a_region", sender);
}

fn sender() {
    let (mut socket, theirs) = UnixStream::pair().expect("a pair of sockets");
    let program = std::env::current_exe().expect("this program has a path");
    let mut child = Command::new(program)
        .args(["two_processes_share_a_region", "--exact", "--nocapture"])
        .env(RECEIVER, "yes")
        .stdin(OwnedFd::from(theirs))
        .stdout(Stdio::null())
        .spawn()
        .expect("a second process");

    let region = Region::create("story", 5000).expect("a region");
    let words = region.map::<Words>().expect("a mapping");
    words.ours.store(42, Ordering::Release);
    words.copy_in(100, b"from the sender").expect("inside");
    scm_rights::send(&socket, b"story", &[region.as_fd()]).expect("sent");

    let mut byte = [0; 1];
    socket.read_exact(&mut byte).expect("the receiver answers");
    assert_eq!(words.theirs.load(Ordering::Acquire), 43);
    let mut text = [0; 17];
    words.copy_out(4936 - 17, &mut text).expect("the last bytes of the tail");
    assert_eq!(&text, b"from the receiver");

    // One open file under two numbers.
    let number = i32::try_from(words.number.load(Ordering::Relaxed)).expect("a number");
    let here = (std::process::id(), region.as_fd().as_raw_fd());
    assert_ne!(number, here.1);
    assert!(same_open_file(here, (child.id(), number)).expect("kcmp"));

    socket.write_all(b".").expect("the receiver is told to end");
    assert!(child.wait().expect("the receiver ends").success());
    assert_eq!(words.theirs.load(Ordering::Acquire), 43, "what it wrote outlives the writer");
}

fn receiver() {
    let socket = std::io::stdin();
    // Numbers that differ from the sender's, whatever the sender had open.
    let ballast: Vec<OwnedFd> = (0..20).map(|_| socket.as_fd().try_clone_to_owned().expect("dup")).collect();
    let mut text = [0; 16];
    let message = scm_rights::receive(&socket, &mut text, 1).expect("a message");
    assert_eq!(&text[..message.len], b"story");
    let [descriptor] = message.into_exactly().expect("one descriptor");
    let number = u32::try_from(descriptor.as_raw_fd()).expect("a number");
    drop(ballast);

    let region = Region::from_fd(descriptor).expect("a region");
    assert_eq!((region.len(), region.name().expect("a name").to_str()), (5000, Some("story")));
    let words = region.map::<Words>().expect("a mapping");
    assert_eq!((words.len(), words.tail_len()), (5000, 4936));
    assert_eq!(words.ours.load(Ordering::Acquire), 42);
    let mut text = [0; 15];
    words.copy_out(100, &mut text).expect("inside");
    assert_eq!(&text, b"from the sender");

    words.number.store(number, Ordering::Relaxed);
    words.copy_in(4936 - 17, b"from the receiver").expect("the last bytes of the tail");
    words.theirs.store(43, Ordering::Release);
    let mut stream = UnixStream::from(socket.as_fd().try_clone_to_owned().expect("dup"));
    stream.write_all(b".").expect("answered");
    stream.read_exact(&mut [0; 1]).expect("told to end");
}

#[test]
fn a_region_lives_as_long_as_somebody_holds_it() {
    alone::alone("a_region_lives_as_long_as_somebody_holds_it", || {
        let region = Region::create("life", 4096).expect("a region");
        let inode = inode(&region);
        let mapping = region.map::<AtomicU32>().expect("a mapping");
        mapping.store(7, Ordering::Relaxed);
        drop(region);
        assert_eq!(mapping.load(Ordering::Relaxed), 7, "a mapping needs no descriptor");
        assert!(mapped(inode));
        drop(mapping);
        assert!(!mapped(inode));
    });
}

fn inode(region: &Region) -> u64 {
    std::fs::File::from(region.as_fd().try_clone_to_owned().expect("dup")).metadata().expect("fstat").ino()
}

fn mapped(inode: u64) -> bool {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("maps");
    let inode = inode.to_string();
    maps.lines().any(|line| line.contains("/memfd:life") && line.split_whitespace().nth(4) == Some(&inode))
}
