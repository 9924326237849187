//! Amounts: dollars to the nano-dollar, or tokens. Numbers stay below 2^53, so that every JSON reader keeps them exact.

use serde::{Deserialize, Serialize};

use super::error::RegistryError;

/// The largest number that the registry keeps: 9,000,000 USD in nano-dollars. Larger ones saturate here.
pub(crate) const MAX_NUMBER: i64 = 9_000_000_000_000_000;

/// The nano-dollars of a dollar.
const DOLLAR: i64 = 1_000_000_000;

const DECIMALS: usize = 9;

/// The unit of a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// Nano-dollars.
    Usd,
    /// Input and output tokens.
    Tokens,
}

impl Unit {
    /// Returns `usd` or `tokens`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Usd => "usd",
            Self::Tokens => "tokens",
        }
    }

    pub(in crate::registry) fn from_name(name: &str) -> Option<Self> {
        [Self::Usd, Self::Tokens].into_iter().find(|unit| unit.name() == name)
    }

    /// Returns a number of this unit for people: `$12.50`, `1,200 tokens`.
    pub(crate) fn shown(self, number: i64) -> String {
        match self {
            Self::Usd => dollars_shown(number),
            Self::Tokens => format!("{} tokens", grouped(number)),
        }
    }
}

/// Adds two numbers from 0, at most up to [`MAX_NUMBER`].
pub(crate) fn add(one: i64, other: i64) -> i64 {
    one.saturating_add(other).clamp(0, MAX_NUMBER)
}

/// Returns a number of a data plane, at most [`MAX_NUMBER`].
pub(crate) fn saturated(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(MAX_NUMBER).min(MAX_NUMBER)
}

/// Parses dollars such as `10` or `0.25`, with at most 9 decimals, to nano-dollars above 0.
pub(crate) fn parse_dollars(text: &str) -> Result<i64, RegistryError> {
    read_dollars(text).filter(|number| (1..=MAX_NUMBER).contains(number)).ok_or_else(|| {
        RegistryError::Invalid {
            field: "usd",
            expected: "expected dollars from 0.000000001 to 9000000, with at most 9 decimals".to_owned(),
        }
    })
}

/// Reads dollars of any size, with at most 9 decimals, as nano-dollars. Returns `None` for other texts.
pub(crate) fn read_dollars(text: &str) -> Option<i64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_digits(whole) || !is_digits(part) || part.len() > DECIMALS {
        return None;
    }
    let part = format!("{part:0<DECIMALS$}").parse().ok()?;
    whole.parse::<i64>().ok()?.checked_mul(DOLLAR)?.checked_add(part)
}

/// Checks a number of tokens.
pub(crate) fn check_tokens(number: u64) -> Result<i64, RegistryError> {
    let number = i64::try_from(number).ok().filter(|number| (1..=MAX_NUMBER).contains(number));
    number.ok_or_else(|| RegistryError::Invalid {
        field: "tokens",
        expected: format!("expected 1 to {MAX_NUMBER}"),
    })
}

/// Returns nano-dollars as exact dollars without needless zeros: `0.25`.
pub(crate) fn dollars(number: i64) -> String {
    let (whole, part) = (number / DOLLAR, number % DOLLAR);
    let text = format!("{whole}.{part:09}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Returns nano-dollars for people: cents, or for a part of a dollar hundredths of a cent, rounded up.
fn dollars_shown(number: i64) -> String {
    let (step, decimals) = if number >= DOLLAR || number == 0 { (10_000_000, 2) } else { (100_000, 4) };
    let steps = number.saturating_add(step - 1) / step;
    let unit = DOLLAR / step;
    format!("${}.{:0decimals$}", grouped(steps / unit), steps % unit)
}

/// Returns a number with its digits in groups of three: `1,234,567`.
pub(crate) fn grouped(number: i64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_shows_dollars_exactly() {
        for (text, nano, exact, shown) in [
            ("10", 10_000_000_000, "10", "$10.00"),
            ("0.25", 250_000_000, "0.25", "$0.2500"),
            ("0.000000001", 1, "0.000000001", "$0.0001"),
            ("1234.567", 1_234_567_000_000, "1234.567", "$1,234.57"),
            ("9000000", MAX_NUMBER, "9000000", "$9,000,000.00"),
        ] {
            assert_eq!(parse_dollars(text).ok(), Some(nano), "{text}");
            assert_eq!((dollars(nano).as_str(), dollars_shown(nano).as_str()), (exact, shown));
        }
        assert_eq!((dollars(0), dollars_shown(0)), ("0".to_owned(), "$0.00".to_owned()));
        for text in ["", "0", "0.0", ".5", "5.", "-1", "+1", "1e3", "1,5", "0.0000000001", "9000000.1", "$1"]
        {
            assert!(parse_dollars(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sums_saturate_below_what_json_keeps_exact() {
        assert_eq!(add(MAX_NUMBER, MAX_NUMBER), MAX_NUMBER);
        assert_eq!(saturated(u64::MAX), MAX_NUMBER);
        const { assert!(MAX_NUMBER < 1 << 53) };
        assert!(check_tokens(0).is_err() && check_tokens(u64::MAX).is_err() && check_tokens(1).is_ok());
    }
}
