//! Money as a whole number of nano-dollars, read from and written as decimal text without a detour through floats.

use std::fmt;

/// An amount of money in nano-dollars: 10⁻⁹ US dollars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Nano(pub u64);

/// The number of decimals of a dollar.
const DECIMALS: i32 = 9;
/// The most digits of a decimal number: more than any price has, and few enough for 128 bits.
const MAX_DIGITS: usize = 30;

impl Nano {
    /// Reads an amount in US dollars, such as `10`, `0.25` or `2.5e-7`. Returns `None` for a negative amount, for more
    /// than nine decimals, and for any other text.
    pub fn from_usd(text: &str) -> Option<Self> {
        scaled(text, DECIMALS).and_then(|(value, is_exact)| is_exact.then_some(Self(value)))
    }

    /// Returns the sum, or the largest amount there is.
    #[must_use]
    pub const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl fmt::Display for Nano {
    /// Writes US dollars as a decimal number, without zeros at its end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, fraction) = (self.0 / 1_000_000_000, self.0 % 1_000_000_000);
        if fraction == 0 {
            return write!(f, "{whole}");
        }
        let fraction = format!("{fraction:09}");
        write!(f, "{whole}.{}", fraction.trim_end_matches('0'))
    }
}

/// Reads a decimal number times 10 to the `power`, rounded to the nearest whole number. The flag is set where nothing had
/// to be rounded. Returns `None` for a sign, for more than 30 digits, for a number of more than 64 bits, and for text
/// that is no number.
pub fn scaled(text: &str, power: i32) -> Option<(u64, bool)> {
    let (digits, exponent) = match text.split_once(['e', 'E']) {
        Some((digits, exponent)) => (digits, exponent.parse::<i16>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if !(1..=MAX_DIGITS).contains(&whole.len().saturating_add(fraction.len())) {
        return None;
    }
    let mut number: u128 = 0;
    for byte in whole.bytes().chain(fraction.bytes()) {
        let digit = byte.is_ascii_digit().then(|| u128::from(byte.saturating_sub(b'0')))?;
        number = number.checked_mul(10)?.checked_add(digit)?;
    }
    let shift = power.checked_add(i32::from(exponent))?.checked_sub(i32::try_from(fraction.len()).ok()?)?;
    let factor = 10_u128.checked_pow(shift.unsigned_abs());
    match factor {
        _ if number == 0 => Some((0, true)),
        Some(factor) if shift >= 0 => Some((u64::try_from(number.checked_mul(factor)?).ok()?, true)),
        None if shift >= 0 => None,
        Some(divisor) => {
            let rounded = number.checked_add(divisor / 2)?.checked_div(divisor)?;
            Some((u64::try_from(rounded).ok()?, number.checked_rem(divisor) == Some(0)))
        }
        // Smaller than any number that is told apart from zero.
        None => Some((0, false)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn dollars_are_read_exactly_or_not_at_all() {
        for (text, expect) in [
            ("10", Some(10_000_000_000)),
            ("0", Some(0)),
            ("0.000000001", Some(1)),
            (".5", Some(500_000_000)),
            ("5.", Some(5_000_000_000)),
            ("1.250", Some(1_250_000_000)),
            ("1.0000000000000000000", Some(1_000_000_000)),
            ("2.5e-7", Some(250)),
            ("1E+3", Some(1_000_000_000_000)),
            ("0e999", Some(0)),
            ("18446744073.709551615", Some(u64::MAX)),
            ("18446744073.709551616", None),
            ("0.0000000001", None),
            ("1e-99", None),
            ("1e99", None),
            ("", None),
            (".", None),
            ("e5", None),
            ("-1", None),
            ("+1", None),
            (" 1", None),
            ("1_000", None),
            ("1,5", None),
            ("NaN", None),
            ("inf", None),
            ("0x10", None),
            ("1.2.3", None),
            ("١", None),
        ] {
            assert_eq!(Nano::from_usd(text), expect.map(Nano), "{text}");
        }
    }

    #[test]
    fn what_a_float_left_behind_is_rounded_to_the_nearest_number() {
        for (text, expect) in [
            ("6.000000000000001e-07", Some((600_000_000, false))),
            ("1.25e-06", Some((1_250_000_000, true))),
            ("4e-10", Some((400_000, true))),
            ("1e-16", Some((0, false))),
            ("5e-16", Some((1, false))),
        ] {
            assert_eq!(scaled(text, 15), expect, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(amount in any::<u64>()) {
            prop_assert_eq!(Nano::from_usd(&Nano(amount).to_string()), Some(Nano(amount)));
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,40}", power in -40..40_i32) {
            let _ = scaled(&text, power);
        }

        #[test]
        fn an_exponent_and_a_comma_mean_the_same(number in 0..1_000_000_u64, exponent in 0..9_u32) {
            let text = format!("{number}e-{exponent}");
            prop_assert_eq!(Nano::from_usd(&text), Some(Nano(number * 10_u64.pow(9 - exponent))));
        }
    }
}
