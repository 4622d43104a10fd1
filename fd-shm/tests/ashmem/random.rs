//! Random scripts, sensible and senseless, and the shortest form of one on which two worlds disagree.

use fd_shm::ashmem::{PAGE, Prot};
use proptest::prelude::*;
use proptest::strategy::{Union, ValueTree};
use proptest::test_runner::{RngAlgorithm, TestError, TestRng, TestRunner};

use crate::answer::Answer;
use crate::script::{Ask, Call, NameOperand, PinCall, Step, Whence, bytes};

/// Pages of the region that most scripts begin with.
const PAGES: u64 = 8;

const fn pages(number: u64) -> u64 {
    number * PAGE as u64
}

fn any_actor() -> impl Strategy<Value = char> {
    prop_oneof![6 => Just('A'), 3 => Just('B'), 1 => Just('C')]
}

/// A descriptor's name: few, so that they meet.
fn any_fd() -> impl Strategy<Value = String> {
    prop_oneof![6 => Just("r"), 1 => Just("q")].prop_map(str::to_owned)
}

fn any_map() -> impl Strategy<Value = String> {
    prop_oneof![4 => Just("m"), 2 => Just("n"), 1 => Just("o")].prop_map(str::to_owned)
}

/// A size or length: whole pages, or nearly.
fn any_len() -> impl Strategy<Value = u64> {
    prop_oneof![
        6 => (1..=PAGES).prop_map(pages),
        2 => (0..=PAGES, 0..PAGE as u64).prop_map(|(whole, rest)| pages(whole) + rest),
        1 => Just(0),
        1 => Just(pages(PAGES) + 1),
        1 => Just(1),
    ]
}

/// An offset for a mapping.
fn any_offset() -> impl Strategy<Value = u64> {
    prop_oneof![5 => Just(0), 3 => (0..PAGES + 2).prop_map(pages)]
}

fn any_prot() -> impl Strategy<Value = Prot> {
    prop_oneof![6 => Just(3), 3 => Just(1), 1 => Just(0), 2 => 0..8_u32].prop_map(Prot::from_bits)
}

fn any_mask() -> impl Strategy<Value = Prot> {
    prop_oneof![3 => Just(7), 2 => Just(3), 2 => Just(1), 3 => 0..8_u32, 1 => Just(0xff)]
        .prop_map(Prot::from_bits)
}

/// The operands of a pin operation.
fn any_range() -> impl Strategy<Value = Option<(u32, u32)>> {
    let small = |page: u64| u32::try_from(pages(page)).expect("a few pages");
    let whole =
        (0..PAGES, 1..=PAGES).prop_map(move |(first, len)| (small(first), small(len.min(PAGES - first))));
    let odd = prop_oneof![0..10 * 4096_u32, Just(u32::MAX), Just(u32::MAX - 4095), Just(1 << 31)];
    let odd = prop_oneof![3 => odd, 2 => (0..PAGES + 2).prop_map(small)];
    prop_oneof![
        12 => whole.prop_map(Some),
        2 => (0..=PAGES).prop_map(move |first| Some((small(first), 0))),
        1 => (odd.clone(), odd).prop_map(Some),
        1 => Just(None),
    ]
}

/// An offset in a mapping, at the beginning of a page or not.
fn any_place() -> impl Strategy<Value = u64> {
    prop_oneof![4 => (0..PAGES).prop_map(pages), 1 => 0..pages(PAGES + 1)]
}

fn any_name() -> impl Strategy<Value = NameOperand> {
    prop_oneof![
        3 => "[a-z]{0,6}".prop_map(NameOperand::Text),
        1 => prop_oneof![Just(254), Just(255), Just(256), Just(300)].prop_map(NameOperand::Long),
        1 => Just(NameOperand::Nowhere),
    ]
}

fn any_ask() -> impl Strategy<Value = Ask> {
    let rare = proptest::sample::select(Ask::ALL);
    prop_oneof![8 => Just(Ask::Purge), 6 => rare]
}

