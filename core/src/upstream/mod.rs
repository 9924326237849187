//! Upstreams: for each enabled provider the one host its requests go to, with the credentials bound to that host.

mod agents;
mod bound;
mod broker;
mod cooldown;
mod credentials;
mod minted;
mod pool;
mod provider_keys;
mod uploads;

pub(crate) use self::bound::{Upstream, build_all};
pub(crate) use self::broker::{Broker, Session};
pub(crate) use self::cooldown::Refusal;
pub(crate) use self::credentials::{
    CallerJwt, CredentialId, Credentials, KeyInHand, SourceInUse, UpstreamCredential, UsedKey,
};
pub use self::minted::MintFault;
pub(crate) use self::minted::{MAX_MINTED_BYTES, Minting};
pub(crate) use self::pool::{Member, Pool};
pub(crate) use self::provider_keys::{Bound, ProviderKeys};
pub(crate) use self::uploads::{Running, UploadAddress, Uploads};
