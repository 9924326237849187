//! Errors of a registry, each with a code that programs can rely on.
//!
//! Messages never repeat a value that was sent, so that a token in the wrong field goes no further.

use std::fmt;

/// Why an operation was not done. Nothing of it was.
#[derive(Debug)]
#[non_exhaustive]
pub enum RegistryError {
    /// A token needs a label.
    LabelRequired,
    /// A token or a user needs a provider.
    ProvidersRequired,
    /// A custom token has less than 12 characters.
    TokenTooShort,
    /// Not a time with an offset.
    InvalidExpiry,
    /// A field does not hold what it should.
    Invalid {
        /// The field's name.
        field: &'static str,
        /// The values that are allowed.
        expected: String,
    },
    /// There is such a token already.
    DuplicateToken,
    /// There is such a user already.
    DuplicateUser,
    /// There is no such token.
    UnknownToken,
    /// There is no such user.
    UnknownUser,
    /// The token has a successor already.
    AlreadyRotated,
    /// A disabled token gets no successor.
    TokenDisabled,
    /// An expired token gets no successor.
    TokenExpired,
    /// Neither the token nor the request says how much is allowed.
    NoRateLimit,
    /// Not a signed policy, or not one that holds: a word on why.
    InvalidBundle(&'static str),
    /// A revision that is not newer than all others.
    StaleRevision,
    /// There is no such policy, or no such revision of it.
    UnknownPolicy,
    /// The database's address is wrong.
    DatabaseUrl(&'static str),
    /// The database cannot be asked.
    Database(sqlx::Error),
    /// The database's tables cannot be brought up to date.
    Migration(sqlx::migrate::MigrateError),
    /// A file cannot be made or locked.
    File(std::io::Error),
    /// The machine has no randomness to give.
    Randomness(getrandom::Error),
    /// A row cannot be read; the database was changed by something else.
    Corrupt(&'static str),
}

/// The kind of an error: what the caller can do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Ask for something else: the request is not acceptable.
    Invalid,
    /// It is not there.
    Unknown,
    /// It does not fit what is there.
    Conflict,
    /// Ask again later: the registry cannot answer now.
    Unavailable,
}

impl RegistryError {
    /// Returns a stable name of the error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::LabelRequired => "label_required",
            Self::ProvidersRequired => "providers_required",
            Self::TokenTooShort => "token_too_short",
            Self::InvalidExpiry => "invalid_expiry",
            Self::Invalid { .. } => "invalid_field",
            Self::DuplicateToken => "duplicate_token",
            Self::DuplicateUser => "duplicate_user",
            Self::UnknownToken => "unknown_token",
            Self::UnknownUser => "unknown_user",
            Self::AlreadyRotated => "already_rotated",
            Self::TokenDisabled => "token_disabled",
            Self::TokenExpired => "token_expired",
            Self::NoRateLimit => "no_rate_limit",
            Self::InvalidBundle(_) => "invalid_bundle",
            Self::StaleRevision => "stale_revision",
            Self::UnknownPolicy => "unknown_policy",
            Self::DatabaseUrl(_) => "invalid_database_url",
            Self::Database(_) | Self::Migration(_) | Self::File(_) | Self::Corrupt(_) => {
                "database_unavailable"
            }
            Self::Randomness(_) => "no_randomness",
        }
    }

    /// Returns the kind of the error.
    pub fn kind(&self) -> Kind {
        match self {
            Self::LabelRequired
            | Self::ProvidersRequired
            | Self::TokenTooShort
            | Self::InvalidExpiry
            | Self::Invalid { .. }
            | Self::NoRateLimit
            | Self::InvalidBundle(_)
            | Self::DatabaseUrl(_) => Kind::Invalid,
            Self::UnknownToken | Self::UnknownUser | Self::UnknownPolicy => Kind::Unknown,
            Self::DuplicateToken
            | Self::DuplicateUser
            | Self::AlreadyRotated
            | Self::TokenDisabled
            | Self::StaleRevision
            | Self::TokenExpired => Kind::Conflict,
            Self::Database(_)
            | Self::Migration(_)
            | Self::File(_)
            | Self::Randomness(_)
            | Self::Corrupt(_) => Kind::Unavailable,
        }
    }
}

impl fmt::Display for RegistryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LabelRequired => f.write_str("label is required"),
            Self::ProvidersRequired => f.write_str("pick at least one provider"),
            Self::TokenTooShort => f.write_str("custom token too short (min 12 chars)"),
            Self::InvalidExpiry => f.write_str("invalid expiry"),
            Self::Invalid { field, expected } => write!(f, "invalid {field}: {expected}"),
            Self::DuplicateToken => f.write_str("this token is in the registry already"),
            Self::DuplicateUser => f.write_str("this user is in the registry already"),
            Self::UnknownToken => f.write_str("no such token"),
            Self::UnknownUser => f.write_str("no such user"),
            Self::AlreadyRotated => f.write_str("the token has a successor already"),
            Self::TokenDisabled => f.write_str("the token is disabled"),
            Self::TokenExpired => f.write_str("the token has expired"),
            Self::NoRateLimit => f.write_str("the token has no rate limit: say `requests` and `per`"),
            Self::InvalidBundle(why) => {
                write!(f, "this is no signed policy that a data plane could take: {why}")
            }
            Self::StaleRevision => {
                f.write_str("there is a revision that is as new: get the newest, and try again")
            }
            Self::UnknownPolicy => f.write_str("no such policy"),
            Self::DatabaseUrl(why) => write!(f, "invalid database URL: {why}"),
            Self::Database(error) => write!(f, "the database does not answer: {error}"),
            Self::Migration(error) => write!(f, "the database cannot be brought up to date: {error}"),
            Self::File(error) => write!(f, "the database's files cannot be used: {error}"),
            Self::Randomness(error) => write!(f, "no random numbers: {error}"),
            Self::Corrupt(what) => write!(f, "the database holds what is no {what}"),
        }
    }
}

impl std::error::Error for RegistryError {}

impl From<sqlx::Error> for RegistryError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

impl From<sqlx::migrate::MigrateError> for RegistryError {
    fn from(error: sqlx::migrate::MigrateError) -> Self {
        Self::Migration(error)
    }
}

impl From<std::io::Error> for RegistryError {
    fn from(error: std::io::Error) -> Self {
        Self::File(error)
    }
}

impl From<getrandom::Error> for RegistryError {
    fn from(error: getrandom::Error) -> Self {
        Self::Randomness(error)
    }
}
