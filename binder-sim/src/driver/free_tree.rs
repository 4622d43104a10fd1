//! The free blocks of a mapping by their size, in the kernel's own tree (`alloc->free_buffers`, `lib/rbtree.c`).
//!
//! Of several blocks that have exactly the size asked for, a search takes the first that it meets, which is the one
//! nearest to the root. Whoever receives sees it in the address of his buffer. So what stands here is no sorted set
//! but the textbook's red-black tree, in which blocks of one size stand in the order in which they were freed, and
//! every rotation is one that the kernel makes as well.

use alloc::vec::Vec;

/// No block: above the root, or below a leaf.
const NONE: u32 = u32::MAX;

/// The side of the smaller ones.
const LEFT: usize = 0;

/// The side of the larger ones, and of those of the same size that came later.
const RIGHT: usize = 1;

/// A block's place in the tree.
#[derive(Debug, Clone, Copy)]
struct Node {
    /// The block above.
    parent: u32,
    /// Those below, left and right.
    child: [u32; 2],
    /// No two red ones follow each other; from the root down to any leaf there are as many black ones.
    is_red: bool,
    /// Whether it stands in the tree at all.
    is_listed: bool,
}

/// A block that stands nowhere.
const NOWHERE: Node = Node { parent: NONE, child: [NONE; 2], is_red: false, is_listed: false };

/// The tree. It knows blocks by their places and asks for their sizes when it needs them.
#[derive(Debug)]
pub(super) struct FreeTree {
    /// The block on top.
    root: u32,
    /// For each place where its block stands.
    nodes: Vec<Node>,
}

impl FreeTree {
    /// Without a block.
    pub(super) fn new() -> FreeTree {
        FreeTree { root: NONE, nodes: Vec::new() }
    }

    /// Whether this block is listed.
    pub(super) fn contains(&self, place: u32) -> bool {
        self.nodes.get(place as usize).is_some_and(|node| node.is_listed)
    }

    /// How many blocks are.
    pub(super) fn len(&self) -> usize {
        self.nodes.iter().filter(|node| node.is_listed).count()
    }

    /// The smallest block of at least `wanted` bytes. Of several of that size the first that is met if they fit
    /// exactly, otherwise the one that was listed first.
    pub(super) fn best_fit(&self, wanted: u32, size: impl Fn(u32) -> u32) -> Option<u32> {
        let (mut at, mut best) = (self.root, None);
        while at != NONE {
            let has = size(at);
            if has == wanted {
                return Some(at);
            }
            if has > wanted {
                best = Some(at);
            }
            at = self.child(at, usize::from(has < wanted));
        }
        best
    }

    /// `binder_insert_free_buffer`: lists a block, behind those of the same size.
    pub(super) fn insert(&mut self, place: u32, size: impl Fn(u32) -> u32) {
        let (mut parent, mut side, mut at) = (NONE, LEFT, self.root);
        while at != NONE {
            parent = at;
            side = usize::from(size(place) >= size(at));
            at = self.child(at, side);
        }
        let end = place as usize + 1;
        self.nodes.resize(self.nodes.len().max(end), NOWHERE);
        self.nodes[place as usize] = Node { parent, is_red: true, is_listed: true, ..NOWHERE };
        match parent {
            NONE => self.root = place,
            parent => self.nodes[parent as usize].child[side] = place,
        }
        self.settle_red(place);
    }

    /// `rb_erase`: takes a block off the list. Of two blocks below it the next larger one takes its place.
    pub(super) fn remove(&mut self, place: u32) {
        let Node { parent, child: [left, right], is_red, .. } = self.nodes[place as usize];
        let (below, parent, lost_red) = if left == NONE || right == NONE {
            let below = if left == NONE { right } else { left };
            self.replace(place, below);
            (below, parent, is_red)
        } else {
            let next = self.leftmost(right);
            let Node { parent, child: [_, below], is_red: was_red, .. } = self.nodes[next as usize];
            if next != right {
                self.replace(next, below);
                self.set_child(next, RIGHT, right);
            }
            self.set_child(next, LEFT, left);
            self.replace(place, next);
            self.paint(next, is_red);
            (below, if next == right { next } else { parent }, was_red)
        };
        self.nodes[place as usize] = NOWHERE;
        if below != NONE {
            // It is red, or it would not be alone.
            self.paint(below, false);
        } else if !lost_red {
            self.settle_missing(parent);
        }
    }

