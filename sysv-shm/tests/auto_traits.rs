//! What may go to another thread, or be reached from several: everything.

use std::sync::atomic::AtomicU32;

use sysv_shm::{
    AttachOptions, AttachedProcesses, Attachment, Error, HeadAndWords, Key, Operation, OwnedSegment,
    OwnedSemaphoreSet, ReadAttachment, Reaped, Reservation, Segment, SegmentOptions, SegmentStat,
    SemaphoreLock, SemaphoreSet, SemaphoreSetOptions, SemaphoreSetStat,
};

const fn of_any_thread<T: Send + Sync>() {}

const _: () = {
    of_any_thread::<(Error, Key)>();
    of_any_thread::<(Segment, OwnedSegment, SegmentOptions, SegmentStat, AttachOptions, Reservation)>();
    of_any_thread::<(Attachment, Attachment<AtomicU32>, Attachment<[AtomicU32]>)>();
    of_any_thread::<(ReadAttachment, ReadAttachment<HeadAndWords<AtomicU32, AtomicU32>>)>();
    of_any_thread::<(SemaphoreSet, OwnedSemaphoreSet, SemaphoreSetOptions, SemaphoreSetStat, Operation)>();
    // SEM_UNDO is of the process, all its threads together.
    of_any_thread::<SemaphoreLock>();
    of_any_thread::<(AttachedProcesses, Reaped)>();
};
