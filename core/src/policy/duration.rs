//! Durations in a policy: a whole number with its unit, such as `500ms`, `60s`, `10m`, `1h`, `7d`.

use std::time::Duration;

use super::reader::Node;

pub(super) fn duration(node: &Node<'_>) -> Option<Duration> {
    node.check(parse(node.text()?), "expected a duration such as `500ms`, `60s`, `10m`, `1h` or `7d`")
}

/// Reads a duration within a range, which `expected` describes.
pub(super) fn duration_within(
    node: &Node<'_>,
    range: std::ops::RangeInclusive<Duration>,
    expected: &str,
) -> Option<Duration> {
    let duration = duration(node)?;
    node.check(range.contains(&duration).then_some(duration), expected)
}

/// Reads a duration; `None` for any other text.
pub(crate) fn parse(text: &str) -> Option<Duration> {
    let unit = text.find(|char: char| !char.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(unit)?;
    let number: u64 = number.parse().ok()?;
    let seconds = match unit {
        "ms" => return Some(Duration::from_millis(number)),
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => return None,
    };
    number.checked_mul(seconds).map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_whole_number_with_its_unit() {
        for (text, expect) in [
            ("500ms", Some(Duration::from_millis(500))),
            ("0s", Some(Duration::ZERO)),
            ("60s", Some(Duration::from_mins(1))),
            ("10m", Some(Duration::from_mins(10))),
            ("1h", Some(Duration::from_hours(1))),
            ("7d", Some(Duration::from_hours(168))),
            ("18446744073709551615s", Some(Duration::from_secs(u64::MAX))),
            ("18446744073709551615d", None),
            ("99999999999999999999s", None),
            ("", None),
            ("60", None),
            ("s", None),
            ("-1s", None),
            ("+1s", None),
            ("1.5s", None),
            ("1 s", None),
            (" 1s", None),
            ("1S", None),
            ("1h30m", None),
            ("1w", None),
        ] {
            assert_eq!(parse(text), expect, "{text}");
        }
    }
}
