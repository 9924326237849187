//! Upstreams: for each enabled provider the one host its requests go to, with the credentials bound to that host.

mod bound;
mod cooldown;
mod credentials;
mod pool;
mod provider_keys;

pub(crate) use self::bound::{AuthHeader, Upstream, build_all};
pub(crate) use self::cooldown::Refusal;
pub(crate) use self::credentials::{
    CallerJwt, CredentialId, Credentials, KeyInHand, SourceInUse, UpstreamCredential, UsedKey,
};
pub(crate) use self::pool::{Member, Pool};
pub(crate) use self::provider_keys::{Bound, ProviderKeys};
