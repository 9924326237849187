//! A rate limit in tokens of models, and the arithmetic of what comes back.

const MAX_TOKENS: u32 = 1_000_000_000;
const MAX_PERIOD_SECONDS: u32 = 86_400;
pub(super) const NANOSECONDS: i64 = 1_000_000_000;

/// A number of tokens in a number of seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TokenLimit {
    tokens: u32,
    seconds: u32,
}

impl TokenLimit {
    /// Returns a limit of 1 to 1,000,000,000 tokens in 1 second to 1 day; `None` for anything else.
    pub fn new(tokens: u32, seconds: u32) -> Option<Self> {
        let fits = (1..=MAX_TOKENS).contains(&tokens) && (1..=MAX_PERIOD_SECONDS).contains(&seconds);
        fits.then_some(Self { tokens, seconds })
    }

    /// Returns the number of tokens.
    pub fn tokens(self) -> u32 {
        self.tokens
    }

    /// Returns the number of seconds.
    pub fn seconds(self) -> u32 {
        self.seconds
    }

    pub(super) fn window(self) -> i64 {
        i64::from(self.seconds).saturating_mul(NANOSECONDS)
    }

    /// Returns the nanoseconds in which a number of tokens comes back.
    pub(super) fn time_of(self, tokens: u64) -> i64 {
        let time = u128::from(tokens).saturating_mul(u128::from(self.window().unsigned_abs()));
        i64::try_from(time.div_ceil(u128::from(self.tokens.max(1)))).unwrap_or(i64::MAX)
    }

    /// Returns the tokens that come back in a time.
    pub(super) fn tokens_in(self, nanoseconds: i64) -> u32 {
        let nanoseconds = u128::try_from(nanoseconds).unwrap_or(0);
        let window = u128::from(self.window().unsigned_abs()).max(1);
        let tokens = nanoseconds.saturating_mul(u128::from(self.tokens)).checked_div(window);
        u32::try_from(tokens.unwrap_or(0)).unwrap_or(u32::MAX)
    }
}
