//! The curated scripts: `scripts/*.txt`.

use crate::stage;
use binder_sim::script::Recorded;
use include_dir::{Dir, include_dir};
use std::env;
use std::fs;
use std::path::Path;

/// The scripts, taken along: where the program runs there are no files.
static SCRIPTS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/scripts");

/// A script, and its file's name.
fn all() -> impl Iterator<Item = (&'static str, Recorded)> {
    let word = env::var("SCRIPTS").unwrap_or_default();
    SCRIPTS.files().filter_map(move |file| {
        let name = file.path().file_stem()?.to_str()?;
        let text = file.contents_utf8().expect("UTF-8");
        let read = || text.parse().unwrap_or_else(|error| panic!("{name}.txt, {error}"));
        name.contains(&word).then(|| (name, read()))
    })
}

/// Runs the scripts; says whether all saw what was recorded on this kernel.
pub(crate) fn run() -> bool {
    let kernel = env::var("REAL_KERNEL").expect("who runs this says which kernel it is");
    let bless = env::var("BLESS").is_ok_and(|bless| bless == "1");
    let (mut good, mut bad) = (0, 0);
    for (name, mut recorded) in all() {
        // Before it runs: if the machine hangs or breaks, this is the last word.
        println!("{name}");
        let seen = stage::run(&recorded.script, &kernel);
        if bless {
            let folder = env::var("RESULTS").expect("a folder for what was seen");
            recorded.seen.clear();
            recorded.record(&kernel, seen);
            fs::write(Path::new(&folder).join(format!("{name}.txt")), recorded.to_string()).expect("written");
        } else {
            // Where what was seen is not what was recorded.
            let disagreements = recorded.compare(&kernel, &seen);
            disagreements.iter().for_each(|one| println!("{one}"));
            *if disagreements.is_empty() { &mut good } else { &mut bad } += 1;
        }
    }
    if !bless {
        println!("{kernel}: {good} scripts saw what was recorded, {bad} did not");
    }
    bad == 0
}

/// Puts what was seen on a kernel into the files of the scripts.
pub(crate) fn merge(kernel: &str, folder: &Path) {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts");
    for entry in fs::read_dir(folder).expect("a folder of results").flatten() {
        let path = scripts.join(entry.file_name());
        let read = |path: &Path| -> Recorded {
            let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            text.parse().unwrap_or_else(|error| panic!("{}, {error}", path.display()))
        };
        let (mut known, new) = (read(&path), read(&entry.path()));
        let seen = new.on(kernel).expect("it ran on this kernel").clone();
        if known.script != new.script {
            known.seen.clear();
        }
        known.record(kernel, seen);
        fs::write(&path, known.to_string()).expect("written");
    }
}
