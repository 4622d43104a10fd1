//! What another process's threads are doing, from `/proc` and the driver's debugfs: never from time.

use binder_sim::client::Client;
use binder_sim::driver::Device;
use binder_sim::script::device_name;
use nix::libc::SYS_ioctl;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Where the driver says things of itself.
const DEBUGFS: &str = "/sys/kernel/debug/binder";

/// What `/proc` says of a thread: files that are opened once and read again and again.
#[derive(Debug)]
pub(crate) struct Watched {
    /// How often it has run.
    schedstat: File,
    /// In which system call it is.
    syscall: File,
    /// In which state it is.
    stat: File,
}

impl Watched {
    /// Watches a thread.
    pub(crate) fn new(pid: i32, tid: i32) -> io::Result<Watched> {
        let open = |file: &str| File::open(format!("/proc/{pid}/task/{tid}/{file}"));
        Ok(Watched { schedstat: open("schedstat")?, syscall: open("syscall")?, stat: open("stat")? })
    }

    // ANCHOR: sleeps
    /// Whether the thread sleeps in an ioctl until it is woken, and how often it has run so far: two looks
    /// that agree have nothing between them. None: it runs, or waits for something that comes by itself.
    pub(crate) fn sleeps_in_ioctl(&self) -> Option<String> {
        let runs = text(&self.schedstat)?.split_whitespace().nth(2).map(str::to_owned)?;
        if !text(&self.syscall)?.starts_with(&format!("{SYS_ioctl} ")) {
            return None;
        }
        // Behind the name, which ends with the last parenthesis: S is a sleep that a signal ends.
        let stat = text(&self.stat)?;
        let state = stat.rsplit(") ").next()?.chars().next()?;
        (state == 'S').then_some(runs)
    }
    // ANCHOR_END: sleeps
}

/// What stands in a small file now.
fn text(file: &File) -> Option<String> {
    let mut bytes = [0; 512];
    let length = file.read_at(&mut bytes, 0).ok()?;
    String::from_utf8(bytes[..length].to_vec()).ok()
}

/// An open of the device.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Open {
    /// Whose: the name of an actor.
    pub(crate) actor: String,
    /// How many threads have used it.
    pub(crate) threads: usize,
}

/// How many opens the driver has: it forgets one when its release, which comes later than the last close,
/// is over.
pub(crate) fn count_opens() -> usize {
    let stats = debugfs("stats");
    let line = stats.lines().find_map(|line| line.strip_prefix("proc: active "));
    line.and_then(|rest| rest.split(' ').next()?.parse().ok()).unwrap_or(0)
}

/// The opens of these processes, in order.
///
/// From `stats`, since a look at `state` leaves traces: it counts on each node and takes that back, and a node
/// whose handles are gone is then listed to its owner again, who polls and is told to read.
pub(crate) fn opens(pids: &[(u32, String)]) -> Vec<Open> {
    let mut opens: Vec<Open> = Vec::new();
    let mut actor = None;
    for line in debugfs("stats").lines() {
        if let Some(pid) = line.strip_prefix("proc ") {
            actor = pids.iter().find(|(known, _)| pid.parse() == Ok(*known)).map(|(_, name)| name);
        }
        if let (Some(name), Some(threads)) = (actor, line.strip_prefix("  threads: ")) {
            opens.push(Open { actor: name.clone(), threads: threads.parse().unwrap_or(0) });
        }
    }
    opens.sort();
    opens
}

/// How many threads of the opens of a process have to return from their next read.
///
/// That is said only where a look leaves traces ([`opens`]), so it is asked of one process, when it matters.
pub(crate) fn told(pid: u32) -> usize {
    // The file goes with the first open of the process; there may be others.
    let text = fs::read_to_string(format!("{DEBUGFS}/proc/{pid}")).unwrap_or_else(|_| debugfs("state"));
    let mut is_its = false;
    let threads = text.lines().filter(|line| {
        if let Some(listed) = line.strip_prefix("proc ") {
            is_its = listed.parse() == Ok(pid);
        }
        is_its && line.starts_with("  thread ") && line.contains("need_return 1")
    });
    threads.count()
}

/// What the driver says of itself.
fn debugfs(file: &str) -> String {
    fs::read_to_string(format!("{DEBUGFS}/{file}")).expect("debugfs is mounted")
}

/// Makes every run begin on the same machine: the driver remembers the uid of a device's first manager for
/// ever, so each gets one, of root, that is gone again.
pub(crate) fn prepare() {
    // No pid is used twice: an open can outlive its process, in a message, and is listed under its pid.
    fs::write("/proc/sys/kernel/pid_max", "4194304").expect("a limit of the machine's");
    if !Path::new(DEBUGFS).exists() {
        let flags = nix::mount::MsFlags::empty();
        let none: Option<&str> = None;
        nix::mount::mount(none, "/sys/kernel/debug", Some("debugfs"), flags, none).expect("debugfs");
    }
    for device in Device::ALL {
        let path = format!("/dev/{}", device_name(device));
        let client = Client::open(path.as_ref()).expect("a device");
        client.set_context_mgr().expect("the first manager");
    }
    while count_opens() > 0 {
        std::thread::yield_now();
    }
}
