//! Charts as SVG, made by the server. Each has a text that says what it shows, and its numbers in a table.
//!
//! Colours come from the stylesheet by class, since the content security policy permits no inline styles.

use maud::{Markup, html};

use crate::registry::amount::grouped;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 200.0;
/// The space for the labels of the axes.
const LEFT: f64 = 72.0;
const BOTTOM: f64 = 24.0;
const TOP: f64 = 10.0;
/// The most labels below the bars.
const MAX_LABELS: usize = 8;

/// A part of each bar.
pub(super) struct Series {
    /// The name for people.
    pub(super) name: &'static str,
    /// The class that gives the colour.
    pub(super) class: &'static str,
    /// A value for each bar.
    pub(super) values: Vec<i64>,
}

/// Bars with a label each, made of one or more series that stand on each other.
pub(super) struct Bars<'a> {
    pub(super) id: &'static str,
    pub(super) title: &'a str,
    pub(super) labels: &'a [String],
    pub(super) series: &'a [Series],
    /// Returns a value as text.
    pub(super) shown: fn(i64) -> String,
}

impl Bars<'_> {
    pub(super) fn markup(&self) -> Markup {
        let (title, text) = (format!("{}-title", self.id), format!("{}-text", self.id));
        html! {
            figure .chart {
                figcaption {
                    span { (self.title) }
                    @if self.series.len() > 1 {
                        span .legend {
                            @for series in self.series { span .key { span class={ "dot " (series.class) } {} (series.name) } }
                        }
                    }
                }
                svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-labelledby={ (title) " " (text) } {
                    title id=(title) { (self.title) }
                    desc id=(text) { (self.summary()) }
                    (self.grid())
                    @for index in 0..self.labels.len() { (self.bar(index)) }
                    (self.below())
                }
                (self.numbers())
            }
        }
    }

    fn sum(&self, index: usize) -> i64 {
        let values = self.series.iter().filter_map(|series| series.values.get(index));
        values.fold(0, |sum: i64, value| sum.saturating_add(*value))
    }

    /// Returns the value at the top of the chart: a round number that no bar exceeds.
    fn top(&self) -> i64 {
        round_up((0..self.labels.len()).map(|index| self.sum(index)).max().unwrap_or(0))
    }

    fn summary(&self) -> String {
        let greatest = (0..self.labels.len()).max_by_key(|index| self.sum(*index));
        let named = greatest.and_then(|index| Some((self.labels.get(index)?, self.sum(index))));
        match named {
            Some((label, value)) if value > 0 => {
                format!(
                    "{} days. The greatest value is {}, on {label}.",
                    self.labels.len(),
                    (self.shown)(value)
                )
            }
            _ => "There are no values.".to_owned(),
        }
    }

    fn grid(&self) -> Markup {
        let top = self.top();
        html! {
            @for (share, value) in [(0.0, 0), (0.5, top / 2), (1.0, top)] {
                line .grid-line x1=(LEFT) x2=(WIDTH) y1=(coordinate(height(share))) y2=(coordinate(height(share))) {}
                text .axis x=(LEFT - 6.0) y=(coordinate(height(share) + 4.0)) text-anchor="end" { ((self.shown)(value)) }
            }
        }
    }

    fn bar(&self, index: usize) -> Markup {
        let (step, top) = (self.step(), self.top());
        let x = LEFT + step * as_float(index);
        let label = self.labels.get(index).map_or("", String::as_str);
        let mut below = 0_i64;
        let mut parts = Vec::new();
        for series in self.series {
            let value = series.values.get(index).copied().unwrap_or(0);
            let from = height(share(below, top));
            below = below.saturating_add(value);
            let to = height(share(below, top));
            parts.push((series.class, to, from - to));
        }
        html! {
            g {
                title { (label) ": " ((self.shown)(self.sum(index))) }
                @for (class, y, tall) in parts {
                    @if tall > 0.0 {
                        rect class=(class) x=(coordinate(x + step * 0.1)) y=(coordinate(y))
                            width=(coordinate(step * 0.8)) height=(coordinate(tall.max(1.0))) {}
                    }
                }
            }
        }
    }

    fn below(&self) -> Markup {
        let every = self.labels.len().div_ceil(MAX_LABELS).max(1);
        html! {
            @for (index, label) in self.labels.iter().enumerate().step_by(every) {
                text .axis x=(coordinate(LEFT + self.step() * (as_float(index) + 0.5))) y=(HEIGHT - 6.0) text-anchor="middle" {
                    (label.get(5..).unwrap_or(label))
                }
            }
        }
    }

    fn step(&self) -> f64 {
        (WIDTH - LEFT) / as_float(self.labels.len().max(1))
    }

    fn numbers(&self) -> Markup {
        html! {
            details {
                summary { "Numbers" }
                div .table tabindex="0" role="region" aria-label={ "Numbers: " (self.title) } {
                    table {
                        thead { tr {
                            th scope="col" { "Day" }
                            @for series in self.series { th scope="col" { (series.name) } }
                        } }
                        tbody {
                            @for (index, label) in self.labels.iter().enumerate().rev() {
                                tr {
                                    th scope="row" { (label) }
                                    @for series in self.series {
                                        td data-label=(series.name) {
                                            ((self.shown)(series.values.get(index).copied().unwrap_or(0)))
                                        }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Returns a bar for a share of a whole, beside a number in a table.
pub(super) fn share_bar(part: i64, whole: i64) -> Markup {
    let width = coordinate(share(part, whole) * 100.0);
    html! {
        svg .share viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true" {
            rect .track width="100" height="8" {}
            rect .series-1 width=(width) height="8" {}
        }
    }
}

/// Returns a number of tokens in few characters: `1.2M`.
pub(super) fn compact(number: i64) -> String {
    for (unit, name) in [(1_000_000_000_000, "T"), (1_000_000_000, "B"), (1_000_000, "M"), (1000, "k")] {
        if number >= unit && number >= 10_000 {
            let tenths = number / (unit / 10);
            return match tenths % 10 {
                0 => format!("{}{name}", grouped(tenths / 10)),
                tenth => format!("{}.{tenth}{name}", grouped(tenths / 10)),
            };
        }
    }
    grouped(number)
}

/// Returns 1, 2 or 5 with zeros, at least the value.
fn round_up(value: i64) -> i64 {
    let mut unit = 1_i64;
    loop {
        for digit in [1, 2, 5] {
            let round = unit.saturating_mul(digit);
            if round >= value || round == i64::MAX {
                return round;
            }
        }
        unit = unit.saturating_mul(10);
    }
}

/// Returns the place of a share of the height, from the top.
fn height(share: f64) -> f64 {
    TOP + (HEIGHT - BOTTOM - TOP) * (1.0 - share)
}

#[expect(clippy::cast_precision_loss, reason = "a picture needs no more")]
fn share(part: i64, whole: i64) -> f64 {
    if whole <= 0 { 0.0 } else { (part as f64 / whole as f64).clamp(0.0, 1.0) }
}

#[expect(clippy::cast_precision_loss, reason = "there are few bars")]
fn as_float(number: usize) -> f64 {
    number as f64
}

fn coordinate(value: f64) -> String {
    format!("{value:.1}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_top_of_a_chart_is_a_round_number() {
        for (value, top) in [(0, 1), (1, 1), (3, 5), (1001, 2000), (5000, 5000), (i64::MAX, i64::MAX)] {
            assert_eq!(round_up(value), top, "{value}");
        }
    }

    #[test]
    fn tokens_are_shown_in_few_characters() {
        for (number, text) in [
            (0, "0"),
            (9999, "9,999"),
            (12_340, "12.3k"),
            (2_000_000, "2M"),
            (9_000_000_000_000_000, "9,000T"),
        ] {
            assert_eq!(compact(number), text);
        }
    }

    #[test]
    fn a_chart_says_in_words_and_numbers_what_it_shows() {
        let series = |name, values| Series { name, class: "series-1", values };
        let labels = ["2026-11-01", "2026-11-02"].map(str::to_owned);
        let bars = |values| {
            Bars { id: "c", title: "A & B", labels: &labels, series: &[series("x", values)], shown: compact }
                .markup()
                .into_string()
        };
        let markup = bars(vec![5, 90_000]);
        for expect in
            ["A &amp; B", "The greatest value is 90k, on 2026-11-02.", "role=\"img\"", ">11-02<", "<td"]
        {
            assert!(markup.contains(expect), "{expect}: {markup}");
        }
        // An element of SVG that is not closed would hold all that follows.
        assert_eq!(markup.matches("<line").count(), markup.matches("</line>").count());
        assert!(!markup.contains("style=") && !markup.contains("NaN"));
        assert!(bars(vec![]).contains("There are no values."));
    }
}
