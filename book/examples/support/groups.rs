//! Memory cgroups for as long as a program needs them, of either version, one for each party and one round
//! all.
//!
//! A group that nobody removes stays until the next boot, and a program that is killed removes nothing. So
//! the groups belong to a caretaker: this program, started again, in a session of its own, that nobody who
//! kills the program happens to kill. When the program ends, in whatever way, the other end of its standard
//! input closes; it kills whoever is left in the groups and removes them. Should the caretaker be the one
//! who is killed, the program does that itself.

use std::error::Error;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use procfs::process::{MountInfo, Process};
use rustix::fs::{Access, access};
use rustix::process::{Pid, Signal, kill_process, setsid};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Which of the two interfaces has the memory controller. It can only be one at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

/// The groups of a program; gone, with all who are in them, when this is dropped.
#[derive(Debug)]
pub(crate) struct Groups {
    version: Version,
    /// The one round all others.
    folder: PathBuf,
    caretaker: Child,
}

/// Why there can be no groups here.
#[derive(Debug)]
pub(crate) struct NotHere(pub(crate) String);

impl Groups {
    /// Makes one group for each name, and one round them.
    pub(crate) fn make(names: &[&str]) -> Result<std::result::Result<Self, NotHere>> {
        let Some((version, base)) = base()? else {
            let text = "this user can make no cgroup that has a memory controller";
            return Ok(Err(NotHere(text.into())));
        };
        let folder = base.join(format!("three-ways-in-{}", std::process::id()));
        let mut caretaker = Command::new("/proc/self/exe");
        caretaker.arg("caretaker").arg(&folder).arg(version.name()).args(names);
        let mut caretaker = caretaker.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut said = String::new();
        BufReader::new(caretaker.stdout.take().ok_or("no pipe")?).read_line(&mut said)?;
        let groups = Self { version, folder, caretaker };
        match said.trim() {
            "made" => Ok(Ok(groups)),
            "" => Err("the caretaker of the groups has failed".into()),
            why => Ok(Err(NotHere(why.to_owned()))),
        }
    }

    /// The group of that name.
    pub(crate) fn group(&self, name: &str) -> Group {
        Group { version: self.version, folder: self.folder.join(name) }
    }

    /// What is charged to all of them, in bytes: also for a group that is no more.
    pub(crate) fn charged(&self) -> Result<u64> {
        let of_all = if self.version == Version::One { "total_shmem" } else { "shmem" };
        number(&self.folder.join("memory.stat"), of_all)
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        drop(self.caretaker.stdin.take());
        let has_cleared = self.caretaker.wait().is_ok_and(|status| status.success());
        if !has_cleared && let Err(error) = clear(&self.folder) {
            drop(writeln!(io::stderr(), "{} is left: {error}", self.folder.display()));
        }
    }
}

/// The highest group at or above our own in which groups with a memory controller can be made, so that what
/// happens in them is charged to nobody else's.
fn base() -> Result<Option<(Version, PathBuf)>> {
    let ourselves = Process::myself()?;
    let (ours, mounts) = (ourselves.cgroups()?, ourselves.mountinfo()?);
    let is_one = |mount: &&MountInfo| mount.fs_type == "cgroup" && mount.super_options.contains_key("memory");
    let (version, mount) = match mounts.iter().find(is_one) {
        Some(mount) => (Version::One, mount),
        None => match mounts.iter().find(|mount| mount.fs_type == "cgroup2") {
            Some(mount) => (Version::Two, mount),
            None => return Ok(None),
        },
    };
    let is_ours = |controllers: &[String]| match version {
        Version::One => controllers.iter().any(|name| name == "memory"),
        Version::Two => controllers.is_empty(),
    };
    let own = ours.0.iter().find(|group| is_ours(&group.controllers)).map(|group| group.pathname.as_str());
    let own = Path::new(own.unwrap_or("/")).strip_prefix(&mount.root).unwrap_or(Path::new(""));
    let mut above: Vec<_> = own.ancestors().map(|part| mount.mount_point.join(part)).collect();
    above.reverse();
    Ok(above.into_iter().find(|group| version.lets_make_in(group)).map(|group| (version, group)))
}

impl Version {
    fn name(self) -> &'static str {
        if self == Self::One { "v1" } else { "v2" }
    }

    /// Whether a group that is made there has a memory controller. With version 2 a group has what the one
    /// above it hands down, and what that is we leave as it is.
    fn lets_make_in(self, group: &Path) -> bool {
        let handed_down = || fs::read_to_string(group.join("cgroup.subtree_control")).unwrap_or_default();
        access(group, Access::WRITE_OK).is_ok()
            && (self == Self::One || handed_down().split_whitespace().any(|name| name == "memory"))
    }
}

// ANCHOR: group
/// One group.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    version: Version,
    folder: PathBuf,
}

impl Group {
    /// Moves a process into it, with nothing that it has been charged for so far.
    pub(crate) fn takes(&self, pid: u32) -> Result<()> {
        set(&self.folder.join("cgroup.procs"), &pid.to_string())
    }

    /// The shared memory that is charged to it, in bytes.
    pub(crate) fn charged(&self) -> Result<u64> {
        number(&self.folder.join("memory.stat"), "shmem")
    }

