//! Where things are in this workspace.

use std::path::{Path, PathBuf};

/// The crates whose `examples/` and `exercises/` folders hold listings.
pub const CRATES_WITH_EXAMPLES: [&str; 5] = ["sysv-shm", "fd-shm", "binder-sim", "benches", "book"];

/// The workspace's root folder.
pub fn root() -> PathBuf {
    let book = Path::new(env!("CARGO_MANIFEST_DIR"));
    book.parent().unwrap_or(book).to_path_buf()
}

/// The book's own folder, where `book.toml` is.
pub fn book() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The folder of the pages' Markdown.
pub fn pages() -> PathBuf {
    book().join("src")
}
