//! What a reader who has to choose takes away: three sentences, made from the rows.

use crate::table::{bytes, figure};
use crate::{Question, Report, Role, Row, Unit};

/// The sentences for which the report has the rows.
pub fn sentences(report: &Report) -> Vec<String> {
    [waiting(report), pages(report), passing(report)].into_iter().flatten().collect()
}

fn waiting(report: &Report) -> Option<String> {
    let row = |subject, role| report.find(Question::PingPong, subject, role, 0);
    let (spin, futex) = (row("memfd, spinning", Role::Ours)?, row("memfd, futex", Role::Ours)?);
    let (other, socket) = (row("System V, futex", Role::Ours)?, row("Unix socket", Role::Floor)?);
    let caution = caution(&[spin, futex, other, socket]);
    Some(format!(
        "How you wait matters more than what you share: a word there and back takes {} spinning, {} sleeping on a \
         futex and {} over a Unix socket; between System V and a memfd lie {:.0} %, between the first two ways of \
         waiting a factor of {:.0}, and who spins keeps a CPU busy.{caution}",
        time(spin),
        time(futex),
        time(socket),
        (apart(other.median, futex.median) - 1.0) * 100.0,
        futex.median / spin.median,
    ))
}

fn pages(report: &Report) -> Option<String> {
    let size = 1 << 20;
    let row = |question, subject| report.find(question, subject, Role::Ours, size);
    let made = [row(Question::SetUp, "System V")?, row(Question::SetUp, "memfd, sealed")?];
    let entered =
        [row(Question::Joining, "System V, by id")?, row(Question::Joining, "memfd, by descriptor")?];
    Some(format!(
        "Pages cost more than calls, so the models cost the same to make and not to enter: a filled region of {} \
         takes {} as a System V segment and {} as a sealed memfd; to enter one that stands and look at each of its \
         pages takes {} and {}, since a fault brings in one page of a segment and sixteen of a memfd.{}",
        bytes(size),
        time(made[0]),
        time(made[1]),
        time(entered[0]),
        time(entered[1]),
        caution(&[made, entered].concat()),
    ))
}

fn passing(report: &Report) -> Option<String> {
    let of_both = |row: &&Row| {
        row.question == Question::Throughput && [RECYCLED, "Unix socket"].contains(&row.subject.as_str())
    };
    let both: Vec<&Row> = report.rows.iter().filter(of_both).collect();
    both.first()?;
    let from = match crossover(report, RECYCLED, Role::Ours) {
        Some(size) => {
            format!("From messages of {} on, pass the descriptor of memory that stands.", bytes(size))
        }
        None => {
            let sizes = wins(report, RECYCLED, Role::Ours).into_iter().rev().map(bytes).collect::<Vec<_>>();
            let sizes = if sizes.is_empty() { "no size".to_owned() } else { sizes.join(" and ") + " alone" };
            format!(
                "Passing the descriptor of memory that stands beat copying through a socket at {sizes}: measure yours."
            )
        }
    };
    let mut above: Vec<f64> =
        report.rows.iter().filter(|row| row.role == Role::Ours).filter_map(|row| row.ratio).collect();
    above.sort_by(f64::total_cmp);
    let middle = above.get(above.len() / 2)?;
    Some(format!(
        "{from} And let a library check what you are given, for that is next to free: in the {} rows of ours the \
         middle one takes {middle:.2} times what raw calls take.{}",
        above.len(),
        caution(&both),
    ))
}

/// The subject that passes descriptors of regions which stand.
pub(crate) const RECYCLED: &str = "memfd passed, recycled";

/// The smallest size from which on this way is faster than copying through a Unix socket.
pub fn crossover(report: &Report, subject: &str, role: Role) -> Option<u64> {
    let (wins, sizes) = (wins(report, subject, role), sizes(report, subject, role));
    let lasting = sizes.iter().rev().zip(&wins).take_while(|(size, won)| size.0 == **won);
    lasting.last().map(|(_, won)| *won)
}

/// The sizes at which it is faster, the greatest first.
fn wins(report: &Report, subject: &str, role: Role) -> Vec<u64> {
    let (passed, copied) = (sizes(report, subject, role), sizes(report, "Unix socket", Role::Floor));
    let won = passed.iter().zip(&copied).rev().filter(|(passed, copied)| passed.1 > copied.1);
    won.map(|(passed, _)| passed.0).collect()
}

/// How fast it moves messages of each size.
fn sizes(report: &Report, subject: &str, role: Role) -> Vec<(u64, f64)> {
    let is_it =
        |row: &&Row| row.question == Question::Throughput && row.subject == subject && row.role == role;
    report.rows.iter().filter(is_it).map(|row| (row.size, row.median)).collect()
}

/// A warning where a sentence rests on figures that another run may not find again.
fn caution(rows: &[&Row]) -> &'static str {
    if rows.iter().any(|row| row.noisy) {
        " (Some of these rows are noisy: trust the order of magnitude.)"
    } else {
        ""
    }
}

fn time(row: &Row) -> String {
    figure(Unit::Nanoseconds, row.median)
}

/// How many times greater the greater is.
fn apart(one: f64, other: f64) -> f64 {
    one.max(other) / one.min(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_crossover_is_where_the_lead_begins_that_lasts() {
        let report = |passed: [f64; 3], copied: [f64; 3]| {
            let mut report = crate::report::empty();
            for (at, size) in [64, 4096, 65_536].into_iter().enumerate() {
                report.rows.push(Row::of(Question::Throughput, RECYCLED, Role::Ours, size, passed[at]));
                report.rows.push(Row::of(Question::Throughput, "Unix socket", Role::Floor, size, copied[at]));
            }
            report
        };
        for (passed, copied, expected) in [
            ([1.0, 2.0, 9.0], [3.0, 3.0, 3.0], Some(65_536)),
            ([1.0, 4.0, 9.0], [3.0, 3.0, 3.0], Some(4096)),
            ([4.0, 1.0, 9.0], [3.0, 3.0, 3.0], Some(65_536)), // a lead that was lost again counts for nothing
            ([1.0, 1.0, 1.0], [3.0, 3.0, 3.0], None),
        ] {
            assert_eq!(crossover(&report(passed, copied), RECYCLED, Role::Ours), expected, "{passed:?}");
        }
        let lost_again = wins(&report([1.0, 4.0, 1.0], [3.0, 3.0, 3.0]), RECYCLED, Role::Ours);
        assert_eq!(lost_again, [4096]);
        // Nothing is said of what was not measured.
        let mut other = crate::report::empty();
        assert!(sentences(&other).is_empty());
        let ours = Row { ratio: Some(1.0), ..Row::of(Question::SetUp, "System V", Role::Ours, 4096, 1.0) };
        other.rows.push(ours);
        assert!(sentences(&other).is_empty());
    }
}
