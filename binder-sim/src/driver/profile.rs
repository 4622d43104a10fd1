//! Kernels differ: which commands and ioctls one has, and which rules are its own.

/// Who chooses the number that a descriptor gets in the receiver, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Translation {
    /// The sender's thread, while it sends, in the receiver's table: `task_get_unused_fd_flags(target_proc)`.
    /// The kernels up to about 4.19, and the article.
    Classic,
    /// The receiver's thread, while it reads, in its own table: `get_unused_fd_flags()`. Kernels since then.
    Deferred,
}

impl Translation {
    /// Both, the older first.
    pub const ALL: [Translation; 2] = [Translation::Classic, Translation::Deferred];
}

impl core::fmt::Display for Translation {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Translation::Classic => "classic",
            Translation::Deferred => "deferred",
        })
    }
}

/// Whether a one-way message counts as one of its sender's when the sender is first suspected over it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpamCount {
    /// It does.
    WithNewest,
    /// It does not: the sender is noted in the buffer after the check. What a buffer's last user left in it may
    /// be the same sender.
    WithoutNewest,
}

/// The driver of one kernel: what it has, and where its rules are its own.
///
/// One for each kernel that was looked at. Who chooses descriptors' numbers is said beside it, as
/// [`Translation`]: all four choose late.
///
/// # Examples
/// ```
/// use binder_sim::driver::Profile;
///
/// assert!(Profile::ALL.iter().filter(|kernel| !kernel.freeze).all(|kernel| kernel.name == "5.10"));
/// assert_eq!(Profile::default(), Profile::V7_3);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Profile {
    /// The kernel's version.
    pub name: &'static str,
    /// Has `BINDER_GET_EXTENDED_ERROR`.
    pub extended_error: bool,
    /// Has `BINDER_FREEZE`, `BINDER_GET_FROZEN_INFO` and `TF_UPDATE_TXN`.
    pub freeze: bool,
    /// Has `BINDER_ENABLE_ONEWAY_SPAM_DETECTION`, and how it counts.
    pub oneway_spam: Option<SpamCount>,
    /// Tells the sender of a one-way call that its receiver is frozen (`BR_TRANSACTION_PENDING_FROZEN`).
    pub pending_frozen: bool,
    /// Has the three freeze notification commands.
    pub freeze_notification: bool,
    /// Gives a reader each descriptor as soon as it has a number, and closes them again if one finds none. It shows
    /// in a device's: every close of a number wakes the threads of its open.
    pub installs_one_by_one: bool,
    /// Tells a receiver the effective uid of whoever made the call (`current_euid`), not of the process that opened
    /// the device (`task_euid(proc->tsk)`). They differ for an open that was handed over.
    pub tells_callers_uid: bool,
}

impl Profile {
    /// Linux 5.10.
    pub const V5_10: Profile = Profile {
        name: "5.10",
        extended_error: false,
        freeze: false,
        oneway_spam: None,
        pending_frozen: false,
        freeze_notification: false,
        installs_one_by_one: true,
        tells_callers_uid: false,
    };

    /// Linux 6.1.
    pub const V6_1: Profile = Profile {
        name: "6.1",
        extended_error: true,
        freeze: true,
        oneway_spam: Some(SpamCount::WithNewest),
        installs_one_by_one: false,
        ..Profile::V5_10
    };

    /// Linux 6.12.
    pub const V6_12: Profile = Profile {
        name: "6.12",
        oneway_spam: Some(SpamCount::WithoutNewest),
        pending_frozen: true,
        freeze_notification: true,
        ..Profile::V6_1
    };

    /// Linux 7.3.
    pub const V7_3: Profile = Profile { name: "7.3", tells_callers_uid: true, ..Profile::V6_12 };

    /// All of them, the oldest first.
    pub const ALL: [Profile; 4] = [Profile::V5_10, Profile::V6_1, Profile::V6_12, Profile::V7_3];

    /// The one of this version.
    pub fn of(name: &str) -> Option<Profile> {
        Profile::ALL.into_iter().find(|profile| profile.name == name)
    }
}

impl Default for Profile {
    /// The newest.
    fn default() -> Profile {
        Profile::V7_3
    }
}

impl core::fmt::Display for Profile {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.name)
    }
}
