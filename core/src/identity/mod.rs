//! Callers: records of tokens and people, identity JWTs, and client certificates.

mod certificate;
mod confirmation;
pub mod jwt;
mod models;
mod person;
mod principal;
mod record;
mod scope;
mod table;

pub use self::certificate::CertificateAuthority;
pub(crate) use self::certificate::{CERTIFICATE_CLAIMS, CertificateSubjects};
pub(crate) use self::confirmation::{CONFIRMATION, bound_certificate};
pub(crate) use self::models::Spellings;
pub use self::models::{GROUP, ModelGroups, Models};
pub(crate) use self::person::PEOPLE;
pub use self::person::person_digest;
pub use self::principal::Principal;
pub use self::record::{CallerKind, CallerRecord, TokenStatus};
pub use self::scope::{Class, Classes, Scope, ScopeError, read_entry};
pub(crate) use self::table::TokenTable;
