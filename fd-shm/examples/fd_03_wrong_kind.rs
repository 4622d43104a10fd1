//! What a receiver may be given in place of a region: `mmap` takes much of it, a region is made of none.
//!
//! Run it: `cargo run --example fd_03_wrong_kind`
//!
//! What to look for: the second column. Success there says nothing: /dev/zero maps as new memory that nobody
//! shares, a file on disk can be cut by whoever may write to it, and a read-only look is all that a plain
//! receiver would need to be fooled.

use std::error::Error;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;

use fd_shm::{FixedFd, Memfd, Seals, scm_rights};
use memmap2::MmapOptions;
use rustix::fs::OFlags;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

// ANCHOR: kinds
/// What comes out of the socket, one after the other.
fn kinds() -> Result<Vec<(&'static str, OwnedFd)>> {
    let sealed = memfd(4096, Seals::SHRINK)?;
    let again = |how: &mut std::fs::OpenOptions| how.open(format!("/proc/self/fd/{}", sealed.as_raw_fd()));
    let path_only = again(File::options().read(true).custom_flags(OFlags::PATH.bits().cast_signed()))?;
    let write_only = again(File::options().write(true))?;
    Ok(vec![
        ("pipe", std::io::pipe()?.0.into()),
        ("socket", UnixStream::pair()?.0.into()),
        ("directory", File::open("/")?.into()),
        ("/dev/zero", File::open("/dev/zero")?.into()),
        ("ordinary file", File::open("/proc/self/exe")?.into()),
        ("memfd without a seal", memfd(4096, Seals::NONE)?),
        ("sealed, of size 0", memfd(0, Seals::SHRINK)?),
        ("sealed, O_PATH", path_only.into()),
        ("sealed, write-only", write_only.into()),
        ("sealed", sealed),
    ])
}
// ANCHOR_END: kinds

/// A memory file with these seals.
fn memfd(len: u64, seals: Seals) -> Result<OwnedFd> {
    let memfd = Memfd::create("kind")?;
    memfd.set_len(len)?;
    memfd.add_seals(seals)?;
    Ok(memfd.into())
}

// ANCHOR: mmap_says
/// What `mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0)` says to it.
fn mmap_says(fd: &OwnedFd) -> String {
    match MmapOptions::new().len(4096).map_raw_read_only(fd) {
        Ok(_) => "mapped".into(),
        Err(error) => error.raw_os_error().map_or(error.to_string(), name),
    }
}
// ANCHOR_END: mmap_says

/// An errno by its name.
fn name(errno: i32) -> String {
    format!("{:?}", nix::errno::Errno::from_raw(errno))
}

fn main() -> Result<()> {
    let (peer, us) = UnixStream::pair()?;
    println!("what came              mmap      a region?");
    for (kind, fd) in kinds()? {
        scm_rights::send(&peer, &[0], &[fd.as_fd()])?;
        drop(fd);
        let [came] = scm_rights::receive(&us, &mut [0], 1)?.into_exactly()?;
        let mapped = mmap_says(&came);
        let verdict = match FixedFd::new(came) {
            Ok(region) => format!("yes, of {} bytes for ever", region.len()),
            // Behind the call, which names a number, is the reason.
            Err(refused) => {
                refused.to_string().split_once(": ").map_or(String::new(), |(_, why)| why.to_owned())
            }
        };
        println!("{kind:21}  {mapped:8}  {verdict}");
    }
    Ok(())
}
