//! Android's `MemoryFile` (API 1): a region with read and write calls, which may be purged between any two.

use std::io::{self, Read, Seek, SeekFrom, Write};

use super::region::Region;
use crate::error::{Error, Kind, Result};
use crate::mapping::Mapping;

/// `android.os.MemoryFile`, with the contract that Java's class has.
///
/// The oldest of the interfaces over ashmem, and the only one of Java's with purging. While it is allowed,
/// all of the file is unpinned between two accesses, and each access pins it, does its work and unpins it
/// again. One that finds the file purged fails, *and leaves it pinned*: so the exception comes once, and the
/// next access succeeds, and reads zeros.
///
/// What is an exception there is an [`Error`] here. `close` is dropping, and a use after it does
/// not compile. As in Java, where the method is hidden, nobody gets the descriptor: what is to be
/// handed over is a [`SharedMemory`](super::SharedMemory). Only a [`Shrinker`](super::Shrinker) is
/// let in, in the system's place.
///
/// # Examples
///
/// ```
/// use fd_shm::ashmem::{MemoryFile, Shrinker};
///
/// let mut file = MemoryFile::new("thumbnails", 100)?;
/// file.write_bytes(b"pixels", 0, 0, 6)?;
/// file.allow_purging(true)?;
/// let mut system = Shrinker::new();
/// system.add_file(&file)?;
/// system.purge_all(); // memory is short
///
/// let mut pixels = [1; 6];
/// assert!(file.read_bytes(&mut pixels, 0, 0, 6).is_err_and(|refused| refused.is_purged()));
/// assert_eq!(file.read_bytes(&mut pixels, 0, 0, 6)?, 6);
/// assert_eq!(pixels, [0; 6]);
/// # Ok::<(), fd_shm::Error>(())
/// ```
///
/// # References
///
/// `frameworks/base/core/java/android/os/MemoryFile.java`.
#[derive(Debug)]
pub struct MemoryFile {
    /// What it is made of.
    region: Region,
    /// All of it, until it is deactivated.
    mapping: Option<Mapping>,
    /// Unpinned between two accesses.
    purging: bool,
}

impl MemoryFile {
    /// A new file of `length` zero bytes, mapped at once, not purgeable yet.
    ///
    /// # Errors
    ///
    /// [`is_invalid_input`](Error::is_invalid_input) for a length of 0, or beyond Java's `int`; those of
    /// [`Region::create_purgeable`], and of mapping.
    pub fn new(name: &str, length: usize) -> Result<Self> {
        if i32::try_from(length).is_err() {
            let call = format!("MemoryFile::new(\"{}\", {length})", name.escape_default());
            return Err(Error::refused(call, Kind::InvalidInput, "a length is Java's int: below 2 GiB"));
        }
        let region = Region::create_purgeable(name, length)?;
        let mapping = Some(region.map()?);
        Ok(Self { region, mapping, purging: false })
    }

    /// The number of bytes; still there when it is deactivated.
    pub fn length(&self) -> usize {
        self.region.len()
    }

    /// What it is made of, which only a shrinker gets to see.
    pub(super) const fn region(&self) -> &Region {
        &self.region
    }

    /// Whether it may be purged between two accesses.
    pub fn is_purging_allowed(&self) -> bool {
        self.purging
    }

    /// Unpins all of it, or pins all of it: whether purging was allowed before.
    ///
    /// Pinning, it does not say whether the file was purged meanwhile. Neither does Java's.
    ///
    /// # Errors
    ///
    /// Those of [`Region::pin`].
    pub fn allow_purging(&mut self, allow: bool) -> Result<bool> {
        if allow != self.purging {
            if allow {
                self.region.unpin(0, 0)?;
            } else {
                let _ = self.region.pin(0, 0)?;
            }
        }
        Ok(std::mem::replace(&mut self.purging, allow))
    }

    /// Unmaps it. The region lives on with its descriptor, and accesses fail.
    pub fn deactivate(&mut self) {
        self.mapping = None;
    }

    /// Copies `count` bytes from `src_offset` of the file to `dst_offset` of `buffer`: how many.
    ///
    /// # Errors
    ///
    /// In this order:
    /// * [`is_deactivated`](Error::is_deactivated) after [`deactivate`](Self::deactivate);
    /// * [`is_purged`](Error::is_purged), once after each purge;
    /// * [`is_out_of_bounds`](Error::is_out_of_bounds) when file or buffer has no such range.
    pub fn read_bytes(
        &self,
        buffer: &mut [u8],
        src_offset: usize,
        dst_offset: usize,
        count: usize,
    ) -> Result<usize> {
        let call = || format!("MemoryFile::read_bytes({src_offset}, {dst_offset}, {count})");
        self.access(&call, |mapping| {
            part(&call, "file", src_offset, count, mapping.len())?;
            let into = part(&call, "buffer", dst_offset, count, buffer.len())?;
            mapping.copy_out(src_offset, &mut buffer[into])?;
            Ok(count)
        })
    }

