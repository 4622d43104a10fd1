//! The subjects of a question under criterion.
//!
//! Criterion measures one subject after the other, and has no notion of a second process: its strength is
//! its statistics and the comparison with the last run. What needs turns and tails is in the report.

use std::cell::RefCell;
use std::process::ExitCode;
use std::time::Duration;

use benches::{Clock, Effort, Entry, Failure, Place, Question, become_if_asked, prepare};
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion};

/// The `main` of a criterion program: all subjects of one question.
///
/// It takes criterion's arguments, among them `--test` (each subject once), which is what a run without
/// `--bench` means.
pub(crate) fn main_of(question: Question) -> ExitCode {
    if let Some(code) = become_if_asked() {
        return code;
    }
    match run(question) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("benches: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(question: Question) -> Result<(), Failure> {
    let place = Place::take()?;
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(500))
        .sample_size(20);
    // To draw a subject's pages takes criterion eight times as long as to measure it.
    if std::env::var_os("PLOTS").is_none() {
        criterion = criterion.without_plots();
    }
    let mut criterion = criterion.configure_from_args();
    let failed = RefCell::new(None);
    // One group for the question: criterion draws a group's summary whenever a group ends.
    let mut measured = criterion.benchmark_group(question.title());
    for group in prepare(question, place, Effort::QUICK) {
        for entry in group()?.entries {
            bench(&mut measured, entry, &failed);
        }
    }
    measured.finish();
    criterion.final_summary();
    failed.into_inner().map_or(Ok(()), Err)
}

/// Measures one subject. Criterion's closures cannot fail: the first failure is kept, and the rest is
/// skipped.
fn bench(group: &mut BenchmarkGroup<'_, WallTime>, mut entry: Entry, failed: &RefCell<Option<Failure>>) {
    let id = BenchmarkId::new(format!("{}/{}", entry.subject, entry.role.name()), entry.size);
    group.bench_function(id, |bencher| {
        bencher.iter_custom(|count| {
            let mut clock = Clock::new(count);
            if failed.borrow().is_none() {
                *failed.borrow_mut() = entry.work.run(count, &mut clock).err();
            }
            // Criterion divides by this; a failed run has no time, and is reported in the end.
            clock.total().max(Duration::from_nanos(1))
        });
    });
}
