//! Errors of a registry, each with a stable code for programs.
//!
//! Messages never contain a value of the request: a token in the wrong field must not reach a log.

use std::fmt;

/// A failed operation. The operation had no effect.
#[derive(Debug)]
#[non_exhaustive]
pub enum RegistryError {
    /// A token without a label.
    LabelRequired,
    /// A token or a user without a provider.
    ProvidersRequired,
    /// A custom token of fewer than 12 characters.
    TokenTooShort,
    /// An expiry that is not a time with an offset (RFC 3339).
    InvalidExpiry,
    /// A field with an invalid value.
    Invalid {
        /// The name of the field.
        field: &'static str,
        /// The values that are valid.
        expected: String,
    },
    /// A token that is in the registry already.
    DuplicateToken,
    /// A new token whose digest is that of a person, or has successors, objects, a budget or the count of a rate limit.
    PrincipalInUse,
    /// A user that is in the registry already.
    DuplicateUser,
    /// A token that is not in the registry.
    UnknownToken,
    /// A user that is not in the registry.
    UnknownUser,
    /// A credential that is not in the registry.
    UnknownCredential,
    /// A device that waits for no person: its code is wrong or too old, or a person has decided.
    UnknownDevice,
    /// A session that is not in the registry, or has ended.
    UnknownSession,
    /// More sessions of a person than the registry keeps.
    TooManySessions,
    /// More tokens of a person than a person may create.
    TooManyTokens,
    /// An API key that is not in the registry.
    UnknownApiKey,
    /// A second API key of one name.
    DuplicateApiKey,
    /// A change that is beyond the role of its author. The text says which.
    BeyondRole(&'static str),
    /// A third credential of one name.
    TooManyCredentials,
    /// A budget that is not in the registry.
    UnknownBudget,
    /// More subjects with budgets than the registry keeps.
    TooManySubjects,
    /// An object that is not in the registry.
    UnknownObject,
    /// More objects than the registry keeps.
    TooManyObjects,
    /// More data planes that hold a lease of one budget than the registry keeps.
    TooManyLeases,
    /// A change that is based on an older version of a token or a user than the present one.
    ChangedMeanwhile,
    /// An entry of the audit log that cannot be undone.
    NotUndoable,
    /// A change of a token that a source outside declares.
    DeclaredToken,
    /// A declared token whose owner is a disabled user.
    OwnerDisabled,
    /// A rotation of a token that has a successor already.
    AlreadyRotated,
    /// A rotation of a disabled token.
    TokenDisabled,
    /// A rotation of an expired token.
    TokenExpired,
    /// A request to count against a limit that neither the token nor the request has.
    NoRateLimit,
    /// A malformed bundle, or a bundle with an invalid policy. The text is the code of the reason.
    InvalidBundle(&'static str),
    /// A revision that does not follow the newest one of the policy.
    StaleRevision,
    /// A bundle, or a change of keys, that no registered key of the policy's name has signed.
    UntrustedSigner,
    /// A policy's name without registered keys.
    NoSigners,
    /// A signature for a proposal where none waits for signatures.
    UnknownProposal,
    /// A signature for another proposal than the one that waits for signatures.
    StaleProposal,
    /// A change of keys that was signed for another version of the keys.
    OutdatedSigners,
    /// A policy or a revision that is not in the registry.
    UnknownPolicy,
    /// An invalid address of a database.
    DatabaseUrl(&'static str),
    /// A database that cannot be opened.
    Unopened {
        /// The file or the server, without a user and a password.
        place: String,
        /// The cause and the remedy.
        why: String,
    },
    /// A failed query or connection.
    Database(sqlx::Error),
    /// A connection whose TLS failed.
    DatabaseTls(String),
    /// A failed migration of the tables.
    Migration(sqlx::migrate::MigrateError),
    /// A file of the database that cannot be created or locked.
    File(std::io::Error),
    /// A failure of the system's random number generator.
    Randomness(getrandom::Error),
    /// A row that cannot be read: another program changed the database.
    Corrupt(&'static str),
}

/// The kind of an error, by the remedy that the caller has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The request is invalid.
    Invalid,
    /// The object does not exist.
    Unknown,
    /// The author may not make the request.
    Forbidden,
    /// The request conflicts with the present state.
    Conflict,
    /// The registry cannot answer now: retry later.
    Unavailable,
}

impl RegistryError {
    /// Returns the stable code of the error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::LabelRequired => "label_required",
            Self::ProvidersRequired => "providers_required",
            Self::TokenTooShort => "token_too_short",
            Self::InvalidExpiry => "invalid_expiry",
            Self::Invalid { .. } => "invalid_field",
            Self::DuplicateToken => "duplicate_token",
            Self::PrincipalInUse => "principal_in_use",
            Self::DuplicateUser => "duplicate_user",
            Self::UnknownToken => "unknown_token",
            Self::UnknownUser => "unknown_user",
            Self::UnknownCredential => "unknown_credential",
            Self::UnknownDevice => "unknown_device",
            Self::UnknownSession => "unknown_session",
            Self::TooManySessions => "too_many_sessions",
            Self::TooManyTokens => "too_many_tokens",
            Self::UnknownApiKey => "unknown_api_key",
            Self::DuplicateApiKey => "duplicate_api_key",
            Self::BeyondRole(_) => "beyond_role",
            Self::UnknownBudget => "unknown_budget",
            Self::TooManySubjects => "too_many_subjects",
            Self::TooManyLeases => "too_many_leases",
            Self::UnknownObject => "unknown_object",
            Self::TooManyObjects => "too_many_objects",
            Self::TooManyCredentials => "too_many_credentials",
            Self::ChangedMeanwhile => "changed_meanwhile",
            Self::NotUndoable => "not_undoable",
            Self::DeclaredToken => "declared_token",
            Self::OwnerDisabled => "owner_disabled",
            Self::AlreadyRotated => "already_rotated",
            Self::TokenDisabled => "token_disabled",
            Self::TokenExpired => "token_expired",
            Self::NoRateLimit => "no_rate_limit",
            Self::InvalidBundle(_) => "invalid_bundle",
            Self::StaleRevision => "stale_revision",
            Self::UntrustedSigner => "untrusted_signer",
            Self::NoSigners => "no_signers",
            Self::UnknownProposal => "unknown_proposal",
            Self::StaleProposal => "stale_proposal",
            Self::OutdatedSigners => "outdated_signers",
            Self::UnknownPolicy => "unknown_policy",
            Self::DatabaseUrl(_) => "invalid_database_url",
            Self::Unopened { .. }
            | Self::Database(_)
            | Self::DatabaseTls(_)
            | Self::Migration(_)
            | Self::File(_)
            | Self::Corrupt(_) => "database_unavailable",
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
            | Self::UntrustedSigner
            | Self::DatabaseUrl(_) => Kind::Invalid,
            Self::UnknownToken
            | Self::UnknownUser
            | Self::UnknownCredential
            | Self::UnknownDevice
            | Self::UnknownSession
            | Self::UnknownApiKey
            | Self::UnknownBudget
            | Self::UnknownObject
            | Self::UnknownPolicy
            | Self::UnknownProposal => Kind::Unknown,
            Self::BeyondRole(_) => Kind::Forbidden,
            Self::DuplicateToken
            | Self::PrincipalInUse
            | Self::DuplicateUser
            | Self::DuplicateApiKey
            | Self::TooManyCredentials
            | Self::TooManySessions
            | Self::TooManyTokens
            | Self::ChangedMeanwhile
            | Self::NotUndoable
            | Self::DeclaredToken
            | Self::OwnerDisabled
            | Self::AlreadyRotated
            | Self::TokenDisabled
            | Self::StaleRevision
            | Self::NoSigners
            | Self::OutdatedSigners
            | Self::StaleProposal
            | Self::TokenExpired => Kind::Conflict,
            Self::Unopened { .. }
            | Self::Database(_)
            | Self::DatabaseTls(_)
            | Self::Migration(_)
            | Self::File(_)
            | Self::TooManySubjects
            | Self::TooManyLeases
            | Self::TooManyObjects
            | Self::Randomness(_)
            | Self::Corrupt(_) => Kind::Unavailable,
        }
    }
}

impl fmt::Display for RegistryError {
    // Long: one row for each error.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LabelRequired => f.write_str("label is required"),
            Self::ProvidersRequired => f.write_str("pick at least one provider"),
            Self::TokenTooShort => f.write_str("custom token too short (min 12 chars)"),
            Self::InvalidExpiry => f.write_str(
                "invalid expiry: expected a time with an offset, such as `2027-06-30T00:00:00Z`",
            ),
            Self::Invalid { field, expected } => write!(f, "invalid {field}: {expected}"),
            Self::DuplicateToken => f.write_str("this token is in the registry already"),
            Self::PrincipalInUse => f.write_str(
                "the registry has a budget, objects, a rate limit or successors of this token: generate another one; an \
                 administrator brings in a token that a policy had, or that was deleted, by its SHA-256",
            ),
            Self::DuplicateUser => f.write_str("this user is in the registry already"),
            Self::UnknownToken => f.write_str("no such token"),
            Self::UnknownUser => f.write_str("no such user"),
            Self::UnknownCredential => f.write_str("no such credential"),
            Self::UnknownDevice => {
                f.write_str("no device waits with this code: compare it with the one on the device, or begin again there")
            }
            Self::UnknownSession => f.write_str("no such session"),
            Self::TooManySessions => {
                f.write_str("this person has too many sessions, or has ended too many within the last hour")
            }
            Self::TooManyTokens => f.write_str(
                "you have as many tokens as a person may have, 100 active ones and 1000 in all: delete those that you do not use",
            ),
            Self::UnknownApiKey => f.write_str("no such API key"),
            Self::DuplicateApiKey => f.write_str("another API key has this name: revoke it first, or take another name"),
            Self::BeyondRole(why) => write!(f, "your role does not permit this: {why}"),
            Self::UnknownBudget => f.write_str("no such budget"),
            Self::TooManySubjects => {
                f.write_str("there are more subjects with budgets than the registry keeps")
            }
            Self::TooManyLeases => f.write_str("more data planes hold a lease of this budget than the registry keeps"),
            Self::UnknownObject => f.write_str("no such object"),
            Self::TooManyObjects => f.write_str("there are more objects than the registry keeps"),
            Self::TooManyCredentials => {
                f.write_str("this name has two credentials already: revoke one first")
            }
            Self::ChangedMeanwhile => f.write_str("it was changed meanwhile: look at it, then repeat the change"),
            Self::NotUndoable => f.write_str("this entry of the audit log cannot be undone"),
            Self::DeclaredToken => f.write_str(
                "a source outside the registry declares this token: change or delete it there; here it can be disabled",
            ),
            Self::OwnerDisabled => f.write_str("the owner is a disabled user"),
            Self::AlreadyRotated => f.write_str("the token has a successor already"),
            Self::TokenDisabled => f.write_str("the token is disabled"),
            Self::TokenExpired => f.write_str("the token has expired"),
            Self::NoRateLimit => f.write_str("the token has no rate limit: send `requests` and `per`"),
            Self::InvalidBundle(why) => {
                write!(f, "not a signed policy that a data plane accepts: {why}")
            }
            Self::StaleRevision => f.write_str(
                "it does not follow the newest revision: fetch that one and try again; if another key signed it, \
                 pass its public key with `--keys`",
            ),
            Self::UntrustedSigner => f.write_str(
                "no key that the registry knows for this policy has signed it: a registered key, or the owner of the \
                 database, registers others with `keyswap policy trust`",
            ),
            Self::NoSigners => f.write_str(
                "the registry knows no keys for this policy: register them with \
                 `keyswap policy trust NAME --keys FILE --database URL`",
            ),
            Self::UnknownProposal => f.write_str("no revision of this policy waits for signatures"),
            Self::StaleProposal => f.write_str("another revision waits for signatures by now: sign that one"),
            Self::OutdatedSigners => f.write_str("the keys of this policy have changed: try again"),
            Self::UnknownPolicy => f.write_str("no such policy"),
            Self::DatabaseUrl(why) => write!(f, "invalid database URL: {why}"),
            Self::Unopened { place, why } => write!(f, "cannot open the database {place}: {why}"),
            Self::Database(error) => write!(f, "the database does not answer: {error}"),
            Self::DatabaseTls(why) => write!(
                f,
                "no safe connection to the database: {why}. Say in its address which authority signed the server's \
                 certificate (`sslrootcert=FILE`), or what else is enough: `sslmode=require`, or `sslmode=disable` where \
                 something else encrypts the way"
            ),
            Self::Migration(error) => write!(f, "cannot migrate the database: {error}"),
            Self::File(error) => write!(f, "cannot use the database's files: {error}"),
            Self::Randomness(error) => write!(f, "no random numbers: {error}"),
            Self::Corrupt(what) => write!(f, "the database holds an invalid {what}"),
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
