//! The memory that commands and returns point into.

use alloc::borrow::Cow;
use alloc::vec::Vec;

/// The memory of a process, as far as it can be read.
pub trait Memory {
    /// The bytes at `address`: `len` of them, or as many as can be read from there.
    fn read(&self, address: u64, len: u64) -> Cow<'_, [u8]>;
}

/// Memory of the process that speaks, in which its commands find their payload.
pub trait Arena {
    /// Puts `bytes` somewhere, and says where.
    fn put(&mut self, bytes: &[u8]) -> u64;
}

/// Memory that is a list of blocks, far apart: nothing can be read behind the end of one.
#[derive(Debug, Clone, Default)]
pub struct Blocks(Vec<(u64, Vec<u8>)>);

impl Blocks {
    /// How far apart two blocks begin.
    const GAP: u64 = 1 << 32;

    /// The same with one more block, at an address of one's own choice.
    #[must_use]
    pub fn with(mut self, address: u64, bytes: &[u8]) -> Blocks {
        self.0.push((address, bytes.to_vec()));
        self
    }
}

impl Arena for Blocks {
    fn put(&mut self, bytes: &[u8]) -> u64 {
        let address = Blocks::GAP * (self.0.len() as u64 + 1);
        self.0.push((address, bytes.to_vec()));
        address
    }
}

impl Memory for Blocks {
    fn read(&self, address: u64, len: u64) -> Cow<'_, [u8]> {
        let behind = self.0.iter().filter_map(|(start, bytes)| {
            let offset = usize::try_from(address.checked_sub(*start)?).ok()?;
            bytes.get(offset..)
        });
        let bytes = behind.max_by_key(|bytes| bytes.len()).unwrap_or(&[]);
        Cow::Borrowed(&bytes[..usize::try_from(len).map_or(bytes.len(), |len| len.min(bytes.len()))])
    }
}
