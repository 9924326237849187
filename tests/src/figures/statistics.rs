//! Medians and quartiles.
//!
//! Values are compared round by round: a machine that was slow for a while was slow for both.

/// The median and the quartiles of some values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The median.
    pub median: f64,
    /// The lower quartile.
    pub low: f64,
    /// The upper quartile.
    pub high: f64,
}

/// Returns the median and the quartiles of some values, `None` without values.
pub fn spread(values: &[f64]) -> Option<Spread> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    Some(Spread { median: quantile(&sorted, 2)?, low: quantile(&sorted, 1)?, high: quantile(&sorted, 3)? })
}

/// Returns a quartile, interpolated between two values.
fn quantile(sorted: &[f64], quarters: usize) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let (place, rest) = (last * quarters / 4, last * quarters % 4);
    let (below, above) = (sorted.get(place)?, sorted.get((place + 1).min(last))?);
    #[expect(clippy::cast_precision_loss, reason = "less than 4")]
    Some(below + (above - below) * rest as f64 / 4.0)
}

/// Returns the differences, round by round.
pub(super) fn differences(values: &[f64], others: &[f64]) -> Vec<f64> {
    values.iter().zip(others).map(|(value, other)| value - other).collect()
}

/// Returns the ratios, round by round.
pub(super) fn ratios(values: &[f64], others: &[f64]) -> Vec<f64> {
    values.iter().zip(others).map(|(value, other)| value / other).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_and_the_quarters_lie_between_values_where_they_must() {
        let of = |values: &[f64]| spread(values).map(|Spread { median, low, high }| (low, median, high));
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[7.0]), Some((7.0, 7.0, 7.0)));
        assert_eq!(of(&[4.0, 1.0, 3.0, 2.0, 5.0]), Some((2.0, 3.0, 4.0)));
        assert_eq!(of(&[1.0, 2.0, 3.0, 10.0]), Some((1.75, 2.5, 4.75)));
    }

    #[test]
    fn drift_that_hits_both_alike_is_no_difference() {
        let (slow_then_fast, with_more) = ([50.0, 30.0, 40.0], [55.0, 35.0, 45.0]);
        assert_eq!(differences(&with_more, &slow_then_fast), [5.0; 3]);
        assert_eq!(ratios(&[2.0, 4.0], &[1.0, 2.0]), [2.0; 2]);
    }
}
