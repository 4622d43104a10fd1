//! The main thread's stack, which grows down into whatever lies under it.

use std::fs;

use crate::{smaps, sys};

/// How many pages the kernel keeps free under a stack (`stack_guard_gap` in its `mm/mmap.c`): it puts nothing
/// nearer by itself, and lets no stack grow nearer to what is there. `shmat` at a given address does not look.
const GUARD_GAP: usize = 256;

/// Why a segment is not attached right under the stack.
pub(crate) const WHY_NOT: &str = "it would end right under the main thread's stack (or /proc/self/maps cannot be read, \
                                  which tells): the stack would grow into it";

/// Whether a stack could come to lie in `len` bytes that are mapped at `start`, or at the beginning of its page.
///
/// The stacks of other threads have a length and a guard of their own, so that nothing gets between.
pub(crate) fn could_grow_into(start: usize, len: usize) -> bool {
    let Ok(text) = fs::read("/proc/self/maps") else { return true };
    let text = String::from_utf8_lossy(&text);
    let page = sys::page_size();
    let end = (start / page).saturating_add(len.div_ceil(page)).saturating_mul(page);
    let near = end as u64..end.saturating_add(GUARD_GAP * page) as u64;
    smaps::mappings(&text).any(|mapping| mapping.path == "[stack]" && near.contains(&mapping.start))
}
