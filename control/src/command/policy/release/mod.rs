//! Policies that data planes fetch: signed by this command, with a key that no server has, and published in a registry.
//!
//! A revision is immutable. Each step of a rollout (widening a candidate's share, promoting it, rolling back) is a new
//! revision, so data planes only move to greater numbers.
//!
//! Where several keys must sign, a revision waits as a proposal for the signatures of the others.
//!
//! A registry is not believed. What it returns is verified with keys of the operator before it is shown or signed anew.
mod bundle;
mod changes;
mod document;
mod keygen;
mod keys;
mod name;
mod next_revision;
mod promote;
mod publish;
mod rollback;
mod show;
mod sign;
mod signatures;
mod signer;
mod status;
mod trust;
mod verified;
mod wait;

pub(super) use keygen::Keygen;
pub(super) use promote::Promote;
pub(super) use publish::Publish;
pub(super) use rollback::Rollback;
pub(super) use show::Show;
pub(super) use sign::Sign;
pub(super) use status::Status;
pub(super) use trust::Trust;
