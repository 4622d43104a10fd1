//! Running one example, alone and under the same conditions every time.

use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::sys;

/// How long an example may take before it counts as hanging.
const PATIENCE: Duration = Duration::from_secs(60);

/// The exit code by which an example says that this machine cannot show what it shows.
const NOT_SHOWN_HERE: i32 = 77;

/// How one run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It succeeded and printed this.
    Printed(String),
    /// It cannot be shown on this machine, for this reason.
    NotShownHere(String),
}

/// Runs `program` with nothing inherited but the three standard streams, and in an IPC namespace of its own where
/// that is permitted, so that its keys can collide with nobody's.
///
/// # Errors
///
/// The program fails, or does not end within a minute; the message holds all that it printed.
pub fn run(program: &Path) -> Result<Outcome> {
    thread::scope(|scope| {
        let runner = scope.spawn(|| {
            // Belongs to this thread, and to the children it starts. Without the privilege the example uses the
            // keys that its reader would: that is what it would do from the command line.
            let _ = unshare(CloneFlags::CLONE_NEWIPC);
            run_here(program)
        });
        runner.join().unwrap_or_else(|_| bail!("the thread that ran {} panicked", program.display()))
    })
}

fn run_here(program: &Path) -> Result<Outcome> {
    sys::close_inherited_on_exec().context("marking descriptors close-on-exec")?;
    let child = Command::new(program)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0) // so that its children can be ended with it
        .spawn()
        .with_context(|| format!("starting {}", program.display()))?;
    let (status, printed, complained) = wait(child)?;
    match status {
        Some(status) if status.success() => Ok(Outcome::Printed(printed)),
        Some(status) if status.code() == Some(NOT_SHOWN_HERE) => {
            Ok(Outcome::NotShownHere(printed.trim().into()))
        }
        Some(status) => bail!("ended with {status}\n{printed}{complained}"),
        None => bail!("did not end within {} s\n{printed}{complained}", PATIENCE.as_secs()),
    }
}

/// Waits for the child and for all it prints; no status when patience ran out and it was killed.
fn wait(mut child: Child) -> Result<(Option<ExitStatus>, String, String)> {
    let group = Pid::from_raw(i32::try_from(child.id())?);
    let (printed, complained) = (collect(child.stdout.take()), collect(child.stderr.take()));
    let (finished, ended) = mpsc::channel();
    let waiter = thread::spawn(move || {
        let status = child.wait();
        // Nobody listens any more once patience ran out.
        let _ = finished.send(());
        status
    });
    let in_time = ended.recv_timeout(PATIENCE).is_ok();
    // Also when it ended: a child that it left behind would keep its output open.
    let _ = killpg(group, Signal::SIGKILL);
    let status = waiter.join().map_err(|_| io::Error::other("waiting panicked"))??;
    let text = |reader: thread::JoinHandle<String>| reader.join().unwrap_or_default();
    Ok((in_time.then_some(status), text(printed), text(complained)))
}

fn collect(stream: Option<impl Read + Send + 'static>) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut stream) = stream {
            // What was read before an error is what there is to show.
            drop(stream.read_to_end(&mut bytes));
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
