//! An open file, as the world knows it: a label, and how many hold it.

use crate::driver::ProcessId;
use alloc::string::String;
use alloc::sync::{Arc, Weak};
use core::fmt;

/// What kind of file it is.
#[derive(Debug)]
enum Kind<T> {
    /// One with content: nothing in a plain world, real memory where bytes matter.
    Content(T),
    /// Opened with `O_PATH`: it has a number, and cannot be handed to anybody.
    Path,
    /// An open of the device.
    Device(ProcessId),
}

/// What the kernel calls an open file description: all numbers that name it share it.
#[derive(Debug)]
struct Description<T> {
    /// What to call it.
    label: String,
    /// What it is.
    kind: Kind<T>,
}

/// A reference to an open file (`struct file *`): cloning is `get_file`, dropping is `fput`.
///
/// # Invariants
/// Every reference stands in a table, holds a mapping, is in flight in the driver, or is in somebody's hand for the length of one
/// call; [`World::check`](super::World::check) counts them.
pub struct File<T = ()>(Arc<Description<T>>);

impl<T> File<T> {
    /// A file that was just opened.
    pub fn new(label: &str, content: T) -> File<T> {
        File(Arc::new(Description { label: label.into(), kind: Kind::Content(content) }))
    }

    /// A file that was just opened with `O_PATH`.
    pub(crate) fn path(label: &str) -> File<T> {
        File(Arc::new(Description { label: label.into(), kind: Kind::Path }))
    }

    /// An open of the device.
    pub(crate) fn device(label: &str, open: ProcessId) -> File<T> {
        File(Arc::new(Description { label: label.into(), kind: Kind::Device(open) }))
    }

    /// What to call it.
    pub fn label(&self) -> &str {
        &self.0.label
    }

    /// What it is; none for a device, and for a file that was opened with `O_PATH`.
    pub fn content(&self) -> Option<&T> {
        match &self.0.kind {
            Kind::Content(content) => Some(content),
            Kind::Path | Kind::Device(_) => None,
        }
    }

    /// Which open of the device it is, if it is one.
    pub fn as_device(&self) -> Option<ProcessId> {
        match self.0.kind {
            Kind::Device(open) => Some(open),
            Kind::Path | Kind::Content(_) => None,
        }
    }

    /// Whether it can be looked up by its number (`fget`): not if it was opened with `O_PATH`.
    pub fn can_be_sent(&self) -> bool {
        !matches!(self.0.kind, Kind::Path)
    }

    /// Whether both name one open file (as `kcmp(KCMP_FILE)` says).
    pub fn is_same(&self, other: &File<T>) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// How many references there are, this one included.
    pub fn references(&self) -> usize {
        Arc::strong_count(&self.0)
    }

    /// A number for this open file: the same for all references to it.
    pub(crate) fn identity(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }

    /// A look at the file that does not keep it open.
    pub(crate) fn watch(&self) -> Watch<T> {
        Watch(Arc::downgrade(&self.0))
    }
}

impl<T> Clone for File<T> {
    fn clone(&self) -> File<T> {
        File(Arc::clone(&self.0))
    }
}

impl<T> fmt::Display for File<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

impl<T> fmt::Debug for File<T> {
    /// The label in quotes: how the driver's steps name a file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.label(), f)
    }
}

/// A look at a file that does not keep it open.
#[derive(Debug)]
pub(crate) struct Watch<T>(Weak<Description<T>>);

impl<T> Watch<T> {
    /// How many references there are.
    pub(crate) fn references(&self) -> usize {
        self.0.strong_count()
    }

    /// Whether the file is open and has this label.
    pub(crate) fn is(&self, label: &str) -> bool {
        self.0.upgrade().is_some_and(|file| file.label == label)
    }

    /// The file's number (see [`File::identity`]).
    pub(crate) fn identity(&self) -> usize {
        self.0.as_ptr().addr()
    }
}
