#![doc = include_str!("../README.md")]
//!
//! # Layout
//!
//! In reading order:
//!
//! * `error`: [`Error`], the one error type, `call(operands): ERRNO, what it means here`.
//! * `seals`: [`Seals`], promises about a memory file that nobody can take back.
//! * `memfd`: [`Memfd`] and [`MemfdOptions`], a file in memory as the kernel makes it.
//! * `fixed`: [`FixedFd`], a descriptor *checked* unable to shrink: the only way to a safe mapping.
//! * `expected`: [`Expected`], what a receiver asks of a region beyond that: size, seals, the right to write.
//! * `shareable`: [`Shareable`] and [`shareable!`], what may live in memory that others write.
//! * `head`: [`Head`], what a mapping begins with: one shareable value, or all of it as words in place.
//! * `copy`: bulk copies in and out that are sound while others write, at memcpy speed.
//! * `mapping`: [`Mapping`] and [`ReadMapping`], a typed head of atomics and a tail reached by copies.
//! * [`ashmem`]: [`Region`], the entry point: a name, a size, a descriptor; and all of ashmem rule by rule:
//!   pages that are unpinned, purged and asked for again.
//! * [`handover`]: every way to hand the descriptor over, pushed by the holder or pulled by the receiver;
//!   [`scm_rights`], over sockets, first among them.
//! * [`futex`]: sleeping until a word in the region changes, and waking those who do.
//! * [`lock`]: [`lock::Lock`] and the quicker [`lock::SlotLock`] for peers that do not trust each other,
//!   [`lock::RobustMutex`] for those that do.
//! * `sys`: [`same_open_file`], a system call that no library wraps.
//!
//! `unsafe` is in `copy`, `mapping`, `head`, `shareable`, `sys`, `ashmem::device`, two files of `handover`,
//! and two of `lock` alone. A caller needs it twice: to trust a peer, as the robust mutex has to, and to say
//! whose an inherited number is ([`handover::inherit::take`]). Nothing else trusts anybody. A peer can write
//! any bytes at any moment, so nothing read from a region is used as an index, a length or an address
//! unchecked.

mod error;

mod seals;

mod memfd;

mod fixed;

mod expected;

mod shareable;

mod head;

mod copy;

mod mapping;

pub mod ashmem;

pub mod handover;

pub mod futex;

pub mod lock;

mod sys;

pub use ashmem::Region;
pub use error::{Error, Result};
pub use expected::Expected;
pub use fixed::FixedFd;
pub use handover::scm_rights;
pub use head::{Head, HeadAndWords};
pub use mapping::{Mapping, ReadMapping};
pub use memfd::{HugePages, Memfd, MemfdOptions, NAME_MAX};
pub use seals::Seals;
pub use shareable::{ReadOnly, Shareable};
pub use sys::{ForeignFd, same_open_file};
