//! Durations as policies have them: `500ms`, `60s`, `10m`, `1h`, `7d`.

use std::time::Duration;

use super::reader::Node;

/// The longest that means anything here.
const LONGEST: Duration = Duration::from_hours(366 * 24);

pub(super) fn read(node: &Node<'_>) -> Option<Duration> {
    node.check(
        parse(node.text()?),
        "expected a duration such as `300s`: a whole number and `ms`, `s`, `m`, `h` or `d`",
    )
}

/// A whole number and a unit; zero and more than a year are no durations.
pub(crate) fn parse(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    let duration = Duration::from_millis(number.parse::<u64>().ok()?.checked_mul(milliseconds)?);
    (!duration.is_zero() && duration <= LONGEST).then_some(duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_and_a_unit_are_a_duration() {
        for (text, milliseconds) in
            [("500ms", 500), ("60s", 60_000), ("10m", 600_000), ("1h", 3_600_000), ("7d", 604_800_000)]
        {
            assert_eq!(parse(text), Some(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in
            ["", "5", "s", "0s", "-1s", "1.5s", "1 s", "1S", "1w", "367d", "99999999999999999999s", "１s"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
