//! Plots of a report as SVG, drawn with plotters.
//!
//! What is black is written as `currentColor`: on a page the reader's theme decides, light or dark. The other
//! colours are legible on both. Axes of figures are logarithmic, since what is compared differs by powers of
//! ten.

use std::ops::Range;

use plotters::chart::ChartBuilder;
use plotters::coord::Shift;
use plotters::coord::ranged1d::{IntoSegmentedCoord, SegmentValue};
use plotters::drawing::{DrawingArea, IntoDrawingArea};
use plotters::element::{Circle, PathElement, Text};
use plotters::prelude::{IntoLogRange, SVGBackend};
use plotters::series::LineSeries;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{BLACK, Color, RGBColor, TextStyle};

use crate::advice::{RECYCLED, crossover};
use crate::table::{bytes, figure};
use crate::{Failure, Question, Report, Role, Row, Unit};

/// Colours that can be told apart on light and on dark.
const COLOURS: [RGBColor; 9] = [
    RGBColor(47, 129, 199),
    RGBColor(217, 115, 13),
    RGBColor(43, 155, 120),
    RGBColor(190, 90, 150),
    RGBColor(150, 115, 50),
    RGBColor(110, 120, 220),
    RGBColor(200, 70, 70),
    RGBColor(120, 130, 140),
    RGBColor(90, 160, 60),
];

/// The size of a plot of lines; one of rows is as high as it has rows.
const SIZE: (u32, u32) = (860, 440);

/// Where plotters draws.
type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Ping-pong: a line for each way of waiting, from the median over p99 to p99.9.
///
/// # Errors
///
/// When the report has no such rows, or cannot be drawn.
pub fn latency(report: &Report) -> Result<String, Failure> {
    let all = || rows_of(report, Question::PingPong);
    // A floor is shown where nothing of ours stands beside it.
    let stands_alone = |row: &Row| {
        row.role != Role::Floor
            || !all().any(|other| other.role == Role::Ours && other.subject == row.subject)
    };
    let mut rows: Vec<&Row> = all().filter(|row| stands_alone(row)).collect();
    rows.sort_by(|one, other| other.median.total_cmp(&one.median));
    let range = bounds(rows.iter().flat_map(|row| [row.median, row.p999]))?;
    let height = 60 + 22 * u32::try_from(rows.len()).unwrap_or(0);
    let title =
        "Round trips by way of waiting: the dot is the median, the line goes to p99 and, thinner, to p99.9";
    draw((SIZE.0, height), title, |area| {
        let mut chart = ChartBuilder::on(area)
            .margin_right(30)
            .margin_top(8)
            .y_label_area_size(210)
            .x_label_area_size(30)
            .build_cartesian_2d(range.clone().log_scale(), (0..rows.len()).into_segmented())
            .map_err(step)?;
        let name = |at: &SegmentValue<usize>| match at {
            SegmentValue::CenterOf(at) => rows.get(*at).map_or_else(String::new, |row| row.subject.clone()),
            _ => String::new(),
        };
        let time = |x: &f64| figure(Unit::Nanoseconds, *x);
        chart
            .configure_mesh()
            .disable_y_mesh()
            .y_labels(rows.len())
            .y_label_formatter(&name)
            .x_label_formatter(&time)
            .x_labels(8)
            .bold_line_style(BLACK.mix(0.15))
            .light_line_style(BLACK.mix(0.0))
            .axis_style(BLACK.mix(0.4))
            .label_style(words())
            .draw()
            .map_err(step)?;
        for (at, row) in rows.iter().enumerate() {
            let (at, colour) = (SegmentValue::CenterOf(at), COLOURS[usize::from(row.role != Role::Ours)]);
            for (to, width) in [(row.p999, 1), (row.p99, 4)] {
                let line = [(row.median, at.clone()), (to, at.clone())];
                let line = PathElement::new(line, colour.mix(0.7).stroke_width(width));
                chart.draw_series([line]).map_err(step)?;
            }
            chart.draw_series([Circle::new((row.median, at), 5, colour.filled())]).map_err(step)?;
        }
        Ok(())
    })
}

