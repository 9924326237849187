//! Passing over the parts of a text that nothing selects: most of a text is in them.

use super::follower::Follower;
use super::grammar::{Event, MAX_TEXT_BYTES, State};
use super::tokens::{Dull, behind_short_member, pass_over};
use crate::base::bytes::plain_length;

impl Follower {
    /// Passes over whole tokens that nothing selects, and names of members. Returns what follows them.
    pub(super) fn pass_over<'t>(&mut self, rest: &'t [u8], tell: &mut dyn FnMut(Event<'_>)) -> &'t [u8] {
        let mut rest = rest;
        if matches!(self.state, State::Name { .. }) && !self.is_dull() {
            rest = self.pass_over_members(rest, tell);
        }
        let depth = self.depth();
        let least = match self.state {
            State::Value { .. } | State::Name { .. } | State::Colon | State::Next if self.is_dull() => {
                self.dull
            }
            State::Value { .. } if depth > 0 && !self.matches.lead_below(depth) => depth.saturating_add(1),
            _ => return rest,
        };
        let is_end_told = least == 1 || self.matches.ends(least.saturating_sub(1)) != 0;
        (self.wanted, self.is_told) = (0, false);
        let behind;
        (self.state, behind) = pass_over(rest, self.state, &mut self.nest, Dull { least, is_end_told });
        self.dull = if self.depth() < least { usize::MAX } else { least };
        behind
    }

    /// Passes over short members on no path, and over the name of the member behind them. Returns what
    /// follows.
    fn pass_over_members<'t>(&mut self, rest: &'t [u8], tell: &mut dyn FnMut(Event<'_>)) -> &'t [u8] {
        let (level, mut rest) = (self.level(), rest);
        while let Some(value) = self.pass_over_name(level, rest, tell) {
            let is_selected = self.matches.lead_below(level.saturating_add(1));
            let behind = if is_selected { None } else { behind_short_member(value) };
            let Some(behind) = behind else {
                self.state = State::Value { may_close: false };
                return value;
            };
            self.state = State::Name { may_close: false };
            rest = behind;
        }
        rest
    }

    /// Takes the name of a member that stands in one slice, without an escape, and the colon behind it.
    fn pass_over_name<'t>(
        &mut self,
        level: usize,
        rest: &'t [u8],
        tell: &mut dyn FnMut(Event<'_>),
    ) -> Option<&'t [u8]> {
        let text = rest.strip_prefix(b"\"")?;
        let (name, behind) = text.split_at_checked(plain_length(text))?;
        let behind = behind.strip_prefix(b"\":")?;
        let is_text = || name.is_ascii() || str::from_utf8(name).is_ok();
        (name.len() <= MAX_TEXT_BYTES && is_text()).then(|| {
            self.matches.member(level, name).tell(tell);
            behind
        })
    }
}
