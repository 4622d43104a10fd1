//! Solution: who pays for it?

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
    // A page that exists has a payer, and whoever comes later finds the page there.
    let mut payers = Vec::<Option<usize>>::new();
    for event in events.iter().cloned() {
        match event {
            Event::Make { pages, .. } => payers.resize(pages, None),
            Event::Touch { group, pages } => payers[pages].iter_mut().for_each(|payer| {
                payer.get_or_insert(group);
            }),
            Event::End => {}
            Event::Punch { pages } => payers[pages].fill(None),
        }
    }
    (0..groups).map(|group| payers.iter().filter(|payer| **payer == Some(group)).count()).collect()
}