    /// All that its limit counts, in bytes: the processes themselves as well. Exact at any time.
    pub(crate) fn uses(&self) -> Result<u64> {
        let file = if self.version == Version::One { "memory.usage_in_bytes" } else { "memory.current" };
        let file = self.folder.join(file);
        Ok(fs::read_to_string(&file)
            .map_err(|error| format!("{}: {error}", file.display()))?
            .trim()
            .parse()?)
    }

    /// Sets its limit, and shuts the way out: what is swapped is no longer charged as memory.
    pub(crate) fn limit(&self, bytes: u64) -> Result<()> {
        let bytes = bytes.to_string();
        // The first must be there. The others are where the kernel can swap, or can leave the killing to us.
        let files: &[(&str, &str)] = match self.version {
            Version::One => &[
                ("memory.limit_in_bytes", &bytes),
                ("memory.memsw.limit_in_bytes", &bytes),
                ("memory.swappiness", "0"),
                ("memory.oom_control", "0"),
            ],
            Version::Two => &[("memory.max", &bytes), ("memory.swap.max", "0")],
        };
        for (number, (file, value)) in files.iter().enumerate() {
            let file = self.folder.join(file);
            if number == 0 || file.exists() {
                set(&file, value)?;
            }
        }
        Ok(())
    }

    /// How many processes the kernel has killed in it for want of memory.
    pub(crate) fn kills(&self) -> Result<u64> {
        let file = if self.version == Version::One { "memory.oom_control" } else { "memory.events" };
        number(&self.folder.join(file), "oom_kill")
    }

    /// Whether it is still there.
    pub(crate) fn exists(&self) -> bool {
        self.folder.exists()
    }

    /// Removes it: nobody is in it any more.
    pub(crate) fn remove(&self) -> Result<()> {
        remove(&self.folder)
    }
}
// ANCHOR_END: group

/// `name 123` in a file of many such lines.
fn number(file: &Path, name: &str) -> Result<u64> {
    let text = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
    value.ok_or_else(|| format!("{} says nothing of {name}", file.display()).into())
}

fn set(file: &Path, value: &str) -> Result<()> {
    fs::write(file, value).map_err(|error| format!("write({}, {value}): {error}", file.display()).into())
}

/// `rmdir`. A process that has just ended can be in the way for a moment.
fn remove(folder: &Path) -> Result<()> {
    for _ in 0..2000 {
        match fs::remove_dir(folder) {
            Err(error) if error.raw_os_error() == Some(Errno::EBUSY as i32) => {
                thread::sleep(Duration::from_millis(1));
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(format!("rmdir({}): {error}", folder.display()).into());
            }
            _ => return Ok(()),
        }
    }
    Err(format!("rmdir({}): EBUSY, and it does not end", folder.display()).into())
}

// ANCHOR: caretaker
/// The role of the caretaker: makes the groups, says so, and removes them when nobody needs them any more.
pub(crate) fn caretaker(mut arguments: impl Iterator<Item = String>) -> Result<()> {
    setsid()?;
    let folder = PathBuf::from(arguments.next().ok_or("which folder?")?);
    let version = if arguments.next().as_deref() == Some("v1") { Version::One } else { Version::Two };
    let names: Vec<_> = arguments.collect();
    if let Err(error) = fs::create_dir(&folder) {
        drop(writeln!(io::stdout(), "mkdir({}): {error}", folder.display()));
        return Ok(()); // what is there under this name is not ours to remove
    }
    let made = prepare(version, &folder, &names);
    // That nobody listens any more is no reason to leave.
    drop(writeln!(io::stdout(), "{}", made.map_or_else(|error| error.to_string(), |()| "made".into())));
    io::stdin().read_to_end(&mut Vec::new())?;
    clear(&folder)
}

/// Makes the groups below, which count to the one above.
fn prepare(version: Version, folder: &Path, names: &[String]) -> Result<()> {
    match version {
        Version::Two => set(&folder.join("cgroup.subtree_control"), "+memory")?,
        // Before Linux 5.11 it had to be told to count them.
        Version::One => {
            let file = folder.join("memory.use_hierarchy");
            if file.exists() {
                set(&file, "1")?;
            }
        }
    }
    names.iter().try_for_each(|name| Ok(fs::create_dir(folder.join(name))?))
}

/// Ends and removes all that is left.
fn clear(folder: &Path) -> Result<()> {
    // What is not a folder is the kernel's and goes with its group; a group that is gone has no entries.
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            empty(&entry.path())?;
            remove(&entry.path())?;
        }
    }
    remove(folder)
}

/// Kills whoever is left in a group, until nobody is.
fn empty(group: &Path) -> Result<()> {
    loop {
        let inside = match fs::read_to_string(group.join("cgroup.procs")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            inside => inside?,
        };
        let pids: Vec<_> = inside.lines().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)).collect();
        if pids.is_empty() {
            return Ok(());
        }
        for pid in pids {
            // It may have ended by itself.
            let _ = kill_process(pid, Signal::KILL);
        }
        // They stand in the list until they have ended; nothing tells of that but the list.
        thread::sleep(Duration::from_millis(1));
    }
}
// ANCHOR_END: caretaker
