//! Two files with one key, and two programs that meet because of it.
//!
//! Run it: `cargo run --example sysv_05_two_files_one_key`
//!
//! What to look for: each program makes its key of a file of its own, as the manual says, and neither has
//! ever heard of the other. An error would be luck. The last attempt succeeds.

use std::collections::HashMap;
use std::error::Error;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{self, Command, ExitCode};
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, io};

use sysv_shm::{Key, Segment};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

// ANCHOR: programs
/// A program that keeps a number of appointments in shared memory.
fn calendar(file: &Path) -> Result<()> {
    let key = Key::from_path(file, 1)?;
    let segment = match Segment::open(key, 4096) {
        Err(error) if error.is_not_found() => Segment::create_new(key, 4096)?,
        other => other?,
    };
    let appointments = segment.attach::<AtomicU32>()?;
    println!("calendar  has {} appointments", appointments.load(Ordering::Relaxed));
    appointments.store(3, Ordering::Relaxed);
    println!("          puts it right: 3");
    Ok(())
}

/// A program that keeps a score there.
fn game(file: &Path) -> Result<()> {
    let key = Key::from_path(file, 1)?;
    println!("game      a new segment:     {}", said(Segment::create_new(key, 4096)));
    println!("          a larger one:      {}", said(Segment::create(key, 8192)));
    println!("          one of the size:   {}", said(Segment::create(key, 4096)));
    let score = Segment::create(key, 4096)?.attach::<AtomicU32>()?;
    println!("          begins with a score of {}, and adds 1000", score.fetch_add(1000, Ordering::Relaxed));
    Ok(())
}
// ANCHOR_END: programs

/// The end of an error's text: the call in it has the key, which is another one on every machine.
fn said(result: sysv_shm::Result<Segment>) -> &'static str {
    match result {
        Ok(_) => "found",
        Err(error) if error.is_already_exists() => "EEXIST, the key is taken",
        Err(error) if error.is_too_small() => "EINVAL, the segment with this key is smaller",
        Err(_) => "another error",
    }
}

// ANCHOR: search
/// Makes files in `directory` until two of them have one key; `None` when the file system gives no such two.
///
/// A key has the last 16 bits of the inode number. Most file systems count inodes up, so that the second file
/// comes 65536 files after the first at the latest, if all are kept.
fn search(directory: &Path) -> io::Result<Option<[PathBuf; 2]>> {
    let mut files = HashMap::new();
    for number in 0..70_000_u32 {
        let path = directory.join(number.to_string());
        let inode = File::create(&path)?.metadata()?.ino();
        if let Some(other) = files.insert(inode & 0xffff, path.clone()) {
            let two = [directory.join("calendar.data"), directory.join("game.data")];
            fs::rename(other, &two[0])?; // a new name, the same inode
            fs::rename(path, &two[1])?;
            return Ok(Some(two));
        }
    }
    Ok(None)
}
// ANCHOR_END: search

fn meet() -> Result<ExitCode> {
    let scratch = Scratch::new()?;
    let Some([calendar, game]) = search(&scratch.0)? else {
        println!("not shown here: 70000 files in {} have 70000 keys", scratch.0.display());
        return Ok(ExitCode::from(77));
    };
    println!("Among fewer than 70000 files of one directory, two have one key:");
    let (a, b) = (fs::metadata(&calendar)?, fs::metadata(&game)?);
    let key = Key::from_path(&calendar, 1)?;
    let answer = |yes| if yes { "yes" } else { "no" };
    println!("  the same inode                    {}", answer(a.ino() == b.ino()));
    println!("  the same last 16 bits of it       {}", answer(a.ino() & 0xffff == b.ino() & 0xffff));
    println!("  the same key, with project 1      {}", answer(key == Key::from_path(&game, 1)?));
    println!("  with projects 1 and 2             {}\n", answer(key == Key::from_path(&game, 2)?));

    if Segment::open(key, 0).is_ok() {
        println!("not shown here: somebody has a segment with this key already");
        return Ok(ExitCode::from(77));
    }
    let first = run("calendar", &calendar);
    let _segment = Segment::open(key, 0)?.remove_on_drop(); // however the rest goes
    first.and_then(|()| run("game", &game)).and_then(|()| run("calendar", &calendar))?;
    println!("\nEvery call that they went on with had succeeded, and the score is lost.");
    Ok(ExitCode::SUCCESS)
}

/// Runs this program as one of the two, and waits for its end.
fn run(role: &str, file: &Path) -> Result<()> {
    let status = Command::new(env::current_exe()?).arg(role).arg(file).status()?;
    if status.success() { Ok(()) } else { Err(format!("the {role} ended with {status}").into()) }
}

/// A directory that goes with everything in it.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> io::Result<Self> {
        let path = env::temp_dir().join(format!("sysv_05-{}", process::id()));
        fs::create_dir(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn main() -> Result<ExitCode> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["calendar", file] => calendar(Path::new(file)).map(|()| ExitCode::SUCCESS),
        ["game", file] => game(Path::new(file)).map(|()| ExitCode::SUCCESS),
        _ => meet(),
    }
}
