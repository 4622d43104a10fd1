//! Solution: in whose turn?

use std::collections::VecDeque;

/// One-way messages are sent, each to the node with this number, all of them before the first is read. Then one thread
/// reads them and gives each buffer back before it reads the next. In which order does it read them? The answer names
/// them by their places in `nodes`.
pub(crate) fn order(nodes: &[usize]) -> Vec<usize> {
    let is_first = |&at: &usize| !nodes[..at].contains(&nodes[at]);
    // The first of each node goes to the process; the others wait at their node.
    let mut todo: VecDeque<usize> = (0..nodes.len()).filter(is_first).collect();
    let mut read = Vec::new();
    while let Some(at) = todo.pop_front() {
        read.push(at);
        // Giving the buffer back releases the node's next, to the end of the process's list.
        todo.extend((at + 1..nodes.len()).find(|&later| nodes[later] == nodes[at]));
    }
    read
}
