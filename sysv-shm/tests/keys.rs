//! `ftok`: a key of a file's inode, its device and one byte, and how little that is.

mod support;

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use sysv_shm::Key;

/// A directory that is removed with everything in it, however the test ends.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("sysv-shm-{name}-{}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        let path = self.0.join(name);
        File::create(&path).unwrap();
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn key(path: &Path, project: u8) -> Key {
    Key::from_path(path, project).unwrap()
}

#[test]
fn a_key_has_sixteen_bits_of_the_inode_eight_of_the_device_and_the_project() {
    let scratch = Scratch::new("formula");
    let path = scratch.file("a");
    let file = fs::metadata(&path).unwrap();
    for project in [1, b'A', 0x7f, 0x80, 0xff] {
        let expected = u64::from(project) << 24 | (file.dev() & 0xff) << 16 | (file.ino() & 0xffff);
        assert_eq!(u64::from(key(&path, project).number().cast_unsigned()), expected);
    }
    assert!(key(&path, 0xff).number() < 0, "a key is signed in C");
}

#[test]
fn a_key_follows_the_file_and_not_its_name() {
    let scratch = Scratch::new("names");
    let (path, linked, renamed) = (scratch.file("a"), scratch.0.join("linked"), scratch.0.join("renamed"));
    let before = key(&path, b'A');
    fs::hard_link(&path, &linked).unwrap();
    assert_eq!(key(&linked, b'A'), before, "a second name of the file");
    fs::rename(&path, &renamed).unwrap();
    assert_eq!(key(&renamed, b'A'), before);
    assert_ne!(
        key(&scratch.file("a"), b'A'),
        before,
        "another file under the old name, while the old one lives"
    );
    assert_eq!(key(&scratch.0, b'A'), key(&scratch.0, b'A'), "a directory will do");
    fs::set_permissions(&linked, std::os::unix::fs::PermissionsExt::from_mode(0o000)).unwrap();
    assert_eq!(key(&linked, b'A'), before, "it is never opened");
}

#[test]
fn a_path_that_names_nothing_is_an_error_and_not_the_key_minus_one() {
    let scratch = Scratch::new("missing");
    let missing = scratch.0.join("nothing");
    let error = Key::from_path(&missing, b'A').unwrap_err();
    assert!(error.is_not_found() && error.raw_os_error() == Some(libc::ENOENT));
    assert_eq!(error.to_string(), format!("ftok({missing:?}, 0x41): ENOENT, nothing has this path"));

    let below_a_file = scratch.file("a").join("b");
    let error = Key::from_path(&below_a_file, 1).unwrap_err();
    assert_eq!(error.to_string(), format!("ftok({below_a_file:?}, 0x01): ENOTDIR, Not a directory"));

    let no_path = Key::from_path("a\0b", 1).unwrap_err();
    assert!(no_path.is_invalid_input() && no_path.raw_os_error().is_none(), "{no_path}");
}
