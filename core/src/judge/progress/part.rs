//! The part of a policy in a request that two policies judge.

use crate::base::{Digest, Moment};

/// The share of all principals that a candidate decides for, in percent. The principals of a share stay the same, and a
/// greater share includes a smaller one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Share(pub(crate) u8);

impl Share {
    /// Tells whether a principal is in the share. Requests without a principal are sampled.
    pub(crate) fn includes(self, principal: Option<&Digest>, now: Moment) -> bool {
        principal.map_or_else(|| number_of_moment(now), number_of_principal) < u64::from(self.0)
    }

    /// Tells whether a request that comes now is sampled.
    pub(crate) fn samples(self, now: Moment) -> bool {
        self.0 == 100 || number_of_moment(now) < u64::from(self.0)
    }
}

/// The part of one policy in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// The policy's decision is carried out.
    Decides,
    /// The policy's decision is only compared: nothing is taken from any budget.
    Compares,
    /// The policy decides for the principals outside of this share, and compares for those in it.
    DecidesOutside(Share),
}

impl Part {
    pub(crate) const fn of(decides: bool) -> Self {
        if decides { Self::Decides } else { Self::Compares }
    }

    /// Tells whether the decision about a principal's request is carried out.
    pub(crate) fn decides(self, principal: &Digest, now: Moment) -> bool {
        match self {
            Self::Decides => true,
            Self::Compares => false,
            Self::DecidesOutside(share) => !share.includes(Some(principal), now),
        }
    }
}

/// Returns a number below 100 that is constant for a principal. Other bytes of the digest choose the principal's key.
fn number_of_principal(principal: &Digest) -> u64 {
    let [.., a, b, c, d] = *principal.bytes();
    u64::from(u32::from_be_bytes([a, b, c, d])) % 100
}

/// Returns a number below 100 that is as good as random: the microseconds of the moment.
fn number_of_moment(now: Moment) -> u64 {
    now.0 / 1000 % 100
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment(1_800_000_000 * 1_000_000_000);

    #[test]
    fn its_share_of_principals_is_as_large_as_it_says_and_grows_without_anybody_leaving() {
        let all: Vec<Digest> = (0..10_000_u32).map(|number| Digest::of(&number.to_be_bytes())).collect();
        let mut before: Vec<&Digest> = Vec::new();
        for percent in [0, 1, 10, 50, 99, 100] {
            let chosen: Vec<&Digest> =
                all.iter().filter(|it| Share(percent).includes(Some(it), NOW)).collect();
            let expected = usize::from(percent) * 100;
            assert!(chosen.len().abs_diff(expected) <= 200, "{percent} %: {}", chosen.len());
            assert!(before.iter().all(|it| chosen.contains(it)), "a principal left at {percent} %");
            before = chosen;
        }
        assert_eq!(before.len(), all.len());
    }

    #[test]
    fn whoever_is_unknown_is_chosen_by_the_moment() {
        let at = |micro: u64| Moment(NOW.0 + micro * 1000);
        let chosen = (0..10_000).filter(|micro| Share(10).includes(None, at(*micro))).count();
        assert_eq!(chosen, 1000);
    }
}
