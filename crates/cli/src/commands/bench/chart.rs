//! Charts of lines, as SVG.

use super::markup::escape;
use std::fmt::Write as _;

/// The size of the plot, and the margins for the ticks.
const WIDTH: f64 = 600.0;
const HEIGHT: f64 = 180.0;
const LEFT: f64 = 60.0;
const BOTTOM: f64 = 24.0;
const TOP: f64 = 8.0;
/// The ticks of an axis without names.
const TICKS: usize = 5;

/// Lines over an axis. Both begin at 0.
pub(super) struct Chart<'a> {
    pub(super) title: &'a str,
    /// The name of the horizontal axis.
    pub(super) x: &'a str,
    pub(super) series: Vec<Series>,
    /// Positions on the horizontal axis, and their names; numbers if there are none.
    pub(super) ticks: Vec<(f64, String)>,
}

/// A line.
pub(super) struct Series {
    pub(super) name: String,
    pub(super) points: Vec<(f64, f64)>,
}

impl Chart<'_> {
    /// The chart in a figure; nothing without two points to connect.
    pub(super) fn svg(&self) -> String {
        let points = || self.series.iter().flat_map(|series| &series.points);
        let largest = |of: fn(&(f64, f64)) -> f64| points().map(of).fold(0.0, f64::max);
        let (right, top) = (largest(|point| point.0), round_up(largest(|point| point.1)));
        if right <= 0.0 || self.series.iter().all(|series| series.points.len() < 2) {
            return String::new();
        }
        let at = |(x, y): (f64, f64)| (LEFT + x / right * WIDTH, TOP + HEIGHT - y / top * HEIGHT);
        let mut marks = String::new();
        for step in 0..=TICKS {
            let value = top * step as f64 / TICKS as f64;
            let (_, y) = at((0.0, value));
            let _ = write!(
                marks,
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
                 <text class=\"tick\" x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                LEFT + WIDTH,
                LEFT - 6.0,
                y + 4.0,
                short(value)
            );
        }
        for (x, name) in self.ticks_up_to(right) {
            let (x, _) = at((x, 0.0));
            let _ = write!(
                marks,
                "<text class=\"tick\" x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{name}</text>",
                TOP + HEIGHT + 16.0
            );
        }
        let mut legend = String::new();
        for (index, series) in self.series.iter().enumerate() {
            let path: Vec<_> = series.points.iter().map(|point| at(*point)).collect();
            let path: String = path.iter().map(|(x, y)| format!("{x:.1},{y:.1} ")).collect();
            let class = format!("series-{}", index % 4);
            let _ = write!(marks, "<polyline class=\"{class}\" points=\"{}\"/>", path.trim_end());
            if self.series.len() > 1 {
                let _ = write!(legend, "<span class=\"{class}\">{}</span> ", escape(&series.name));
            }
        }
        format!(
            "<figure>\n<figcaption>{title} {legend}</figcaption>\n\
             <svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{title}, by {}\">{marks}</svg>\n</figure>\n",
            LEFT + WIDTH + 30.0,
            TOP + HEIGHT + BOTTOM,
            self.x,
            title = self.title,
        )
    }

    fn ticks_up_to(&self, right: f64) -> Vec<(f64, String)> {
        if !self.ticks.is_empty() {
            return self.ticks.iter().filter(|(x, _)| *x <= right * 1.001).cloned().collect();
        }
        (0..=TICKS).map(|step| right * step as f64 / TICKS as f64).map(|x| (x, short(x))).collect()
    }
}

/// The next of 1, 2 and 5 with zeros.
fn round_up(value: f64) -> f64 {
    if value <= 0.0 {
        return 1.0;
    }
    let power = 10_f64.powf(value.log10().floor());
    let factor = [1.0, 2.0, 5.0].into_iter().find(|factor| factor * power >= value);
    factor.unwrap_or(10.0) * power
}

fn short(value: f64) -> String {
    let digits = if value == 0.0 || value >= 10.0 { 0 } else { 2 };
    let text = format!("{value:.digits$}");
    if digits == 0 { text } else { text.trim_end_matches('0').trim_end_matches('.').to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_end_at_round_numbers() {
        let ends = [0.0, 0.03, 1.0, 1.2, 4.9, 5.1, 12_691.0].map(round_up);
        assert_eq!(ends, [1.0, 0.05, 1.0, 2.0, 5.0, 10.0, 20_000.0]);
        assert_eq!([0.0, 0.5, 2.0, 15_000.0].map(short), ["0", "0.5", "2", "15000"]);
    }

    #[test]
    fn a_chart_needs_two_points() {
        let chart = |points| Chart {
            title: "Answers a second",
            x: "seconds",
            series: vec![Series { name: "a<b".to_owned(), points }],
            ticks: Vec::new(),
        };
        assert_eq!(chart(vec![(1.0, 1.0)]).svg(), "");
        let drawn = chart(vec![(1.0, 0.0), (2.0, 10.0)]).svg();
        assert!(drawn.contains("points=\"360.0,188.0 660.0,8.0\""), "{drawn}");
    }
}
