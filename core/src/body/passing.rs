//! Passing over the parts of a text that nothing selects: most of a text is in them.

use super::follower::Follower;
use super::grammar::{Event, MAX_TEXT_BYTES, State};
use super::tokens::{Dull, pass_over};
use crate::base::bytes::plain_length;

impl Follower {
    /// Passes over whole tokens that nothing selects, and names of members. Returns what follows them.
    pub(super) fn pass_over<'t>(&mut self, rest: &'t [u8], tell: &mut dyn FnMut(Event<'_>)) -> &'t [u8] {
        let depth = self.depth();
        let least = match self.state {
            State::Value { .. } | State::Name { .. } | State::Colon | State::Next if self.is_dull() => {
                self.dull
            }
            State::Value { .. } if depth > 0 && !self.matches.lead_below(depth) => depth.saturating_add(1),
            State::Name { .. } => return self.pass_over_name(rest, tell).unwrap_or(rest),
            _ => return rest,
        };
        let is_end_told = least == 1 || self.matches.ends(least.saturating_sub(1)) != 0;
        (self.wanted, self.is_told) = (0, false);
        let behind;
        (self.state, behind) = pass_over(rest, self.state, &mut self.nest, Dull { least, is_end_told });
        self.dull = if self.depth() < least { usize::MAX } else { least };
        behind
    }

    /// Takes the name of a member that stands in one slice, without an escape, and the colon behind it.
    fn pass_over_name<'t>(&mut self, rest: &'t [u8], tell: &mut dyn FnMut(Event<'_>)) -> Option<&'t [u8]> {
        let text = rest.strip_prefix(b"\"")?;
        let (name, behind) = text.split_at_checked(plain_length(text))?;
        let behind = behind.strip_prefix(b"\"")?.strip_prefix(b":")?;
        let is_text = || name.is_ascii() || str::from_utf8(name).is_ok();
        (name.len() <= MAX_TEXT_BYTES && is_text()).then(|| {
            self.matches.member(self.level(), name).tell(tell);
            self.state = State::Value { may_close: false };
            behind
        })
    }
}
