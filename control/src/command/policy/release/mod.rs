//! Policies that data planes fetch: signing them here, with a key that no server has, and publishing them in a registry.
//!
//! A revision is never changed. Widening a candidate's share, promoting it and taking a policy back are revisions of
//! their own, so that data planes only ever go forward.
mod document;
mod keygen;
mod next_revision;
mod promote;
mod publish;
mod rollback;
mod show;
mod signing_key;
mod status;
mod wait;

pub(super) use keygen::Keygen;
pub(super) use promote::Promote;
pub(super) use publish::Publish;
pub(super) use rollback::Rollback;
pub(super) use show::Show;
pub(super) use status::Status;
