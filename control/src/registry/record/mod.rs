//! The values of the registry: records, new records and changes. This module uses no database and no HTTP.

pub(super) mod actor;
pub(crate) mod admin_role;
pub(crate) mod amount;
pub(super) mod api_key;
pub(crate) mod budget;
pub(super) mod change;
pub(super) mod clock;
pub(super) mod credential;
pub(super) mod day;
pub(super) mod draft;
pub(super) mod error;
pub(super) mod lease;
pub(super) mod mark;
pub(super) mod model;
pub(crate) mod object;
pub(super) mod policy;
pub(crate) mod policy_token;
pub(super) mod proposal;
pub(super) mod rate_limit;
pub(super) mod reach;
pub(super) mod secret_text;
pub(super) mod selection;
pub(crate) mod session;
pub(super) mod signers;
pub(super) mod usage;
pub(super) mod window;
