//! From processes to regions: what is one memory, and who has it.

use std::collections::BTreeMap;
use std::ffi::OsString;

use fd_shm::same_open_file;

use super::devices::Devices;
use super::facts::{self, Facts};
use super::maps::{Device, Mapping};
use super::process::{Descriptor, Process};

/// What kind of memory a region is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// A segment.
    SystemV,
    /// A file that `memfd_create` made.
    Memfd,
    /// A region of ashmem's driver.
    Ashmem,
    /// `mmap(MAP_SHARED | MAP_ANONYMOUS)`, which a child of `fork` inherits.
    Anonymous,
    /// A file in `/dev/shm`, where `shm_open` makes them.
    Posix,
    /// A file of some tmpfs that has no name any more.
    Unlinked,
    /// Any other file that is mapped shared.
    File,
}

// ANCHOR: kind
impl Kind {
    /// The kind of what has this name on this device; nothing when it is not memory that processes
    /// share.
    ///
    /// What drivers let a process map (a graphics card, io_uring, perf) is left out: one inode often
    /// stands for all objects of a driver, so that nothing could be said of who shares what.
    pub(crate) fn of(name: &[u8], device: Device, devices: &Devices) -> Option<Self> {
        let is = |prefix: &[u8]| name.starts_with(prefix);
        if devices.are_of(device) {
            return match name {
                _ if is(b"/SYSV") => Some(Self::SystemV),
                _ if is(b"/memfd:") => Some(Self::Memfd),
                _ if is(b"/dev/ashmem") => Some(Self::Ashmem),
                _ if is(b"/dev/zero") || is(b"/anon_hugepage") || is(b"[anon_shmem:") => {
                    Some(Self::Anonymous)
                }
                _ => None,
            };
        }
        match name {
            _ if is(b"/dev/shm/") => Some(Self::Posix),
            _ if is(b"/dev/") && !is(b"/dev/hugepages/") => None,
            _ => is(b"/").then_some(Self::File),
        }
    }
}
// ANCHOR_END: kind

/// What is equal for two holders of one memory: device and inode, and of a segment the IPC namespace as well.
///
/// A segment's inode is its id, and every namespace counts its ids from the beginning, on the one device that
/// all have. The namespace is the one that the holder is in *now*: who attaches, and then moves to another, is
/// taken for somebody of that one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Identity {
    pub(crate) kind: Kind,
    pub(crate) device: Device,
    pub(crate) inode: u64,
    pub(crate) namespace: Option<OsString>,
}

/// A mapping of a region.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mapped<'a> {
    pub(crate) by: &'a Process,
    pub(crate) mapping: &'a Mapping,
}

/// A descriptor of a region.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Open<'a> {
    pub(crate) by: &'a Process,
    pub(crate) descriptor: &'a Descriptor,
    /// Which of the region's open files it is, counted from 0; nothing when kcmp is refused.
    pub(crate) file: Option<usize>,
}

/// One memory, and all that is known of it.
#[derive(Debug)]
pub(crate) struct Region<'a> {
    pub(crate) identity: Identity,
    /// Its name as the kernel shows it.
    pub(crate) name: &'a [u8],
    pub(crate) mapped: Vec<Mapped<'a>>,
    pub(crate) open: Vec<Open<'a>>,
    pub(crate) facts: Facts,
}

// ANCHOR: regions
/// The regions that these processes have, each once, with all who have it.
pub(crate) fn regions<'a>(processes: &'a [Process], devices: &Devices) -> Vec<Region<'a>> {
    let mut found = BTreeMap::new();
    for process in processes {
        add_mappings(&mut found, process, devices);
    }
    for process in processes {
        add_descriptors(&mut found, process, devices);
    }
    let mut regions: Vec<_> = found.into_values().collect();
    // Inodes come from a pool for each processor, so that their order says nothing.
    regions.sort_by_key(|region| (region.identity.kind, region.name));
    regions.iter_mut().for_each(Region::complete);
    regions
}

fn add_mappings<'a>(found: &mut BTreeMap<Identity, Region<'a>>, by: &'a Process, devices: &Devices) {
    for mapping in &by.mappings {
        let Mapping { device, inode, ref name, .. } = *mapping;
        let Some(kind) = Kind::of(name, device, devices) else { continue };
        let namespace = by.namespace.clone().filter(|_| kind == Kind::SystemV);
        let identity = Identity { kind, device, inode, namespace };
        let region = found.entry(identity).or_insert_with_key(|identity| Region::new(identity, name));
        region.mapped.push(Mapped { by, mapping });
    }
}

fn add_descriptors<'a>(found: &mut BTreeMap<Identity, Region<'a>>, by: &'a Process, devices: &Devices) {
    for descriptor in &by.descriptors {
        let Descriptor { device, inode, is_unlinked, ref link, .. } = *descriptor;
        let Some(kind) = Kind::of(link, device, devices) else { continue };
        let mut identity = Identity { kind, device, inode, namespace: None };
        if kind == Kind::File && is_unlinked {
            // A mapping of it looked like one of any file; a descriptor tells more.
            let mapped = found.remove(&identity);
            identity.kind = Kind::Unlinked;
            if let Some(region) = mapped {
                found.insert(identity.clone(), Region { identity: identity.clone(), ..region });
            }
        } else if kind == Kind::File && !found.contains_key(&identity) {
            continue; // nobody shares memory by it
        }
        let region = found.entry(identity).or_insert_with_key(|identity| Region::new(identity, link));
        region.name = link; // exact, where maps has to write \012
        region.open.push(Open { by, descriptor, file: None });
    }
}
// ANCHOR_END: regions

impl<'a> Region<'a> {
    fn new(identity: &Identity, name: &'a [u8]) -> Self {
        let (mapped, open, facts) = (Vec::new(), Vec::new(), Facts::default());
        Self { identity: identity.clone(), name, mapped, open, facts }
    }

    /// Asks what only the kernel knows: which descriptors are one open file, and what is told of the
    /// memory.
    fn complete(&mut self) {
        self.compare();
        self.facts = facts::of(self);
    }

    // ANCHOR: compare
    /// Numbers the open files: a descriptor has the number of the first that kcmp says is the same.
    fn compare(&mut self) {
        let mut first: Vec<(u32, i32)> = Vec::new();
        for open in &mut self.open {
            let this = (open.by.pid, open.descriptor.number);
            let known = first.iter().position(|one| same_open_file(*one, this).is_ok_and(|same| same));
            open.file = known.or_else(|| {
                // The same question about one descriptor tells whether it may be asked at all.
                same_open_file(this, this).ok()?;
                first.push(this);
                Some(first.len() - 1)
            });
        }
    }
    // ANCHOR_END: compare
}
