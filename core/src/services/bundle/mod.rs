//! Policies that are fetched: signed, taken by all workers of a process, never replaced by an older one.

mod signed;
mod source;

pub use self::signed::{BUNDLE_TYPE, BundleError, MAX_BUNDLE_BYTES, SignedBundle};
pub(crate) use self::source::{Bundles, Offer};
