//! The kernel against a model: random programs run on both, and agree on every result, every errno, and every
//! field of every segment after every step.
//!
//! `SEED=` replays a run. A disagreement is shrunk and printed as a story.

mod calls;
mod facts;
mod helper;
mod kernel;
mod mistakes;
mod play;
mod rights;
mod state;
mod step;
#[path = "../support/mod.rs"]
mod support;

use std::cell::RefCell;
use std::{env, process};

use kernel::{World, fresh_namespace};
use mistakes::{MISTAKES, Mistake};
use play::Tally;
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestError, TestRng, TestRunner};
use step::{Role, Step};
use support::namespace::{private, skip};

/// Steps that a run of the test makes at least.
const STEPS: usize = 20_000;

/// Programs to find a mistake with, at most.
const PROGRAMS_TO_FIND_A_MISTAKE: u32 = 400;

/// What a run of the test meets, each many times: a kind of step, and the ways in which it ends.
const MET: [(&str, &[&str]); 13] = [
    ("shmget", &["done", "EACCES", "EEXIST", "EINVAL", "ENOENT"]),
    ("shmat", &["done", "EACCES", "EINVAL"]),
    ("mprotect", &["done"]),
    ("munmap", &["done"]),
    ("shmdt", &["done", "EINVAL"]),
    ("IPC_RMID", &["done", "EINVAL"]),
    ("IPC_SET", &["done", "EINVAL"]),
    ("IPC_STAT", &["done", "EACCES", "EINVAL"]),
    ("fork", &["done"]),
    ("execve", &["done"]),
    ("exit", &["done"]),
    ("kill", &["done"]),
    ("shm_rmid_forced", &["done"]),
];

#[test]
fn the_kernel_and_the_model_agree() {
    helper::be_one_if_asked();
    let seed = env::var("SEED").map_or_else(|_| u64::from(process::id()), |seed| seed.parse().unwrap());
    in_a_world("the_kernel_and_the_model_agree", |world| {
        let mut tally = Tally::new();
        for round in 0.. {
            if tally.values().sum::<usize>() >= STEPS {
                break;
            }
            if let Some(story) = disagreement(world, seed.wrapping_add(round), 50, None, &mut tally) {
                panic!("the kernel and the model disagree (SEED={seed}):\n{story}");
            }
        }
        println!("SEED={seed}: {} steps: {tally:?}", tally.values().sum::<usize>());
        let met = MET.iter().flat_map(|(kind, ends)| ends.iter().map(|&end| (*kind, end.to_owned())));
        let missing: Vec<_> = met
            .chain(world.stranger.map_or(vec![], |_| met_with_a_stranger()))
            .filter(|(kind, _)| world.limited || *kind != "shm_rmid_forced")
            .chain(world.limited.then(|| ("shmget", "ENOSPC".to_owned())))
            .filter(|it| !tally.contains_key(it))
            .collect();
        assert!(missing.is_empty(), "SEED={seed}: never met: {missing:?}");
    });
}

#[test]
fn a_wrong_model_is_caught() {
    helper::be_one_if_asked();
    in_a_world("a_wrong_model_is_caught", |world| {
        let can_force = |mistake: &&Mistake| world.limited || !mistake.disproof[0].contains("forced");
        for mistake in MISTAKES.iter().filter(can_force) {
            let mut tally = Tally::new();
            let story = disagreement(world, 1, PROGRAMS_TO_FIND_A_MISTAKE, Some(mistake), &mut tally);
            let story = story.unwrap_or_else(|| panic!("not caught: {}", mistake.belief));
            println!("{}:\n{story}", mistake.belief);
            for words in mistake.disproof {
                assert!(story.contains(words), "{}: no \"{words}\" in:\n{story}", mistake.belief);
            }
            let lines = story.lines().count();
            assert!(lines <= 8, "{} is disproved in {lines} lines:\n{story}", mistake.belief);
        }
    });
}

/// What is met only by somebody who does not own everything.
fn met_with_a_stranger() -> Vec<(&'static str, String)> {
    ["IPC_RMID", "IPC_SET"].map(|kind| (kind, "EPERM".to_owned())).into()
}

/// Runs `test` with a thread, capabilities and namespaces of its own.
fn in_a_world(test: &'static str, run: impl FnOnce(&World) + Send) {
    private(|| {
        helper::obey_mode_bits();
        let (world, missing) = World::new(test);
        missing.iter().for_each(|what| skip(test, what));
        run(&world);
        fresh_namespace(); // the last program's may hold segments: that is what it was made for
    });
}

/// Plays random programs until one makes the kernel and the model disagree: its shrunk form, as a story.
fn disagreement(
    world: &World,
    seed: u64,
    programs: u32,
    mistake: Option<&Mistake>,
    tally: &mut Tally,
) -> Option<String> {
    let config = ProptestConfig {
        cases: programs,
        failure_persistence: None,
        max_shrink_iters: 2000,
        ..ProptestConfig::default()
    };
    let rng = TestRng::from_seed(RngAlgorithm::XorShift, &[seed.to_le_bytes(); 2].concat());
    let program = proptest::collection::vec(step::any_step(), 1..160);
    let tally = RefCell::new(tally);
    let outcome = TestRunner::new_with_rng(config, rng).run(&program, |program| {
        play::play(world, &program, mistake, *tally.borrow_mut()).map_err(TestCaseError::fail)
    });
    match outcome {
        Ok(()) => None,
        Err(TestError::Fail(_, program)) => Some(shortest(world, program, mistake)),
        Err(other) => panic!("{other}"),
    }
}

/// The story of a program on which the two disagree, once no step can be left out of it, and none be made by
/// the parent instead of a helper. (proptest has shrunk it, but drops steps only before it simplifies them.)
fn shortest(world: &World, mut program: Vec<Step>, mistake: Option<&Mistake>) -> String {
    let disagree = |program: &[Step]| play::play(world, program, mistake, &mut Tally::new()).err();
    let mut story = disagree(&program).expect("a program that the kernel plays twice in the same way");
    let mut at = 0;
    while at < program.len() {
        let (mut without, mut by_parent) = (program.clone(), program.clone());
        without.remove(at);
        by_parent[at].role = Role::Parent;
        let simpler = [without, by_parent].into_iter().filter(|it| *it != program);
        let simpler = simpler.filter_map(|it| disagree(&it).map(|story| (it, story))).next();
        match simpler {
            Some(found) => ((program, story), at) = (found, 0),
            None => at += 1,
        }
    }
    story
}
