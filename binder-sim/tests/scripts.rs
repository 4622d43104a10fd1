//! The curated scripts on the simulated driver, as each kernel that they were recorded on.

#[path = "support/generator/mod.rs"]
mod generator;
#[path = "support/guest.rs"]
mod guest;

use binder_sim::driver::Profile;
use binder_sim::script::{Recorded, Run, Script};
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
    let check = |_, world: &mut World| world.check().expect("every invariant holds");
    Run::new(script, guest::world_like(kernel)).play(check)
}

#[test]
fn every_script_sees_what_it_saw_on_the_real_kernels() {
    let mut report = String::new();
    let mut differ = 0;
    for (name, recorded) in scripts() {
        for (kernel, _) in &recorded.seen {
            let disagreements = recorded.compare(kernel, &play(&recorded.script, kernel));
            if disagreements.is_empty() {
                continue;
            }
            differ += 1;
            writeln!(report, "{name} on {kernel}:").expect("a string");
            disagreements.iter().for_each(|one| writeln!(report, "{one}").expect("a string"));
        }
    }
    assert!(differ == 0, "{differ} transcripts differ\n{report}");
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

/// How many random scripts there are for each kernel.
const RANDOM: u64 = 500;

#[test]
fn random_scripts_break_nothing_and_say_the_same_twice() {
    let seed = std::env::var("SEED").map_or(1, |seed| seed.parse().expect("SEED is a number"));
    for profile in Profile::ALL {
        for seed in seed..seed + RANDOM {
            let script = generator::generate(seed);
            let again: Script = script.to_string().parse().expect("a script");
            assert_eq!(again.to_string(), script.to_string(), "SEED={seed}");
            // Opens that nobody can reach: those that lie in each other's queues hold all that lies there.
            let mut left = 0;
            let check = |_, world: &mut World| {
                world.check().unwrap_or_else(|broken| panic!("SEED={seed} on {profile}: {broken}"));
                left = world.driver().opens().count();
            };
            let seen = Run::new(&script, guest::world_like(profile.name)).play(check);
            let twice = Run::new(&again, guest::world_like(profile.name)).play(|_, _| {});
            assert_eq!(seen, twice, "SEED={seed} on {profile}");
            let leaked = seen.last().into_iter().flatten().any(|line| line.ends_with("is leaked"));
            assert!(!leaked || left > 0, "SEED={seed} on {profile}: {:?}", seen.last());
        }
    }
}

/// In how many orders a script can happen at the most, to be run in all of them.
const MOST_ORDERS: usize = 500;

/// How many ways there are to shuffle the steps of the actors, each keeping its own order; woken threads
/// come on top.
fn shuffles(script: &Script) -> usize {
    let mut done = 0;
    (0..script.actors.len()).fold(1, |ways: usize, actor| {
        let steps = script.steps.iter().filter(|step| step.actor == actor).count();
        (1..=steps).fold(ways, |ways, step| {
            done += 1;
            ways.saturating_mul(done) / step
        })
    })
}

#[test]
fn small_scripts_break_nothing_in_any_order() {
    let (mut explored, mut orders) = (0, 0);
    for (name, Recorded { script, .. }) in scripts() {
        if !(2..=MOST_ORDERS).contains(&shuffles(&script)) {
            continue;
        }
        let check = |world: &mut World| world.check().unwrap_or_else(|broken| panic!("{name}: {broken}"));
        let mut left = Vec::new();
        let all = script.explore(
            || guest::world_like("7.3"),
            check,
            |world, transcript| {
                left.push((world.ready(), transcript.lines.len()));
            },
        );
        assert_eq!(all.orders, left.len(), "{name}");
        assert!(left.iter().all(|(ready, steps)| *ready == 0 && *steps <= script.steps.len()), "{name}");
        (explored, orders) = (explored + 1, orders + all.orders);
    }
    assert!(explored >= 10 || std::env::var_os("SCRIPTS").is_some(), "{explored} scripts in {orders} orders");
}

#[test]
fn every_order_is_run_once() {
    let script: Script = "
        actor one
        actor two
        one: open pipe a
        one: open pipe b
        two: open pipe c
        two: open pipe d
    "
    .parse()
    .expect("a script");
    let mut seen = std::collections::BTreeSet::new();
    let mut order = Vec::new();
    let tables = |world: &World| {
        let held = ["a", "b", "c", "d"].map(|name| world.holds(name));
        held.map(usize::from)
    };
    let steps = std::cell::RefCell::new(&mut order);
    let explored = script.explore(
        || guest::world_like("7.3"),
        |world| steps.borrow_mut().push(tables(world)),
        |_, _| assert!(seen.insert(std::mem::take(*steps.borrow_mut())), "an order came twice"),
    );
    assert_eq!(explored.orders, 6, "four steps, two and two");
    assert_eq!(explored.events, 24);
    assert_eq!(seen.len(), 6);
}

#[test]
fn where_two_players_disagree_is_told_step_by_step() {
    let text = "
        actor one

        seen on 5.10 7.3

        1 one: open pipe a
          -> fd 3
        2 one: close 3
          -> [5.10] ok
          -> [7.3] EBADF
          -> [7.3] twice
    ";
    let recorded: Recorded = text.parse().expect("a record");
    let seen = recorded.script.play_as(Profile::V7_3);
    assert_eq!(recorded.compare("5.10", &seen), []);
    let [one] = &recorded.compare("7.3", &seen)[..] else { panic!("one step differs") };
    assert_eq!(
        one.to_string(),
        " 2 one: close 3\n      recorded: EBADF\n                twice\n      seen:     ok"
    );
    let unknown = recorded.compare("6.1", &seen);
    assert_eq!(unknown.len(), 2, "nothing was recorded, so nothing agrees");
    assert!(unknown[0].to_string().contains("recorded: nothing"));
}
