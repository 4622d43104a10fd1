//! ashmem's rules as scripts: played on the crate's state machine, and on the real driver where there is one.
//!
//! `scripts/` has them, each named after the rule that it shows, and `recorded/` has what Linux 5.10's own
//! driver answered to each step. Here, on any machine, the state machine gives those answers.
//! `.ci/real-kernel/ashmem` runs the same program on that kernel, where the driver has to give them, and to
//! agree on random scripts besides; with `BLESS=1` it records them.

mod answer;
mod device;
mod differences;
mod holder;
mod mistakes;
mod pressure;
mod process;
mod random;
mod raw;
mod region;
mod script;
mod stage;
mod world;

use std::cell::Cell;
use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::{env, fs};

use answer::Answer;
use fd_shm::ashmem::Device;
use holder::Holder;
use mistakes::{MISTAKES, Wrong};
use process::Troupe;
use region::{OverDriver, OverMemfd};
use script::Step;
use world::World;

/// Scripts are played by real processes one at a time: the driver purges the regions of all of them at once,
/// and a process that another test forks in between would hold what this one closes.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Where the scripts and records are: `DATA` says so where this crate's folder is not.
fn folder(name: &str) -> PathBuf {
    let data = env::var_os("DATA").map(PathBuf::from);
    data.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ashmem")).join(name)
}

