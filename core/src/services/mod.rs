//! Services that policies ask: registries, the keys of issuers, agents that hand out credentials, sources of policies.

pub(crate) mod agent;
pub(crate) mod bundle;
mod credential_file;
mod directory;
mod fetch;
mod keyring;
pub(crate) mod registry;
mod resolution;

pub use self::bundle::{
    Agreed, BUNDLE_TYPE, BundleError, Follows, MAX_BUNDLE_BYTES, MAX_REVISION, SignedBundle, verified_payload,
};
pub(crate) use self::credential_file::{CredentialFile, FileValue};
pub use self::directory::Services;
pub use self::fetch::{AsOf, Fetch, FetchAnswer, FetchKey, FetchOutcome, FetchRequest, MAX_FETCHED_BYTES};
pub(crate) use self::fetch::{CallerId, Subject};
pub(crate) use self::keyring::KeyRing;
pub use self::keyring::KeySet;
pub use self::registry::{MAX_RECORD_SECONDS, RECORD_TYPE, RecordSource, objects_name};
pub use self::resolution::{Accepted, Resolution};
pub(crate) use self::resolution::{FetchResults, Lookup, MAX_RETRIES};
