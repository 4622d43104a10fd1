//! MemoryFile, by the contract of Java's class: an access that fails once, and the next that reads zeros.
//!
//! Run it: `cargo run --example fd_36_memory_file`
//!
//! What to look for: after a purge the first access fails and the second succeeds, whatever it is. A
//! program that catches the exception and tries again, as one does with a file, has zeros where its
//! data was, and no second warning.

use std::error::Error;
use std::io::{Read, Seek, SeekFrom, Write};

use fd_shm::ashmem::{MemoryFile, Shrinker};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

// ANCHOR: main
fn main() -> Result<()> {
    let mut file = MemoryFile::new("thumbnail", 8)?;
    file.write_bytes(b"a kitten", 0, 0, 8)?;
    let mut system = Shrinker::new();
    if let Err(refused) = system.add_file(&file) {
        // Where there is a driver it keeps the pins, and only the kernel purges.
        println!("not shown here: {refused}");
        std::process::exit(77);
    }

    println!("Purging is not allowed:");
    println!("  the system purges                {}", purge(&mut system));
    println!("  read                             {}", read(&file));

    println!("\nPurging is allowed, and nobody purges:");
    println!("  allow_purging(true)              it was {}", file.allow_purging(true)?);
    println!("  read                             {}", read(&file));

    println!("\nPurged between two reads:");
    println!("  the system purges                {}", purge(&mut system));
    println!("  read                             {}", read(&file));
    println!("  read                             {}", read(&file));

    println!("\nPurged between two writes:");
    println!("  the system purges                {}", purge(&mut system));
    println!("  write at 2                       {}", write(&file));
    println!("  write at 2                       {}", write(&file));
    println!("  read                             {}", read(&file));

    println!("\nPurged, and nobody accesses it before purging is forbidden:");
    println!("  the system purges                {}", purge(&mut system));
    println!("  allow_purging(false)             it was {}", file.allow_purging(false)?);
    println!("  read                             {}", read(&file));

    println!("\nThe rest of the contract:");
    println!("  read 4 bytes at 6 of 8           {}", in_words(file.read_bytes(&mut [0; 4], 6, 0, 4)));
    let mut stream = file.stream();
    stream.write_all(b"a puppy!")?;
    println!("  the stream, at its end           {}", in_words(stream.write_all(b"!")));
    stream.seek(SeekFrom::Start(2))?;
    let mut rest = String::new();
    stream.read_to_string(&mut rest)?;
    println!("  the stream, from 2 on            \"{rest}\"");
    file.deactivate();
    println!("  deactivated, read                {}", read(&file));
    Ok(())
}
// ANCHOR_END: main

fn purge(system: &mut Shrinker) -> &'static str {
    if system.purge_all().pages() > 0 { "its page" } else { "nothing" }
}

/// All of the file.
fn read(file: &MemoryFile) -> String {
    let mut bytes = [0xff; 8];
    match file.read_bytes(&mut bytes, 0, 0, 8) {
        Ok(_) if bytes == [0; 8] => "8 zeros".into(),
        Ok(_) => format!("\"{}\"", String::from_utf8_lossy(&bytes).replace('\0', ".")),
        Err(refused) => refused.to_string(),
    }
}

fn write(file: &MemoryFile) -> String {
    in_words(file.write_bytes(b"puppy", 0, 2, 5))
}

fn in_words<T>(done: std::result::Result<T, impl std::fmt::Display>) -> String {
    done.map_or_else(|refused| refused.to_string(), |_| "done".into())
}