fn any_seek() -> impl Strategy<Value = (Whence, i64)> {
    let offset = prop_oneof![
        4 => (0..PAGES).prop_map(|page| pages(page).cast_signed()),
        2 => -3 * PAGE as i64..10 * PAGE as i64,
    ];
    (proptest::sample::select(Whence::ALL), offset)
}

/// What one actor does with what it has.
fn any_plain_call() -> impl Strategy<Value = Call> {
    let pins = prop_oneof![4 => Just(PinCall::Unpin), 3 => Just(PinCall::Pin), 2 => Just(PinCall::Status)];
    prop_oneof![
        30 => (pins, any_fd(), any_range()).prop_map(|(call, fd, range)| Call::Pin { call, fd, range }),
        10 => (any_ask(), any_fd()).prop_map(|(ask, fd)| Call::Ask { ask, fd }),
        8 => (any_map(), any_place(), 1..=255_u8).prop_map(|(map, at, value)| Call::Store { map, at, value }),
        8 => (any_map(), any_place()).prop_map(|(map, at)| Call::Load { map, at }),
        4 => (any_map(), any_fd(), any_len(), any_prot(), prop::bool::weighted(0.8), any_offset())
            .prop_map(|(map, fd, len, prot, shared, at)| Call::Mmap { map, fd, len, prot, shared, at }),
        4 => (any_map(), any_prot()).prop_map(|(map, prot)| Call::Mprotect { map, prot }),
        1 => any_map().prop_map(|map| Call::Munmap { map }),
        1 => any_map().prop_map(|map| Call::Line { map }),
        2 => (any_fd(), any_mask()).prop_map(|(fd, mask)| Call::SetMask { fd, mask }),
        2 => (any_fd(), any_len()).prop_map(|(fd, len)| Call::Read { fd, len }),
        4 => (any_fd(), any_seek()).prop_map(|(fd, (whence, offset))| Call::Seek { fd, whence, offset }),
    ]
}

/// What makes, names or hands over a region, or ends somebody.
fn any_other_call() -> impl Strategy<Value = Call> {
    prop_oneof![
        2 => any_fd().prop_map(|fd| Call::Open { fd }),
        3 => (any_fd(), any_len()).prop_map(|(fd, size)| Call::Create { fd, name: "other".to_owned(), size }),
        3 => (any_fd(), any_name()).prop_map(|(fd, name)| Call::SetName { fd, name }),
        3 => (any_fd(), any_len()).prop_map(|(fd, size)| Call::SetSize { fd, size }),
        2 => (any_fd(), any_fd()).prop_map(|(to, fd)| Call::Dup { to, fd }),
        1 => (any_fd(), any_fd()).prop_map(|(to, fd)| Call::Reopen { to, fd }),
        3 => any_fd().prop_map(|fd| Call::Ask { ask: Ask::Close, fd }),
        6 => (any_fd(), any_actor(), any_fd()).prop_map(|(fd, to, name)| Call::Send { fd, to, name }),
        4 => prop_oneof![Just('B'), Just('C')].prop_map(|child| Call::Fork { child }),
        1 => Just(Call::Die),
        1 => Just(Call::Become { uid: 1000 }),
        1 => Just(Call::ReadImpliesExec),
    ]
}

fn any_step() -> impl Strategy<Value = Step> {
    let call = prop_oneof![5 => any_plain_call(), 1 => any_other_call()];
    (any_actor(), call).prop_map(|(actor, call)| Step { actor, call })
}

/// How a script begins: with a region to work on, or with nothing.
fn any_beginning() -> impl Strategy<Value = Vec<Step>> {
    let whole = bytes(pages(PAGES));
    let lines = [
        format!("A create r \"notes\" {whole}\nA mmap m r {whole} rw- shared"),
        format!("A create r \"notes\" {whole}\nA mmap m r {whole} rw- shared\nA fork B"),
        format!(
            "A create r \"notes\" {whole}\nA mmap m r {whole} rw- shared\nA send r B r\nB mmap m r {whole} rw- shared"
        ),
        format!("A create r \"notes\" {whole}\nA mmap m r {whole} rw- shared\nA create q \"other\" {whole}"),
        format!("A create r \"notes\" {whole}\nA set_mask r r--\nA mmap m r {whole} r-- shared"),
        format!("A create r \"notes\" {}", pages(PAGES) - 1000),
        String::new(),
    ];
    let scripts = lines.map(|text| Just(crate::script::parse(&text).expect("steps")));
    let weights = [6, 4, 4, 4, 1, 2, 1];
    Union::new_weighted(weights.into_iter().zip(scripts).collect())
}

