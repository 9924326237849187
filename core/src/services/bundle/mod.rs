//! Policies that are fetched: signed, taken by all workers of a process, never replaced by an older one.

mod signed;
mod source;

pub use self::signed::{
    Agreed, BUNDLE_TYPE, BundleError, Follows, MAX_BUNDLE_BYTES, MAX_REVISION, SignedBundle, verified_payload,
};
pub(crate) use self::source::{Bundles, Offer};
