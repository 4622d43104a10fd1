//! A helper: a process that makes the calls it is told over a socket.

use std::io::{BufRead, BufReader, Write};
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::{env, io, process};

use rustix::process::{Gid, Pid, Signal, Uid, kill_process};
use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::calls::{self, Attachments, Call};
use crate::facts::Answer;
use crate::support::Leashed;

/// Set in a helper: where its forked children report, and whether it runs as somebody else.
const PLACE: &str = "SYSV_SHM_MODEL_HELPER";
const STRANGER: &str = "SYSV_SHM_MODEL_STRANGER";

/// Somebody else, in uid and gid.
pub(crate) const NOBODY: u32 = 65534;

/// One line of JSON each way.
#[derive(Debug)]
struct Wire(BufReader<UnixStream>);

impl Wire {
    fn say(&mut self, what: &impl Serialize) -> io::Result<()> {
        let mut line = serde_json::to_vec(what)?;
        line.push(b'\n');
        self.0.get_mut().write_all(&line)
    }

    /// What the other side says; `None` when it has ended.
    fn hear<T: DeserializeOwned>(&mut self) -> io::Result<Option<T>> {
        let mut line = String::new();
        if self.0.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        Ok(Some(serde_json::from_str(&line)?))
    }
}

/// A helper as its director sees it; it does not outlive this.
#[derive(Debug)]
pub(crate) struct Helper {
    pub(crate) pid: u32,
    wire: Wire,
    /// For one that was started, not forked: to be reaped.
    started: Option<Leashed>,
}

/// Where forked helpers report.
#[derive(Debug)]
pub(crate) struct Place {
    name: String,
    listener: UnixListener,
}

impl Place {
    /// A place of the calling thread.
    pub(crate) fn new() -> Self {
        let name = format!("sysv-shm-model-{}-{}", process::id(), rustix::thread::gettid());
        let address = SocketAddr::from_abstract_name(&name).expect("a short name");
        let listener = UnixListener::bind_addr(&address).expect("an abstract socket");
        Self { name, listener }
    }

    /// Starts this test program again as a helper, in the namespace of the calling thread.
    pub(crate) fn start(&self, test: &str, stranger: bool) -> Helper {
        let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
        let mut command = Command::new(env::current_exe().expect("the path of this test"));
        command.args([test, "--exact", "--nocapture", "--test-threads=1"]).env(PLACE, &self.name);
        if stranger {
            command.env(STRANGER, "1");
        }
        let child = Leashed(
            command.stdin(OwnedFd::from(theirs)).stdout(Stdio::null()).spawn().expect("this program"),
        );
        let mut helper = Helper { pid: child.id(), wire: Wire(BufReader::new(ours)), started: None };
        helper.greeting();
        helper.started = Some(child);
        helper
    }

    /// Lets `parent` fork.
    pub(crate) fn fork(&self, parent: &mut Helper) -> Result<Helper, Answer> {
        match parent.call(Call::Fork) {
            Answer::Got(pid) => {
                // It was connected before the fork, so this does not wait.
                let (stream, _) = self.listener.accept().expect("the connection of a forked child");
                let wire = Wire(BufReader::new(stream));
                let mut child = Helper { pid: pid.unsigned_abs(), wire, started: None };
                child.greeting();
                Ok(child)
            }
            other => Err(other),
        }
    }
}

impl Helper {
    fn greeting(&mut self) {
        let pid: Option<u32> = self.wire.hear().expect("a greeting");
        assert_eq!(pid, Some(self.pid), "a helper says who it is");
    }

    /// Has a call made.
    pub(crate) fn call(&mut self, call: Call) -> Answer {
        self.wire.say(&call).expect("a helper that listens");
        self.wire.hear().expect("an answer").unwrap_or_else(|| panic!("pid {} died of {call:?}", self.pid))
    }

    /// Has it start its program again in its own place.
    pub(crate) fn exec(&mut self) {
        self.wire.say(&Call::Exec).expect("a helper that listens");
        self.greeting();
    }

    /// Has it exit; back when it has.
    pub(crate) fn exit(mut self) {
        self.wire.say(&Call::Exit).expect("a helper that listens");
        self.end();
    }

    /// Kills it; back when it is dead.
    pub(crate) fn kill(mut self) {
        self.end_by_force();
    }

    fn end_by_force(&mut self) {
        if let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) {
            // It may have ended by itself, or not be reaped yet: both are its end.
            let _ = kill_process(pid, Signal::KILL);
        }
        self.end();
    }

    /// Waits until it is gone: a process gives up its memory and its segments before its sockets.
    fn end(&mut self) {
        while let Ok(Some(serde_json::Value::Null)) = self.wire.hear() {}
        if let Some(mut child) = self.started.take() {
            drop(child.wait());
        }
        self.pid = 0;
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        if self.pid != 0 {
            self.end_by_force();
        }
    }
}

/// Becomes a helper if this process was started as one; then it does not return.
pub(crate) fn be_one_if_asked() {
    let Ok(place) = env::var(PLACE) else { return };
    let socket = calls::socket_at_standard_input();
    calls::nobody_waits();
    if env::var_os(STRANGER).is_some() {
        become_nobody();
    }
    obey_mode_bits();
    serve(Wire(BufReader::new(socket)), &place).expect("a director that listens");
    calls::exit();
}

/// Takes from the calling thread the capability that overrides mode bits.
pub(crate) fn obey_mode_bits() {
    let mut sets = capabilities(None).expect("capget");
    sets.effective.remove(CapabilitySet::IPC_OWNER);
    set_capabilities(None, sets).expect("capset");
}

/// Makes the calling thread somebody else, without groups and capabilities.
fn become_nobody() {
    let (uid, gid) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
    rustix::thread::set_thread_groups(&[]).expect("setgroups");
    rustix::thread::set_thread_res_gid(gid, gid, gid).expect("setresgid");
    rustix::thread::set_thread_res_uid(uid, uid, uid).expect("setresuid");
}

/// Makes calls until told to exit, or until the director has ended.
fn serve(mut wire: Wire, place: &str) -> io::Result<()> {
    let mut attachments = Attachments::default();
    wire.say(&process::id())?;
    while let Some(call) = wire.hear()? {
        match call {
            Call::Exit => calls::exit(), // with everything attached
            Call::Exec => {
                let socket = OwnedFd::from(wire.0.into_inner());
                // By the link, for somebody else may not see the path. Who that is stays as it is.
                let mut again = Command::new("/proc/self/exe");
                again.args(env::args_os().skip(1)).env_remove(STRANGER).stdin(socket);
                return Err(again.exec());
            }
            Call::Fork => {
                let child = UnixStream::connect_addr(&SocketAddr::from_abstract_name(place)?)?;
                match calls::fork()? {
                    Some(pid) => wire.say(&Answer::Got(pid))?,
                    None => {
                        // The parent's socket closes here: it must end with the parent.
                        wire = Wire(BufReader::new(child));
                        wire.say(&process::id())?;
                    }
                }
            }
            call => {
                let answer = attachments.call(call);
                wire.say(&answer)?;
            }
        }
    }
    Ok(())
}
