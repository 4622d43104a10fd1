//! Two processes that know nothing of each other but a number meet in a segment.

mod support;

use std::env;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::thread::futex;
use support::Leashed;
use support::namespace::{private, segments};
use sysv_shm::{Key, Segment};

const KEY: Key = Key::new(0x5348_4d31);
/// Tells this program, started by itself, to be the client.
const ROLE: &str = "SYSV_SHM_STORY_CLIENT";

#[repr(C)]
struct Meeting {
    server: AtomicU32,
    client: AtomicU32,
}
sysv_shm::shareable!(Meeting { server: AtomicU32, client: AtomicU32 });

#[test]
fn two_processes_meet_under_a_key() {
    if env::var_os(ROLE).is_some() {
        return client();
    }
    private(|| {
        // A server makes a segment under a number that was agreed on, and writes into it.
        let segment = Segment::create_new(KEY, 5000).unwrap().remove_on_drop();
        let meeting = segment.attach::<Meeting>().unwrap();
        meeting.copy_in(0, b"from the server").unwrap();
        meeting.server.store(41, Ordering::Release);

        // A client is started. It inherits no memory and no descriptor, and is told nothing but its role.
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["two_processes_meet_under_a_key", "--exact", "--nocapture"]);
        let mut client = Leashed(command.env(ROLE, "yes").stdout(Stdio::null()).spawn().unwrap());

        // Each sees what the other wrote. The client leaves its mapping in place until we have looked at the
        // counts.
        let ended_early = wait_while(&meeting.client, 0, || client.try_wait().unwrap().is_some());
        assert!(!ended_early, "the client ended without an answer");
        assert_eq!(meeting.client.load(Ordering::Acquire), 42);
        let mut answer = [0; 15];
        meeting.copy_out(64, &mut answer).unwrap();
        assert_eq!(&answer, b"from the client");
        let stat = segment.stat().unwrap();
        assert_eq!((stat.attached, stat.last_pid), (2, Some(client.id())));
        assert_eq!((stat.creator_pid, stat.size), (std::process::id(), 5000));

        // The client goes; the kernel detaches it; the segment stays until the server removes it.
        meeting.server.store(0, Ordering::Release);
        futex::wake(&meeting.server, futex::Flags::empty(), 1).unwrap();
        assert!(client.wait().unwrap().success());
        assert_eq!(segment.stat().unwrap().attached, 1);
        assert_eq!(segments().len(), 1);
        segment.remove().unwrap();
        assert!(Segment::open(KEY, 0).unwrap_err().is_not_found());
        assert_eq!(meeting.client.load(Ordering::Acquire), 42, "what is attached stays");
    });
}

fn client() {
    let segment = Segment::open(KEY, 2 * 64).unwrap();
    assert_eq!(segment.size().unwrap(), 5000, "the real size, not the one asked for");
    let meeting = segment.attach::<Meeting>().unwrap();
    let mut greeting = [0; 15];
    meeting.copy_out(0, &mut greeting).unwrap();
    assert_eq!(&greeting, b"from the server");
    meeting.copy_in(64, b"from the client").unwrap();
    meeting.client.store(meeting.server.load(Ordering::Acquire) + 1, Ordering::Release);
    futex::wake(&meeting.client, futex::Flags::empty(), 1).unwrap();
    wait_while(&meeting.server, 41, || false);
}

/// Sleeps in the kernel while `word` is `value`; true when `given_up` said so first. It is asked once a
/// second.
fn wait_while(word: &AtomicU32, value: u32, mut given_up: impl FnMut() -> bool) -> bool {
    let second = futex::Timespec { tv_sec: 1, tv_nsec: 0 };
    while word.load(Ordering::Acquire) == value {
        if given_up() {
            return true;
        }
        // Its errors all mean "look again": the word changed, a signal came, a second passed.
        let _ = futex::wait(word, futex::Flags::empty(), value, Some(&second));
    }
    false
}
