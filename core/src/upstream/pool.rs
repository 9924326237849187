//! The choice of a principal's credential among several: always the same one while it works, each for as many
//! principals as its weight says.
//!
//! A credential that an upstream refused (401) or found too busy (429) has a cooldown, see [`super::cooldown`]. Its
//! principals then use the others; no other principal moves. Where all have one, the principal's own credential is used: the upstream's own
//! answer says more than one of ours.

use std::time::Duration;

use super::cooldown::MAX_COOLDOWN;
use super::credentials::{CredentialId, Credentials};
use crate::base::{Digest, Moment};

/// The most that a cooldown is prolonged where an upstream asks for more by `Retry-After`, as a multiple of the policy's.
/// The upstream knows when a window of its own ends, and must not take a key away for longer.
const MAX_PROLONGATION: u32 = 10;

#[derive(Clone, Debug)]
pub(crate) struct Pool {
    members: Vec<Member>,
    cooldown: Duration,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Member {
    pub(crate) credential: CredentialId,
    pub(crate) weight: u32,
}

impl Pool {
    pub(crate) fn new(members: Vec<Member>, cooldown: Duration) -> Self {
        Self { members, cooldown }
    }

    pub(crate) fn one(credential: CredentialId) -> Self {
        Self::new(vec![Member { credential, weight: 1 }], Duration::ZERO)
    }

    pub(crate) fn members(&self) -> &[Member] {
        &self.members
    }

    /// Returns the one credential of a pool without a choice; `None` where there are more.
    pub(crate) fn only(&self) -> Option<CredentialId> {
        if let [only] = self.members.as_slice() { Some(only.credential) } else { None }
    }

    /// Returns the credentials to try for a principal, the best first: those in a cooldown come last.
    pub(crate) fn order(
        &self,
        principal: &Digest,
        credentials: &Credentials,
        now: Moment,
    ) -> Vec<CredentialId> {
        let rests = |member: &Member| {
            credentials.get(member.credential).is_none_or(|credential| credential.rests_for(principal, now))
        };
        let mut left = self.members.clone();
        let mut order = Vec::with_capacity(left.len());
        let mut resting = Vec::new();
        // Drawn one after the other, so that a member's absence moves only its own principals.
        for round in 0.. {
            let Some(member) = draw(&mut left, lot(principal, round)) else { break };
            if rests(&member) { &mut resting } else { &mut order }.push(member.credential);
        }
        order.append(&mut resting);
        order
    }

    /// Returns the cooldown of a refused credential.
    pub(crate) fn cooldown(&self) -> Duration {
        self.cooldown
    }

    /// Returns the length of a cooldown; `None` where the pool has no choice. `asked` is what the upstream asked for.
    pub(crate) fn cooldown_span(cooldown: Option<Duration>, asked: Option<Duration>) -> Option<Duration> {
        let cooldown = cooldown?;
        let most = cooldown.saturating_mul(MAX_PROLONGATION).min(MAX_COOLDOWN);
        Some(asked.unwrap_or(cooldown).max(Duration::from_secs(1)).min(most))
    }
}

/// Draws a member and takes it out. Each has as many chances as its weight.
fn draw(left: &mut Vec<Member>, lot: u64) -> Option<Member> {
    let weight: u64 = left.iter().map(|member| u64::from(member.weight)).sum();
    let mut at = lot.checked_rem(weight)?;
    let drawn = left.iter().position(|member| {
        let weight = u64::from(member.weight);
        let is_it = at < weight;
        at = at.saturating_sub(weight);
        is_it
    })?;
    Some(left.remove(drawn))
}

/// Returns a number that is constant for a principal in each round: eight bytes of its digest, which SHA-256 spreads
/// evenly.
fn lot(principal: &Digest, round: usize) -> u64 {
    let bytes = principal.bytes();
    let start = round.saturating_mul(8) % 32;
    let eight = bytes.get(start..).and_then(|rest| rest.first_chunk::<8>()).copied().unwrap_or_default();
    // Beyond four rounds the bytes come again; then another number takes their place.
    u64::from_be_bytes(eight)
        .wrapping_mul(u64::try_from(round / 4).unwrap_or(0).wrapping_mul(2).wrapping_add(1))
}
