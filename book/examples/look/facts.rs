//! What the kernel tells of a region beside who has it: its size, what is in memory, its seals, its
//! segment.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;

use fd_shm::Seals;
use fd_shm::handover::procfs;
use sysv_shm::{SegmentStat, segments};

use super::maps::Device;
use super::regions::{Identity, Kind, Mapped, Region};

/// What is told of a region, as far as we may ask.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    /// Its size in bytes.
    pub(crate) size: Option<u64>,
    /// How many of them are in memory, whoever has touched them.
    pub(crate) resident: Option<u64>,
    /// How many directories have it under a name.
    pub(crate) links: Option<u64>,
    /// What can never be done to it again.
    pub(crate) seals: Option<Seals>,
    /// Its entry in the table of our IPC namespace.
    pub(crate) segment: Option<SegmentStat>,
}

// ANCHOR: facts
/// Asks the table for a segment, and the file itself for anything else.
pub(crate) fn of(region: &Region<'_>) -> Facts {
    if region.identity.kind == Kind::SystemV {
        return of_segment(&region.identity).unwrap_or_default();
    }
    let told = |file: &Metadata| {
        (Device::of(file.dev()), file.ino()) == (region.identity.device, region.identity.inode)
    };
    let descriptors =
        region.open.iter().map(|open| format!("/proc/{}/fd/{}", open.by.pid, open.descriptor.number));
    let mappings = region.mapped.iter().map(map_file);
    // A number may stand for another file by now.
    let Some(file) = descriptors.chain(mappings).filter_map(|path| fs::metadata(path).ok()).find(told) else {
        return Facts::default();
    };
    let seals = open(region).filter(|file| file.metadata().is_ok_and(|file| told(&file)));
    Facts {
        size: Some(file.size()),
        resident: Some(file.blocks() * 512),
        links: Some(file.nlink()),
        seals: seals.and_then(|file| Seals::of(&file).ok()),
        segment: None,
    }
}

/// A memfd, opened once more and for reading: only an open file can be asked for seals.
fn open(region: &Region<'_>) -> Option<File> {
    if region.identity.kind != Kind::Memfd {
        return None;
    }
    let by_number = region.open.iter().find_map(|open| {
        let opened =
            procfs::Process::open(open.by.pid).and_then(|it| it.pull_read_only(open.descriptor.number));
        opened.ok().map(File::from)
    });
    by_number.or_else(|| region.mapped.iter().find_map(|mapped| File::open(map_file(mapped)).ok()))
}

/// The way to the file of a mapping, for whoever has CAP_CHECKPOINT_RESTORE.
fn map_file(mapped: &Mapped<'_>) -> String {
    format!("/proc/{}/map_files/{:x}-{:x}", mapped.by.pid, mapped.mapping.start, mapped.mapping.end)
}
// ANCHOR_END: facts

// ANCHOR: segment
/// The table has more than anybody's mappings, and only that of our own namespace can be read.
fn of_segment(identity: &Identity) -> Option<Facts> {
    let ours = fs::read_link("/proc/thread-self/ns/ipc").ok().map(std::path::PathBuf::into_os_string);
    if identity.namespace != ours {
        return None;
    }
    let listed = segments().ok()?;
    let segment = listed.into_iter().find(|segment| segment.id.number().try_into() == Ok(identity.inode))?;
    let resident = resident().ok()?.into_iter().find(|&(id, _)| id.try_into() == Ok(identity.inode));
    let resident = resident.map(|(_, bytes)| bytes);
    Some(Facts {
        size: u64::try_from(segment.size).ok(),
        resident,
        segment: Some(segment),
        ..Facts::default()
    })
}

/// The ids in `/proc/sysvipc/shm` and their last column but one, which no call tells: bytes in memory.
pub(crate) fn resident() -> io::Result<Vec<(i32, u64)>> {
    let text = fs::read_to_string("/proc/sysvipc/shm")?;
    let columns = text.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    Ok(columns.filter_map(|line| Some((line.get(1)?.parse().ok()?, line.get(14)?.parse().ok()?))).collect())
}
// ANCHOR_END: segment
