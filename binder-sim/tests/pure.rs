//! The promise of the driver: no dependency, no standard library, no system call, no clock, no hash map.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Every source file under `folder`.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder)
        .expect("a folder of the crate")
        .map(|entry| entry.expect("an entry").path());
    let (folders, files): (Vec<PathBuf>, Vec<PathBuf>) = entries.partition(|path| path.is_dir());
    files.into_iter().chain(folders.iter().flat_map(|folder| sources(folder))).collect()
}

#[test]
fn the_pure_part_has_no_dependency_that_could_bring_std_back() {
    let cargo = std::env::var_os("CARGO").expect("run by cargo");
    let arguments = ["tree", "-p", "binder-sim", "--no-default-features", "-e", "normal", "--prefix", "none"];
    let tree =
        Command::new(cargo).args(arguments).arg("--offline").current_dir(env!("CARGO_MANIFEST_DIR")).output();
    let tree = tree.expect("cargo runs");
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let text = String::from_utf8_lossy(&tree.stdout);
    assert_eq!(text.lines().count(), 1, "binder-sim alone, not {text}");
}

#[test]
fn no_source_names_std_a_hash_map_or_unsafe_code() {
    let mut files = sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    // What speaks to a real device is not part of it, and is left out without the feature `live`.
    files.retain(|file| !file.iter().any(|part| part == "client" || part == "client.rs"));
    assert!(files.len() > 20, "{files:?}");
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a text file");
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        for (n, line) in code.enumerate() {
            for banned in ["std::", "HashMap", "HashSet", "unsafe", "Instant", "SystemTime"] {
                assert!(!line.contains(banned), "{}: code line {n}: {banned}: {line}", file.display());
            }
        }
    }
}
