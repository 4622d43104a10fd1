//! Where a run happened: figures without their machine mean nothing.

use std::fs;

use serde::{Deserialize, Serialize};

use crate::place::Place;

/// The machine and the conditions of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    /// Name, release and version, as `uname -srv` has them.
    pub kernel: String,
    /// The instruction set.
    pub architecture: String,
    /// The processor's name.
    pub cpu: String,
    /// CPUs that this process may run on.
    pub cpus: usize,
    /// Whether the processor says that it runs under a hypervisor: page faults and wake-ups cost more there.
    pub virtual_machine: bool,
    /// Bytes in a page.
    pub page_size: usize,
    /// Whether each of the two processes had a CPU of its own.
    pub pinned: bool,
    /// Whether the run had an IPC namespace of its own; without one nothing is measured by key.
    pub private_ipc: bool,
    /// `/sys/kernel/mm/transparent_hugepage/enabled`, for private memory: the word in brackets.
    pub thp: String,
    /// `/sys/kernel/mm/transparent_hugepage/shmem_enabled`: the word in brackets.
    pub thp_shmem: String,
    /// Huge pages that are set aside and free.
    pub free_huge_pages: String,
    /// The governor of the first CPU's frequency, where the machine has one to show.
    pub governor: String,
    /// What the hypervisor calls itself, where it does.
    pub hypervisor: String,
    /// The load of the last minute when the run began: above 0.5 somebody else was at work.
    pub load: String,
}

impl Environment {
    /// Looks round.
    pub fn look(place: Place) -> Self {
        let uname = rustix::system::uname();
        let word = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
        let cpuinfo = read("/proc/cpuinfo");
        Self {
            kernel: format!("{} {} {}", word(uname.sysname()), word(uname.release()), word(uname.version())),
            architecture: word(uname.machine()),
            cpu: field(&cpuinfo, "model name").unwrap_or("unknown").to_owned(),
            cpus: place.cpus,
            virtual_machine: field(&cpuinfo, "flags").is_some_and(|flags| has_word(flags, "hypervisor")),
            page_size: rustix::param::page_size(),
            pinned: place.pinned(),
            private_ipc: place.private_ipc,
            thp: chosen(&read("/sys/kernel/mm/transparent_hugepage/enabled")),
            free_huge_pages: line("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages"),
            governor: line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
            hypervisor: line("/sys/hypervisor/type"),
            thp_shmem: chosen(&read("/sys/kernel/mm/transparent_hugepage/shmem_enabled")),
            load: read("/proc/loadavg").split(' ').next().unwrap_or_default().to_owned(),
        }
    }
}

/// A file's text; nothing where it cannot be read, since no figure hangs on it.
fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// A file of one line; "unknown" where there is none.
fn line(path: &str) -> String {
    let text = read(path);
    let text = text.trim();
    if text.is_empty() { "unknown".to_owned() } else { text.to_owned() }
}

/// The value of the first `name : value` line.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim())
    })
}

fn has_word(text: &str, word: &str) -> bool {
    text.split_whitespace().any(|each| each == word)
}

/// The word in brackets.
pub(crate) fn chosen(text: &str) -> String {
    let inside = text.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
    inside.map_or("unknown", |(word, _)| word).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_files_are_read_as_they_are_written() {
        assert_eq!(chosen("always within_size advise [never] deny force\n"), "never");
        assert_eq!(chosen(""), "unknown");
        let cpuinfo = "processor\t: 0\nmodel name\t: A Processor: Two\nflags\t\t: fpu hypervisor\n";
        assert_eq!(field(cpuinfo, "model name"), Some("A Processor: Two"));
        assert!(has_word(field(cpuinfo, "flags").unwrap_or_default(), "hypervisor"));
        assert_eq!(field(cpuinfo, "bogomips"), None);
    }
}
