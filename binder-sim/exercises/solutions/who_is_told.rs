//! Solution: who is told?

use binder_sim::driver::Translation;

/// How descriptors are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// In a call, whose caller waits for a reply.
    Call,
    /// In a message that nobody answers.
    OneWay,
    /// In the reply to a call.
    Reply,
}

/// Whether the *sender* learns that its descriptors did not fit into the receiver's table.
pub(crate) fn sender_learns_of_it(translation: Translation, kind: Kind) -> bool {
    match kind {
        Kind::Call => true,
        // Classic: it is still in its call. Deferred: it has left, and nobody waits who could be told.
        Kind::OneWay => translation == Translation::Classic,
        // A reply's error goes to whoever waits for the reply.
        Kind::Reply => false,
    }
}