    /// Copies `count` bytes from `src_offset` of `buffer` to `dst_offset` of the file.
    ///
    /// # Errors
    ///
    /// Those of [`read_bytes`](Self::read_bytes).
    pub fn write_bytes(
        &self,
        buffer: &[u8],
        src_offset: usize,
        dst_offset: usize,
        count: usize,
    ) -> Result<()> {
        let call = || format!("MemoryFile::write_bytes({src_offset}, {dst_offset}, {count})");
        self.access(&call, |mapping| {
            part(&call, "file", dst_offset, count, mapping.len())?;
            let from = part(&call, "buffer", src_offset, count, buffer.len())?;
            mapping.copy_in(dst_offset, &buffer[from])
        })
    }

    /// Reads and writes from the beginning on, moving forward. `mark`, `reset` and `skip` are `seek`.
    ///
    /// Two of Java's oddities are left out: its `read()` of one byte is signed, so that 0xff looks like the
    /// end, and its output stream once wrote everything at 0.
    #[doc(alias = "getInputStream")]
    #[doc(alias = "getOutputStream")]
    pub fn stream(&self) -> MemoryStream<'_> {
        MemoryStream { file: self, position: 0 }
    }

    /// One access: with all of the file pinned, if it may be purged else.
    fn access<R>(&self, call: &dyn Fn() -> String, work: impl FnOnce(&Mapping) -> Result<R>) -> Result<R> {
        let refused = |kind, text| Err(Error::refused(call(), kind, text));
        let Some(mapping) = &self.mapping else {
            return refused(Kind::Deactivated, "the file was deactivated");
        };
        if !self.purging {
            return work(mapping);
        }
        if self.region.pin(0, 0)?.was_purged() {
            // As Java's: what follows is skipped, and so the file stays pinned until the next access is over.
            return refused(Kind::Purged, "the file was purged: what it held is gone");
        }
        let done = work(mapping);
        self.region.unpin(0, 0)?;
        done
    }
}

/// The range of `count` bytes at `offset`, in the `len` bytes of file or buffer.
fn part(
    call: &dyn Fn() -> String,
    of: &str,
    offset: usize,
    count: usize,
    len: usize,
) -> Result<std::ops::Range<usize>> {
    match offset.checked_add(count) {
        Some(end) if end <= len => Ok(offset..end),
        _ => {
            let text = format!("the {of} has {len} bytes, and no {count} at {offset}");
            Err(Error::refused(call(), Kind::OutOfBounds, text))
        }
    }
}

/// A place in a [`MemoryFile`], from which it is read and written.
///
/// At the end nothing is read, and nothing is written: `write_all` fails there, as Java's stream does.
///
/// # Examples
///
/// ```
/// use std::io::{Read, Seek, SeekFrom, Write};
///
/// use fd_shm::ashmem::MemoryFile;
///
/// let file = MemoryFile::new("stream", 11)?;
/// let mut stream = file.stream();
/// stream.write_all(b"hello world")?;
/// assert!(stream.write_all(b"!").is_err());
/// stream.seek(SeekFrom::Start(6))?;
/// let mut rest = String::new();
/// stream.read_to_string(&mut rest)?;
/// assert_eq!(rest, "world");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct MemoryStream<'a> {
    /// The file.
    file: &'a MemoryFile,
    /// Where it goes on; may be behind the end.
    position: u64,
}

impl MemoryStream<'_> {
    /// Where it is in the file, and how much of `wanted` is left there.
    fn left(&self, wanted: usize) -> (usize, usize) {
        let at = usize::try_from(self.position).unwrap_or(usize::MAX).min(self.file.length());
        (at, wanted.min(self.file.length() - at))
    }
}

impl Read for MemoryStream<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (at, count) = self.left(buffer.len());
        if count > 0 {
            self.file.read_bytes(buffer, at, 0, count)?;
            self.position += count as u64;
        }
        Ok(count)
    }
}

impl Write for MemoryStream<'_> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let (at, count) = self.left(buffer.len());
        if count > 0 {
            self.file.write_bytes(buffer, 0, at, count)?;
            self.position += count as u64;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for MemoryStream<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let (from, offset) = match to {
            SeekFrom::Start(position) => (position, 0),
            SeekFrom::Current(offset) => (self.position, offset),
            SeekFrom::End(offset) => (self.file.length() as u64, offset),
        };
        let position = from.checked_add_signed(offset);
        self.position = position.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.position)
    }
}
