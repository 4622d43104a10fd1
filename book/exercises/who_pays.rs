//! Exercise: who pays for it?

use std::ops::Range;

/// What happens to one memory.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    /// A process of this group makes the memory, with so many pages, and maps all of it.
    Make { group: usize, pages: usize },
    /// A process of this group loads from these pages, or stores to them.
    Touch { group: usize, pages: Range<usize> },
    /// A process ends, and was the last of its group. Others still have the memory.
    End,
    /// These pages are given back: a hole is punched, as a purge does.
    Punch { pages: Range<usize> },
}

/// How many pages are charged to each group after all of it, in the order of the groups' numbers.
pub(crate) fn who_pays(groups: usize, events: &[Event]) -> Vec<usize> {
    // HOLE: this is what one can read, "only the process that created it". Take this line out.
    let mut charged = vec![0; groups];
    for event in events {
        if let Event::Make { group, pages } = event {
            charged[*group] += pages;
        }
    }
    charged
}