fn any_script() -> impl Strategy<Value = Vec<Step>> {
    (any_beginning(), proptest::collection::vec(any_step(), 1..60))
        .prop_map(|(beginning, steps)| [beginning, steps].concat())
}

/// How one world plays a script.
pub(crate) type Play<'a> = &'a dyn Fn(&[Step]) -> Vec<Answer>;

/// A runner of so many cases that does the same for the same seed.
fn runner(seed: u64, cases: u32) -> TestRunner {
    let config = ProptestConfig {
        cases,
        failure_persistence: None,
        max_shrink_iters: 2000,
        ..ProptestConfig::default()
    };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed.to_le_bytes(); 4].concat());
    TestRunner::new_with_rng(config, rng)
}

/// The scripts of a seed.
pub(crate) fn scripts(seed: u64, cases: u32) -> Vec<Vec<Step>> {
    let mut runner = runner(seed, cases);
    let mut script = || any_script().new_tree(&mut runner).expect("a script").current();
    (0..cases).map(|_| script()).collect()
}

/// What is left of a script for a region that is there from the start, of a memory file: one region, mapped
/// whole, and nothing that is listed as different.
pub(crate) fn for_one_region(script: &[Step]) -> Vec<Step> {
    let whole = bytes(pages(PAGES));
    let beginning = format!("A create r \"notes\" {whole}\nA mmap m r {whole} rw- shared");
    let beginning = crate::script::parse(&beginning).expect("steps");
    let kept = script.iter().filter_map(|step| {
        let call = match &step.call {
            Call::Pin { range: Some(_), .. }
            | Call::Ask { ask: Ask::Purge | Ask::GetSize | Ask::GetName | Ask::Close, .. }
            | Call::Load { .. }
            | Call::Store { .. }
            | Call::Munmap { .. }
            | Call::Dup { .. }
            | Call::Send { .. }
            | Call::Fork { .. }
            | Call::Die => step.call.clone(),
            Call::Mmap { map, fd, .. } => Call::Mmap {
                map: map.clone(),
                fd: fd.clone(),
                len: pages(PAGES),
                prot: Prot::from_bits(3),
                shared: true,
                at: 0,
            },
            _ => return None,
        };
        Some(Step { actor: step.actor, call })
    });
    beginning.into_iter().chain(kept).collect()
}

/// Plays random scripts with two worlds until they disagree: the shortest script found on which they do.
///
/// `seen` is told of each script on which they agreed.
pub(crate) fn disagreement(
    seed: u64,
    cases: u32,
    play: [Play<'_>; 2],
    seen: &dyn Fn(&[Step]),
) -> Option<Vec<Step>> {
    let disagree = |script: &[Step]| play[0](script) != play[1](script);
    let outcome = runner(seed, cases).run(&any_script(), |script| {
        if disagree(&script) {
            return Err(TestCaseError::fail("they disagree"));
        }
        seen(&script);
        Ok(())
    });
    match outcome {
        Ok(()) => None,
        Err(TestError::Fail(_, script)) => Some(shortest(script, &disagree)),
        Err(other) => panic!("{other}"),
    }
}

/// Leaves out every step without which they still disagree. (proptest has done so before it made the steps
/// simpler, and some are only superfluous since.)
fn shortest(mut script: Vec<Step>, disagree: &dyn Fn(&[Step]) -> bool) -> Vec<Step> {
    let mut at = 0;
    while at < script.len() {
        let mut without = script.clone();
        without.remove(at);
        if disagree(&without) {
            (script, at) = (without, 0);
        } else {
            at += 1;
        }
    }
    script
}