/// Throughput by size of message, with the size from which on it pays to pass a descriptor.
///
/// # Errors
///
/// When the report has no such rows, or cannot be drawn.
pub fn throughput(report: &Report) -> Result<String, Failure> {
    let lines = [
        ("memfd, in place", Role::Ours),
        ("iceoryx2, in place", Role::Peer),
        ("memfd, ring", Role::Ours),
        (RECYCLED, Role::Ours),
        ("memfd passed, fresh", Role::Ours),
        ("ipc-channel shared memory", Role::Peer),
        ("Unix socket", Role::Floor),
        ("pipe", Role::Model),
        ("ipc-channel bytes", Role::Peer),
    ];
    let mark = crossover(report, RECYCLED, Role::Ours);
    let mark = mark.map(|size| (size, format!("from {} on: pass the descriptor", bytes(size))));
    by_size(report, Question::Throughput, "Bytes a second, by size of message", &lines, mark)
}

/// Set-up by size of region.
///
/// # Errors
///
/// When the report has no such rows, or cannot be drawn.
pub fn set_up(report: &Report) -> Result<String, Failure> {
    let lines = [
        ("System V", Role::Ours),
        ("memfd, sealed", Role::Ours),
        ("memfd, not sealed", Role::Model),
        ("POSIX shared memory", Role::Floor),
        ("mmap, anonymous and shared", Role::Model),
        ("ipc-channel shared memory", Role::Peer),
        ("shared_memory", Role::Peer),
        ("iceoryx2 shared memory", Role::Peer),
    ];
    by_size(report, Question::SetUp, "Make, map, fill, unmap and destroy a region, by its size", &lines, None)
}

/// A line for each way over the sizes, each named at its end.
fn by_size(
    report: &Report,
    question: Question,
    title: &str,
    lines: &[(&str, Role)],
    mark: Option<(u64, String)>,
) -> Result<String, Failure> {
    let points = |subject: &str, role: Role| -> Vec<(f64, f64)> {
        let is_it = |row: &&Row| row.subject == subject && row.role == role;
        rows_of(report, question).filter(is_it).map(|row| (row.size as f64, row.median)).collect()
    };
    let lines: Vec<_> = lines
        .iter()
        .map(|&(subject, role)| (subject, points(subject, role)))
        .filter(|l| !l.1.is_empty())
        .collect();
    let all = || lines.iter().flat_map(|line| line.1.iter().copied());
    let (x, y) = (bounds(all().map(|point| point.0))?, bounds(all().map(|point| point.1))?);
    draw(SIZE, title, |area| {
        let mut chart = ChartBuilder::on(area)
            .margin_right(200)
            .margin_top(12)
            .y_label_area_size(80)
            .x_label_area_size(30)
            .build_cartesian_2d(x.clone().log_scale().base(2.0), y.clone().log_scale())
            .map_err(step)?;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a label near a power of two
        let size = |x: &f64| bytes(1 << x.log2().round() as u32);
        chart
            .configure_mesh()
            .x_label_formatter(&size)
            .x_labels(11)
            .y_label_formatter(&|y| figure(question.unit(), *y))
            .bold_line_style(BLACK.mix(0.15))
            .light_line_style(BLACK.mix(0.0))
            .axis_style(BLACK.mix(0.4))
            .label_style(words())
            .draw()
            .map_err(step)?;
        if let Some((at, text)) = &mark {
            let at = *at as f64;
            let line = PathElement::new([(at, y.start), (at, y.end)], BLACK.mix(0.5));
            chart.draw_series([line]).map_err(step)?;
            let style = words().pos(Pos::new(HPos::Right, VPos::Top));
            chart.draw_series([Text::new(format!("{text} "), (at, y.end), style)]).map_err(step)?;
        }
        for ((_, points), colour) in lines.iter().zip(COLOURS) {
            let line = LineSeries::new(points.iter().copied(), colour.stroke_width(2)).point_size(3);
            chart.draw_series(line).map_err(step)?;
        }
        let ends = lines.iter().map(|line| line.1.last().map_or((x.end, y.start), |end| *end));
        let ends = ends.map(|end| chart.backend_coord(&end)).collect::<Vec<_>>();
        names(area, &lines, &spread(&ends))
    })
}

