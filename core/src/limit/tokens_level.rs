//! The budget of one caller in tokens, as it stands at a time.

use super::token_limit::{NANOSECONDS, TokenLimit};

/// The time after which reservations are held in another place: the second move drops those that were never settled.
const EPOCH_SECONDS: i64 = 600;

/// The outcome of reserving tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokensTaken {
    /// The number of tokens in a full budget.
    pub limit: u32,
    /// The number of tokens that are left.
    pub remaining: u32,
    /// The seconds until the request fits; 0 where it does.
    pub retry_after: u32,
    /// The milliseconds until the budget is full, if nothing more is taken.
    pub reset_milliseconds: u64,
    /// The seconds in which a spent budget becomes full.
    pub window: u32,
}

/// The tokens of one reservation, and the epoch in which they were reserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reserved {
    amount: u64,
    epoch: i64,
}

/// The budget of a caller. The default is a full one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Level {
    /// The time at which the budget is full again, in nanoseconds since 1970.
    pub(super) full_at: i64,
    /// The tokens that are reserved since the present epoch began, and those of the epoch before it.
    pub(super) held: u64,
    pub(super) held_before: u64,
    pub(super) epoch: i64,
}

impl Level {
    /// Returns the budget as it stands now. What lies further ahead than two budgets is from a clock that was put back, or from
    /// a larger limit.
    pub(super) fn at(mut self, limit: Option<TokenLimit>, now: i64) -> Self {
        if let Some(limit) = limit {
            self.full_at = self.full_at.min(now.saturating_add(limit.window().saturating_mul(2)));
        }
        self.full_at = self.full_at.max(now);
        let all = self.all_held();
        let epoch = epoch(now);
        match epoch.saturating_sub(self.epoch) {
            0 => {}
            1 => (self.held_before, self.held) = (self.held, 0),
            2.. => (self.held_before, self.held) = (0, 0),
            // The clock was put back.
            _ => (self.held_before, self.held) = (0, all),
        }
        self.epoch = epoch;
        self
    }

    /// Tells whether nothing is taken and nothing is reserved.
    pub(super) fn is_full(self, now: i64) -> bool {
        self.full_at <= now && self.all_held() == 0
    }

    fn all_held(self) -> u64 {
        self.held.saturating_add(self.held_before)
    }

    /// Reserves tokens, if they are there.
    pub(super) fn reserve(
        &mut self,
        limit: TokenLimit,
        tokens: u64,
        now: i64,
    ) -> Result<Reserved, TokensTaken> {
        let amount = tokens.min(limit.tokens().into());
        let reserved = self.all_held().saturating_add(amount);
        let ahead = self.full_at.saturating_sub(now).saturating_add(limit.time_of(reserved));
        let lacking = ahead.saturating_sub(limit.window());
        if lacking > 0 {
            let seconds = lacking.saturating_add(NANOSECONDS.saturating_sub(1)).div_euclid(NANOSECONDS);
            let retry_after = u32::try_from(seconds).unwrap_or(u32::MAX);
            return Err(TokensTaken { retry_after, ..self.taken(limit, now) });
        }
        self.held = self.held.saturating_add(amount);
        Ok(Reserved { amount, epoch: self.epoch })
    }

    /// Ends a reservation, and takes what its request took.
    pub(super) fn settle(&mut self, reserved: Reserved, limit: TokenLimit, tokens: u64, now: i64) {
        let place = match self.epoch.saturating_sub(reserved.epoch) {
            ..=0 => Some(&mut self.held),
            1 => Some(&mut self.held_before),
            _ => None,
        };
        if let Some(place) = place {
            *place = place.saturating_sub(reserved.amount);
        }
        let furthest = now.saturating_add(limit.window().saturating_mul(2));
        self.full_at = self.full_at.saturating_add(limit.time_of(tokens)).min(furthest);
    }

    pub(super) fn taken(&self, limit: TokenLimit, now: i64) -> TokensTaken {
        let ahead = self.full_at.saturating_sub(now).saturating_add(limit.time_of(self.all_held()));
        TokensTaken {
            limit: limit.tokens(),
            remaining: limit.tokens_in(limit.window().saturating_sub(ahead)),
            retry_after: 0,
            reset_milliseconds: u64::try_from(ahead).unwrap_or(0).div_ceil(1_000_000),
            window: limit.seconds(),
        }
    }
}

fn epoch(now: i64) -> i64 {
    now.div_euclid(EPOCH_SECONDS.saturating_mul(NANOSECONDS))
}
