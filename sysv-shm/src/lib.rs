#![doc = include_str!("../README.md")]
//!
//! # Layout
//!
//! In reading order:
//!
//! * `key`: [`Key`], the number under which a segment is found.
//! * `segment`: [`Segment`], a handle, and [`OwnedSegment`], which removes on drop. Start here.
//! * `options`: [`SegmentOptions`], how a segment is made: the mode bits, and what it is made of.
//! * `stat`: [`SegmentStat`], what the kernel knows of a segment.
//! * `control`: what an owner can change of it.
//! * `attachment`: [`Attachment`] and [`ReadAttachment`], the mapped memory: a typed head, and a tail of
//!   bytes.
//! * `attach_options`: [`AttachOptions`], at which address and with what rights.
//! * `reservation`: [`Reservation`], addresses of our own that a segment may come to lie at.
//! * `mapped`: one mapping, from `shmat` to `shmdt`: here is made sure that it is as long as it says.
//! * `stack`: where a segment would lie in the way of the stack.
//! * `huge`: huge pages, and how to tell that a segment is made of them.
//! * `shareable`: [`Shareable`] and [`shareable!`], what may live in memory that others write.
//! * `head`: [`Head`], what an attachment begins with: one shareable value, or all of it as words in place.
//! * `copy`: bulk copies that are sound while others write.
//! * `semaphore`: [`SemaphoreSet`], numbers to wait for; [`SemaphoreLock`], a lock that a dead owner gives
//!   back.
//! * `listing`: what the IPC namespace has: [`segments`], [`semaphore_sets`], limits and usage; who has a
//!   segment attached ([`Segment::attached_by`]); [`orphans`], and how to [`reap`] them.
//! * `smaps`: what /proc says of the mappings of a process.
//! * `error`: [`Error`], the one error type: `call(operands): ERRNO, what it means here`.
//! * `diagnosis`: what an errno means here, with figures, also where the errno alone does not say.
//! * `sys`: the system calls, one function each.
//!
//! # Whom to trust
//!
//! Nobody who can attach the segment: a peer can write any bytes at any time, and nothing in here relies on
//! what it writes. A peer cannot shrink the segment, so no access falls off its end. A peer that owns the
//! segment can remove it or change its mode; attachments that exist keep working.
//!
//! One exception: who may open `/proc/<pid>/map_files` (root, or CAP_CHECKPOINT_RESTORE) can open the file
//! behind a segment there and truncate it, and the next access to what is gone is SIGBUS. Such a process can as
//! well write to ours directly, so there is nothing to defend.
//!
//! A word is reached at one atomic size only within *one* attachment. Attach a segment twice with different
//! `T`, or let two programs disagree about `T`, and what each reads of the other is any value: as it would be
//! from a peer that means harm, and no worse.

mod key;
pub use key::Key;

mod segment;
pub use segment::{OwnedSegment, Segment, SegmentId};

mod options;
pub use options::SegmentOptions;

mod stat;
pub use stat::SegmentStat;

mod control;

mod attachment;
pub use attachment::{Attachment, ReadAttachment};

mod attach_options;
pub use attach_options::AttachOptions;

mod reservation;
pub use reservation::Reservation;

mod mapped;

mod stack;

mod huge;

mod shareable;
pub use shareable::{ReadOnly, Shareable};

mod head;
pub use head::{Head, HeadAndWords};

mod copy;

mod semaphore;
pub use semaphore::{
    Operation, OwnedSemaphoreSet, SemaphoreLock, SemaphoreSet, SemaphoreSetId, SemaphoreSetOptions,
    SemaphoreSetStat,
};

mod listing;
pub use listing::{
    AttachedMapping, AttachedProcess, AttachedProcesses, Reap, Reaped, SegmentLimits, SegmentUsage,
    SemaphoreLimits, SemaphoreUsage, orphans, reap, segments, semaphore_sets,
};

mod smaps;

mod error;
pub use error::{Error, Result};

mod diagnosis;

mod sys;
