//! The token registry: the rights of tokens and users, in a database.
//!
//! It stores tokens as SHA-256 only; no raw token reaches the database, a log or an error. It serializes concurrent
//! changes, and its change feed has an order in which readers miss no change. It does not serve HTTP, and it does not
//! judge requests: the engine does.
//!
//! The entry point is [`Registry::open`].

mod record;

mod store;

mod handle;

mod rights;

mod seen;

mod budgets;
mod credentials;
mod feed;
mod leases;
mod limits;
mod proposals;

mod policies;
mod sign_in;
mod signers;
mod tokens;
mod usage;
mod users;

mod sessions;

mod offboard;
mod undo;

mod declared;

mod objects;

mod api_keys;

pub use declared::{Applied, Declaration, DeclaredToken};
pub use handle::{Registry, Result};
pub use limits::Taken;
pub use offboard::Offboarded;
pub use record::actor::Actor;
pub(crate) use record::admin_role::Written as AdminRoleText;
pub use record::admin_role::{AdminRole, RoleName};
pub(crate) use record::amount;
pub use record::amount::Unit;
pub use record::api_key::{ApiKey, NewApiKey};
pub(crate) use record::budget::BudgetText;
pub use record::budget::{Budget, BudgetState, Payer, SetBy};
pub use record::change::{Change, Feed, Subject};
pub(crate) use record::clock::now;
pub use record::credential::{Credential, NewCredential, Role};
pub use record::day::Day;
pub use record::draft::{KnownToken, NewToken, NewUser, Source, TokenPatch, UserPatch};
pub use record::error::{Kind, RegistryError};
pub use record::lease::{LeaseRequest, LeaseState, Leased};
pub use record::mark::Mark;
pub use record::model::{AuditEntry, Listing, Page, Status, Token, TokenRecord, User};
pub use record::object::{
    Adopted, Holder, HolderState, KeptObject, Moved, ObjectClaim, ObjectKey, ObjectListing,
};
pub use record::policy::{Plane, PolicyStatus, Report, Revision};
pub(crate) use record::policy_token;
pub use record::proposal::Progress;
pub use record::rate_limit::RateLimit;
pub(crate) use record::rate_limit::{Text as RateLimitText, seconds};
pub use record::reach::Reach;
pub(crate) use record::secret_text::API_KEY;
pub use record::secret_text::SecretText;
pub use record::selection::{Attention, AuditQuery, Order};
pub use record::session::{
    DEVICE_SECONDS, Device, Issued, MAX_JWT_SECONDS, NewDevice, POLL_SECONDS, Poll, Session,
};
pub use record::signers::{SIGNERS_TYPE, SignerKeys, Signers, SignersChange};
pub use record::usage::{
    CallerKind, Counts, UsageBy, UsageDetail, UsageLine, UsageQuery, UsageReport, UsageRow, UsageSummary,
    UsageTotal,
};
pub use record::window::{Per, Window, Zone};
pub(crate) use rights::are_within;
pub use sessions::Principal;
pub use store::url::DatabaseUrl;
pub use tokens::{Created, MAX_GRACE, Rotation};