    /// Lists a block in the place of the only one, which is what listing it and then removing the other comes to: a
    /// mapping mostly has its free bytes in one piece. Says whether that was so.
    pub(super) fn exchange_only(&mut self, old: u32, new: u32, size: impl Fn(u32) -> u32) -> bool {
        let is_only = self.root == old && self.nodes[old as usize].child == [NONE; 2];
        if is_only {
            self.nodes[old as usize] = NOWHERE;
            self.root = NONE;
            self.insert(new, size);
        }
        is_only
    }

    /// A red block may stand below another red one: mends that, upwards.
    fn settle_red(&mut self, mut at: u32) {
        loop {
            let parent = self.parent(at);
            if parent == NONE {
                return self.paint(at, false);
            }
            if !self.is_red(parent) {
                return;
            }
            // A red block is not the root.
            let above = self.parent(parent);
            let side = self.side(parent);
            let uncle = self.child(above, 1 - side);
            if self.is_red(uncle) {
                self.paint(parent, false);
                self.paint(uncle, false);
                self.paint(above, true);
                at = above;
                continue;
            }
            let mut top = parent;
            if self.side(at) != side {
                self.rotate(parent, side);
                top = at;
            }
            self.rotate(above, 1 - side);
            self.paint(top, false);
            return self.paint(above, true);
        }
    }

    /// Below `parent` a black block is missing on one side: mends that, upwards.
    fn settle_missing(&mut self, mut parent: u32) {
        let mut at = NONE;
        while parent != NONE {
            let side = usize::from(self.child(parent, LEFT) != at);
            let mut sibling = self.child(parent, 1 - side);
            if self.is_red(sibling) {
                self.rotate(parent, side);
                self.paint(sibling, false);
                self.paint(parent, true);
                sibling = self.child(parent, 1 - side);
            }
            let near = self.child(sibling, side);
            if !self.is_red(self.child(sibling, 1 - side)) {
                if !self.is_red(near) {
                    self.paint(sibling, true);
                    if self.is_red(parent) {
                        return self.paint(parent, false);
                    }
                    (at, parent) = (parent, self.parent(parent));
                    continue;
                }
                self.rotate(sibling, 1 - side);
                sibling = near;
            }
            self.rotate(parent, side);
            self.paint(sibling, self.is_red(parent));
            self.paint(parent, false);
            return self.paint(self.child(sibling, 1 - side), false);
        }
    }

    /// Moves a block down to this side; the one below it on the other side takes its place.
    fn rotate(&mut self, at: u32, side: usize) {
        let up = self.child(at, 1 - side);
        self.set_child(at, 1 - side, self.child(up, side));
        self.replace(at, up);
        self.set_child(up, side, at);
    }

    /// Puts `new`, or nothing, where `old` stands.
    fn replace(&mut self, old: u32, new: u32) {
        match self.parent(old) {
            NONE => {
                self.root = new;
                if new != NONE {
                    self.nodes[new as usize].parent = NONE;
                }
            }
            parent => self.set_child(parent, self.side(old), new),
        }
    }

    /// Puts `child`, or nothing, below `at`.
    fn set_child(&mut self, at: u32, side: usize, child: u32) {
        self.nodes[at as usize].child[side] = child;
        if child != NONE {
            self.nodes[child as usize].parent = at;
        }
    }

    /// The block above.
    fn parent(&self, at: u32) -> u32 {
        self.nodes[at as usize].parent
    }

    /// The block below, on this side.
    fn child(&self, at: u32, side: usize) -> u32 {
        self.nodes[at as usize].child[side]
    }

    /// On which side of the one above a block stands, which is not the root.
    fn side(&self, at: u32) -> usize {
        usize::from(self.child(self.parent(at), LEFT) != at)
    }

