//! What must be true of the figures of any run on any machine: counts, and which is greater. Never a time.

use benches::{Question, Report, Role, Row};

/// A page, and 256 of them.
const REGIONS: [u64; 2] = [4 << 10, 1 << 20];

/// Checks all shapes.
pub(crate) fn check(report: &Report) {
    larger_regions_cost_more(report);
    faults_are_counted(report);
    sleeping_costs_switches_and_time(report);
    more_descriptors_cost_more(report);
    one_more_costs_the_same(report);
}

fn find<'a>(report: &'a Report, question: Question, subject: &str, role: Role, size: u64) -> &'a Row {
    report
        .find(question, subject, role, size)
        .unwrap_or_else(|| panic!("no row {subject} ({role:?}, {size})"))
}

fn larger_regions_cost_more(report: &Report) {
    for (question, subjects) in [
        (Question::SetUp, &["System V", "memfd, sealed"][..]),
        (Question::Joining, &["System V, by id", "memfd, by descriptor"]),
        (Question::HandOver, &["System V, id in a message", "memfd, by SCM_RIGHTS"]),
    ] {
        for subject in subjects {
            for role in [Role::Floor, Role::Ours] {
                let [small, large] = REGIONS.map(|size| find(report, question, subject, role, size));
                assert!(large.median > 2.0 * small.median, "256 pages are not dearer than one: {large:?}");
            }
        }
    }
}

/// A segment's pages fault one by one, a memfd's come in by the sixteen where they are read, one by one where
/// they are written.
fn faults_are_counted(report: &Report) {
    for role in [Role::Floor, Role::Ours] {
        let segment = find(report, Question::Joining, "System V, by id", role, REGIONS[1]);
        let memfd = find(report, Question::Joining, "memfd, by descriptor", role, REGIONS[1]);
        assert!((250.0..300.0).contains(&segment.faults), "{segment:?}");
        assert!((14.0..60.0).contains(&memfd.faults), "{memfd:?}");
    }
    let plain = find(report, Question::FirstTouch, "memfd", Role::Floor, 4 << 20);
    assert!((0.9..1.2).contains(&plain.faults), "{plain:?}");
}

fn sleeping_costs_switches_and_time(report: &Report) {
    if !report.environment.pinned {
        return eprintln!("skipped: ping-pong on two CPUs, since this process may run on one only");
    }
    for memory in ["System V", "memfd"] {
        let row = |way: &str| find(report, Question::PingPong, &format!("{memory}, {way}"), Role::Floor, 0);
        let (spinning, sleeping) = (row("spinning"), row("futex"));
        assert!(sleeping.median > 3.0 * spinning.median, "sleeping is as fast as spinning: {sleeping:?}");
        assert!(sleeping.switches > 1.0, "a round trip without two sleeps: {sleeping:?}");
        assert!(spinning.switches < 0.5, "a spinning round trip that sleeps: {spinning:?}");
    }
}

fn more_descriptors_cost_more(report: &Report) {
    for role in [Role::Floor, Role::Ours] {
        let cost =
            |fds: &str| find(report, Question::HandOver, &format!("{fds}, there and back"), role, 0).median;
        assert!(cost("1 fd") < cost("16 fds") && cost("16 fds") < cost("253 fds"), "{role:?}");
    }
}

/// Neither the kernel nor our libraries look through all that stand.
fn one_more_costs_the_same(report: &Report) {
    for subject in ["memfds", "memfd mappings"] {
        for role in [Role::Floor, Role::Ours] {
            let [few, many] =
                [1, 100].map(|count| find(report, Question::Scale, subject, role, count).median);
            assert!(
                many < 10.0 * few,
                "{subject} ({role:?}): {few} ns beside one, {many} ns beside a hundred"
            );
        }
    }
}