/// The names of the lines beside their ends.
fn names(area: &Area<'_>, lines: &[(&str, Vec<(f64, f64)>)], at: &[(i32, i32)]) -> Result<(), Failure> {
    for (((name, _), colour), at) in lines.iter().zip(COLOURS).zip(at) {
        let style = words().color(&colour).pos(Pos::new(HPos::Left, VPos::Center));
        area.draw(&Text::new(*name, *at, style)).map_err(step)?;
    }
    Ok(())
}

/// Places for names: in the order of the lines' ends, and far enough apart to be read.
fn spread(ends: &[(i32, i32)]) -> Vec<(i32, i32)> {
    let mut order: Vec<usize> = (0..ends.len()).collect();
    order.sort_by_key(|&at| ends[at].1);
    let right = ends.iter().map(|end| end.0).max().unwrap_or(0) + 10;
    let mut places = vec![(right, 0); ends.len()];
    let mut free = 12;
    for at in order {
        places[at].1 = ends[at].1.max(free);
        free = places[at].1 + 16;
    }
    places
}

fn rows_of(report: &Report, question: Question) -> impl Iterator<Item = &Row> {
    report.rows.iter().filter(move |row| row.question == question)
}

/// A range with some room on both sides of all figures.
fn bounds(figures: impl Iterator<Item = f64> + Clone) -> Result<Range<f64>, Failure> {
    let low = figures.clone().min_by(f64::total_cmp).ok_or_else(|| Failure::new("no rows to plot"))?;
    let high = figures.max_by(f64::total_cmp).unwrap_or(low);
    Ok(low / 1.3..high * 1.3)
}

fn words() -> TextStyle<'static> {
    TextStyle::from(("system-ui, sans-serif", 13)).color(&BLACK)
}

/// The finished picture: with a title for who does not see it, and no blank line, so that a page can include
/// it.
fn draw(
    size: (u32, u32),
    title: &str,
    work: impl FnOnce(&Area<'_>) -> Result<(), Failure>,
) -> Result<String, Failure> {
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, size).into_drawing_area();
        work(&area)?;
        area.present().map_err(step)?;
    }
    let text =
        text.replacen("<svg ", "<svg class=\"pic\" role=\"img\" ", 1).replace("#000000", "currentColor");
    let end_of_tag = text.find('>').map_or(0, |at| at + 1);
    let (head, rest) = text.split_at(end_of_tag);
    let lines: Vec<_> = rest.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    Ok(format!("{head}\n<title>{title}</title>\n{}\n", lines.join("\n")))
}

fn step<E: std::error::Error + Send + Sync>(error: plotters::drawing::DrawingAreaErrorKind<E>) -> Failure {
    Failure::new(format!("drawing a plot: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_beside_their_ends_and_not_on_each_other() {
        assert_eq!(spread(&[(10, 100), (20, 104), (5, 300)]), [(30, 100), (30, 116), (30, 300)]);
        assert_eq!(spread(&[(10, 104), (20, 100)]), [(30, 116), (30, 100)]);
        assert_eq!(spread(&[]), []);
    }

    #[test]
    fn a_plot_takes_the_colour_of_its_page() {
        let mut report = crate::report::empty();
        assert!(set_up(&report).is_err(), "there is nothing to plot");
        for size in [4096, 65_536] {
            report.rows.push(Row::of(Question::SetUp, "System V", Role::Ours, size, 1000.0 + size as f64));
        }
        let plot = set_up(&report).expect("two points");
        assert!(plot.starts_with("<svg class=\"pic\"") && plot.ends_with("</svg>\n"), "{plot}");
        assert!(
            plot.contains("currentColor") && !plot.contains("#000000") && !plot.contains("\n\n"),
            "{plot}"
        );
        assert!(plot.contains("System V") && plot.contains("64 KiB"), "{plot}");
    }
}