/// The scripts by name, in order.
fn scripts() -> Vec<(String, Vec<Step>)> {
    let entries = fs::read_dir(folder("scripts")).expect("a folder of scripts");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths
        .iter()
        .map(|path| {
            let text = fs::read_to_string(path).expect("a script");
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            let steps = script::parse(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
            (name, steps)
        })
        .collect()
}

fn transcript(steps: &[Step], answers: &[Answer]) -> String {
    script::transcript(steps.iter().zip(answers.iter().map(String::as_str)))
}

fn recorded(name: &str) -> String {
    fs::read_to_string(folder("recorded").join(format!("{name}.txt")))
        .unwrap_or_else(|error| panic!("{name} is not recorded ({error}): BLESS=1 .ci/real-kernel/ashmem"))
}

/// The recorded answers to each step.
fn recorded_answers(name: &str) -> Vec<Answer> {
    let answer = |line: &str| line.split_once("-> ").expect("an answer").1.to_owned();
    recorded(name).lines().map(answer).collect()
}

/// Fails with all scripts that did not give what is recorded.
fn compare(who: &str, play: impl Fn(&[Step]) -> Vec<Answer>) {
    let mut wrong = String::new();
    for (name, steps) in scripts() {
        let (played, recorded) = (transcript(&steps, &play(&steps)), recorded(&name));
        if played != recorded {
            wrong += &format!("\n{name}, recorded:\n{recorded}{name}, {who}:\n{played}");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Says on the real standard error what was not done, and why.
fn skip(what: &str, reason: &str) {
    use std::io::Write;
    writeln!(std::io::stderr(), "{what}: skipped: {reason}").expect("standard error");
}

/// Whether there is a driver to ask.
fn driver_is_here(test: &str) -> bool {
    let here = Path::new("/dev/ashmem").exists();
    if !here {
        skip(test, "this kernel has no /dev/ashmem; .ci/real-kernel/ashmem boots one that has");
    }
    here
}

#[test]
fn the_state_machine_answers_as_the_driver_did() {
    compare("the state machine", |steps| stage::play(&mut World::default(), steps));
}

#[test]
fn the_driver_answers_as_it_did() {
    if !driver_is_here("the_driver_answers_as_it_did") {
        return;
    }
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    if env::var_os("BLESS").is_some() {
        let results = PathBuf::from(env::var_os("RESULTS").expect("where to put the records"));
        for (name, steps) in scripts() {
            println!("{name}");
            let answers = stage::play(&mut Troupe::<Holder<Device>>::new(), &steps);
            fs::write(results.join(format!("{name}.txt")), transcript(&steps, &answers)).expect("written");
        }
        return;
    }
    compare("the driver now", |steps| stage::play(&mut Troupe::<Holder<Device>>::new(), steps));
}

#[test]
fn a_region_answers_as_the_driver_did_but_for_what_is_listed() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let mut scripts = scripts();
    scripts.retain(|(_, script)| differences::is_for_a_region(script));
    for (name, _) in scripts.iter().filter(|(_, script)| !differences::can_be_played(script)) {
        skip(name, "only root can become somebody else");
    }
    let play = |script: &[Step]| stage::play(&mut Troupe::<Holder<OverMemfd>>::new(), script);
    differences::compare(&scripts, play).unwrap_or_else(|wrong| panic!("{wrong}"));
}

#[test]
fn a_region_of_the_driver_answers_as_the_driver_did() {
    if !driver_is_here("a_region_of_the_driver_answers_as_the_driver_did") {
        return;
    }
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let play = |script: &[Step]| stage::play(&mut Troupe::<Holder<OverDriver>>::new(), script);
    differences::compare_over_the_driver(&scripts(), play).unwrap_or_else(|wrong| panic!("{wrong}"));
}

#[test]
fn a_region_answers_random_scripts_as_the_state_machine_does() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let seed = number("SEED").unwrap_or_else(|| RandomState::new().hash_one(0));
    let model = |script: &[Step]| stage::play(&mut World::default(), &random::for_one_region(script));
    let region = |script: &[Step]| {
        stage::play(&mut Troupe::<Holder<OverMemfd>>::new(), &random::for_one_region(script))
    };
    if let Some(script) = random::disagreement(seed, 200, [&model, &region], &|_| ()) {
        let kept = random::for_one_region(&script);
        let (model, region) = (transcript(&kept, &model(&script)), transcript(&kept, &region(&script)));
        panic!("SEED={seed}: the state machine:\n{model}a region:\n{region}");
    }
}

/// A number out of the environment.
fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

/// What random scripts have to meet, or they say little: calls, and their answers.
const MET: [(&str, &[&str]); 10] = [
    ("pin", &["not purged", "WAS PURGED", "EINVAL", "EFAULT"]),
    ("unpin", &["ok", "EINVAL", "EFAULT"]),
    ("pin_status", &["pinned", "unpinned", "EINVAL", "EFAULT"]),
    ("purge_all", &["0 pages", "1 page", "8 pages", "EPERM"]),
    ("mmap", &["ok", "EINVAL", "EPERM"]),
    ("mprotect", &["ok", "EACCES"]),
    ("load", &["0", "SIGBUS", "SIGSEGV"]),
    ("store", &["ok", "SIGBUS", "SIGSEGV"]),
    ("set_mask", &["ok", "EINVAL"]),
    ("lseek", &["1p", "EINVAL", "EBADF", "ENXIO"]),
];

#[test]
fn random_scripts_meet_every_rule() {
    let mut met = BTreeSet::new();
    for script in random::scripts(1, 1000) {
        let answers = stage::play(&mut World::default(), &script);
        met.extend(script.iter().zip(answers).map(|(step, answer)| {
            let verb = step.call.to_string().split(' ').next().unwrap_or_default().to_owned();
            (verb, answer)
        }));
    }
    let wanted = MET.iter().flat_map(|(verb, answers)| answers.iter().map(move |answer| (*verb, *answer)));
    let missing: Vec<_> =
        wanted.filter(|(verb, answer)| !met.contains(&((*verb).to_owned(), (*answer).to_owned()))).collect();
    assert!(missing.is_empty(), "never met: {missing:?}");
}

#[test]
fn random_scripts_are_answered_alike() {
    if !driver_is_here("random_scripts_are_answered_alike") {
        return;
    }
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let seed = number("SEED").unwrap_or_else(|| RandomState::new().hash_one(0));
    let cases = number("CASES").map_or(2000, |cases| u32::try_from(cases).expect("CASES is no such number"));
    println!("SEED={seed} CASES={cases}");
    let (scripts, steps) = (Cell::new(0), Cell::new(0));
    let seen = |script: &[Step]| {
        scripts.set(scripts.get() + 1);
        steps.set(steps.get() + script.len());
        if scripts.get() % 100 == 0 {
            println!("{} scripts", scripts.get());
        }
    };
    let model = |script: &[Step]| stage::play(&mut World::default(), script);
    let driver = |script: &[Step]| stage::play(&mut Troupe::<Holder<Device>>::new(), script);
    if let Some(script) = random::disagreement(seed, cases, [&model, &driver], &seen) {
        let (model, driver) = (transcript(&script, &model(&script)), transcript(&script, &driver(&script)));
        panic!("SEED={seed}: the state machine:\n{model}the driver:\n{driver}");
    }
    println!("SEED={seed}: {} scripts, {} steps, one answer to each", scripts.get(), steps.get());
}

#[test]
fn a_wrong_world_is_found_out() {
    for mistake in MISTAKES {
        let right = |script: &[Step]| stage::play(&mut World::default(), script);
        let wrong = |script: &[Step]| stage::play(&mut Wrong::new(mistake), script);
        let script = random::disagreement(1, 500, [&right, &wrong], &|_| ());
        let script = script.unwrap_or_else(|| panic!("not found: {}", mistake.0));
        let found = transcript(&script, &right(&script));
        println!("{}:\n{found}", mistake.0);
        assert!(script.len() <= 8, "{}: no shorter than this:\n{found}", mistake.0);
    }
}

#[test]
fn every_record_has_its_script() {
    let records = fs::read_dir(folder("recorded")).expect("a folder of records");
    let mut records: Vec<_> = records.map(|entry| entry.expect("an entry").file_name()).collect();
    records.sort();
    let names: Vec<_> = scripts().into_iter().map(|(name, _)| format!("{name}.txt")).collect();
    let records: Vec<_> = records.iter().map(|name| name.to_string_lossy().into_owned()).collect();
    assert_eq!(records, names);
}

#[test]
fn a_script_is_what_it_says() {
    for (name, steps) in scripts() {
        for step in &steps {
            assert_eq!(step.to_string().parse().as_ref(), Ok(step), "{name}");
        }
    }
}
