//! The curated scripts on the simulated driver, as each kernel that they were recorded on.

#[path = "support/guest.rs"]
mod guest;

use binder_sim::driver::Profile;
use binder_sim::script::{Recorded, Schedule, Script};
use binder_sim::world::World;
use include_dir::{Dir, include_dir};
use std::fmt::Write;

/// The scripts, and what was seen.
static SCRIPTS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/scripts");

/// How many there have to be at least.
const FEWEST: usize = 120;

/// Every script by its name; `SCRIPTS=WORD` chooses those whose names hold the word.
fn scripts() -> Vec<(&'static str, Recorded)> {
    let word = std::env::var("SCRIPTS").unwrap_or_default();
    let read = |file: &'static include_dir::File<'_>| {
        let name = file.path().file_stem()?.to_str()?;
        let text = file.contents_utf8().expect("UTF-8");
        let recorded = text.parse().unwrap_or_else(|error| panic!("{name}.txt, {error}"));
        name.contains(&word).then_some((name, recorded))
    };
    SCRIPTS.files().filter_map(read).collect()
}

/// What every step sees in a world that is like this kernel.
fn play(script: &Script, kernel: &str) -> Vec<Vec<String>> {
    let check = |world: &mut World| world.check().expect("every invariant holds");
    let (_, transcript) = script.run_in(guest::world_like(kernel), Schedule::Fifo, check);
    transcript.seen()
}

#[test]
fn every_script_sees_what_it_saw_on_the_real_kernels() {
    let mut differences = String::new();
    let mut differ = 0;
    for (name, Recorded { script, seen }) in scripts() {
        for (kernel, recorded) in &seen {
            let played = play(&script, kernel);
            if played == *recorded {
                continue;
            }
            differ += 1;
            writeln!(differences, "{name} on {kernel}:").expect("a string");
            for (n, (played, recorded)) in
                played.iter().zip(recorded).enumerate().filter(|(_, (p, r))| p != r)
            {
                let step = script.text_of(n + 1);
                writeln!(differences, "  {step}\n    kernel: {recorded:?}\n    here:   {played:?}")
                    .expect("a string");
            }
        }
    }
    assert!(differ == 0, "{differ} transcripts differ\n{differences}");
}

#[test]
fn there_are_enough_scripts_and_each_is_recorded_on_every_kernel() {
    let scripts = scripts();
    assert!(scripts.len() >= FEWEST || std::env::var_os("SCRIPTS").is_some(), "{} scripts", scripts.len());
    for (name, Recorded { script, seen }) in scripts {
        assert!(!script.about.is_empty(), "{name} says what it shows");
        let kernels: Vec<&str> = seen.iter().map(|(kernel, _)| kernel.as_str()).collect();
        let all = Profile::ALL.map(|profile| profile.name);
        assert_eq!(kernels, all, "{name}");
    }
}

#[test]
fn a_script_and_its_transcript_read_back_as_they_were_written() {
    for file in SCRIPTS.files() {
        let text = file.contents_utf8().expect("UTF-8");
        let recorded: Recorded = text.parse().expect("a recorded script");
        assert_eq!(recorded.to_string(), text, "{}", file.path().display());
        let script: Script = recorded.script.to_string().parse().expect("a script");
        assert_eq!(script, recorded.script, "{}", file.path().display());
    }
}
