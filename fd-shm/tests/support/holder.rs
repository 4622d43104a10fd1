//! A second process that holds descriptors and does nothing else: what others pull from.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::process::{Child, Command, Stdio};

use fd_shm::Region;
use rustix::process::{DumpableBehavior, set_dumpable_behavior};

/// Names what the holder does to itself before it waits.
const HOLDER: &str = "HOLDER";

#[path = "../../examples/support/ordinary.rs"]
#[allow(dead_code)] // what keeps an example from being shown is no question for a test
mod ordinary;
pub(crate) use ordinary::become_ordinary;

/// The other process: killed and reaped when dropped.
#[derive(Debug)]
pub(crate) struct Holder {
    child: Child,
    /// The number of its region, 4096 bytes, called "held".
    pub(crate) number: i32,
}

impl Holder {
    /// Starts this test program again, for the test `test`, which must begin with [`is_this_process`].
    pub(crate) fn start(test: &str, how: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("this program has a path"))
            .args([test, "--exact", "--nocapture", "--test-threads=1"])
            .env(HOLDER, how)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a holder");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let number = lines.find_map(|line| line.expect("text").strip_prefix("HOLDS ")?.parse().ok());
        Self { child, number: number.expect("the holder says its number") }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it, and reaps it.
    pub(crate) fn end(&mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("reaped");
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        // Both fail harmlessly when it was ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Whether this process is the holder; it returns when the other end of its standard input is closed.
pub(crate) fn is_this_process() -> bool {
    let Ok(how) = std::env::var(HOLDER) else { return false };
    let region = Region::create("held", 4096).expect("a region");
    if how == "undumpable" {
        set_dumpable_behavior(DumpableBehavior::NotDumpable).expect("prctl");
    }
    let mut output = std::io::stdout();
    writeln!(output, "\nHOLDS {}", region.as_fd().as_raw_fd()).expect("written");
    drop(std::io::stdin().read_to_end(&mut Vec::new()));
    true
}