    /// The smallest block at and below `at`.
    fn leftmost(&self, mut at: u32) -> u32 {
        while self.child(at, LEFT) != NONE {
            at = self.child(at, LEFT);
        }
        at
    }

    /// Whether there is a block, and it is red.
    fn is_red(&self, at: u32) -> bool {
        at != NONE && self.nodes[at as usize].is_red
    }

    /// Makes a block red or black.
    fn paint(&mut self, at: u32, is_red: bool) {
        self.nodes[at as usize].is_red = is_red;
    }

    /// Whether it is a red-black tree in the order of sizes; if not, what is wrong.
    pub(super) fn check(&self, size: impl Fn(u32) -> u32) -> Result<(), &'static str> {
        let (mut heights, mut sizes) = (Vec::new(), Vec::new());
        self.walk(self.root, 0, &mut heights, &mut |at| sizes.push(size(at)));
        let is_sorted = sizes.is_sorted() && sizes.len() == self.len() && !self.is_red(self.root);
        let red = |node: &Node| node.is_listed && node.is_red && self.is_red(node.parent);
        if !is_sorted || self.nodes.iter().any(red) {
            return Err("the free blocks are not in order");
        }
        heights.dedup();
        if heights.len() > 1 { Err("the tree of free blocks leans to one side") } else { Ok(()) }
    }

    /// Visits the blocks at and below `at` in order, and notes how many black ones lead to each leaf.
    fn walk(&self, at: u32, above: usize, heights: &mut Vec<usize>, visit: &mut impl FnMut(u32)) {
        if at == NONE {
            return heights.push(above);
        }
        let above = above + usize::from(!self.is_red(at));
        self.walk(self.child(at, LEFT), above, heights, visit);
        visit(at);
        self.walk(self.child(at, RIGHT), above, heights, visit);
    }
}

#[cfg(test)]
mod tests {
    use super::FreeTree;
    use alloc::vec::Vec;

    #[test]
    fn any_order_of_coming_and_going_leaves_a_tree() {
        let mut state = 1_u32;
        let mut next = |end: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) % end
        };
        let (mut tree, mut listed) = (FreeTree::new(), Vec::new());
        let sizes: Vec<u32> = (0..200).map(|_| next(40)).collect();
        let size = |place: u32| sizes[place as usize];
        for _ in 0..5000 {
            let place = next(200);
            match listed.iter().position(|&known| known == place) {
                Some(at) => {
                    listed.remove(at);
                    tree.remove(place);
                }
                None => {
                    listed.push(place);
                    tree.insert(place, size);
                }
            }
            tree.check(size).expect("a red-black tree");
            assert_eq!(tree.len(), listed.len());
            let wanted = next(45);
            let best = listed.iter().map(|&place| size(place)).filter(|&has| has >= wanted).min();
            let found = tree.best_fit(wanted, size);
            assert_eq!(found.map(size), best, "the smallest that is large enough");
            // Of those that are larger than what is asked for, the first that came.
            if let (Some(found), Some(best)) = (found, best.filter(|&best| best > wanted)) {
                assert_eq!(listed.iter().find(|&&place| size(place) == best), Some(&found));
            }
        }
    }

    #[test]
    fn of_those_that_fit_exactly_the_one_on_top_is_taken() {
        let mut tree = FreeTree::new();
        (1..=3).for_each(|place| tree.insert(place, |_| 64));
        assert_eq!([64, 63].map(|wanted| tree.best_fit(wanted, |_| 64)), [Some(2), Some(1)]);
    }

    #[test]
    fn what_is_no_such_tree_is_found() {
        let mut tree = FreeTree::new();
        (1..=4).for_each(|place| tree.insert(place, |place| place));
        tree.check(|place| place).expect("as it should be");
        assert!(tree.check(|place| 9 - place).expect_err("the wrong way round").contains("order"));
        tree.paint(1, true);
        assert!(tree.check(|place| place).expect_err("a black one is missing").contains("leans"));
    }
}
