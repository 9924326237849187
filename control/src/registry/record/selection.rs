//! The selection and the order of tokens in lists, and questions about the audit log.

use keyswap_core::base::UnixTime;

/// The days before its expiry in which a token counts as expiring: those of the metric and of the alert.
pub(in crate::registry) const EXPIRING_DAYS: i64 = 7;

/// The days without a request after which a token counts as unused.
pub(in crate::registry) const UNUSED_DAYS: i64 = 30;

/// Accepted tokens that need attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attention {
    /// Tokens that expire within 7 days, and have no successor.
    Expiring,
    /// Tokens older than 30 days, without a request in the last 30 days.
    Unused,
    /// Tokens without an owner.
    Unowned,
}

impl Attention {
    /// All values.
    pub const ALL: [Self; 3] = [Self::Expiring, Self::Unused, Self::Unowned];

    /// Returns `expiring`, `unused` or `unowned`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Expiring => "expiring",
            Self::Unused => "unused",
            Self::Unowned => "unowned",
        }
    }

    /// Parses a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }
}

/// The order of a list. Entries that are equal in it are sorted newest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// Newest first.
    #[default]
    Newest,
    /// By label.
    Label,
    /// By owner. Tokens without an owner come last.
    Owner,
    /// The next to expire first.
    Expiry,
    /// The longest unused first.
    LastUsed,
}

impl Order {
    /// All values.
    pub const ALL: [Self; 5] = [Self::Newest, Self::Label, Self::Owner, Self::Expiry, Self::LastUsed];

    /// Returns the name, such as `last_used`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Newest => "newest",
            Self::Label => "label",
            Self::Owner => "owner",
            Self::Expiry => "expiry",
            Self::LastUsed => "last_used",
        }
    }

    /// Parses a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }
}

/// A question about the audit log. `None` permits any value.
#[derive(Clone, Debug, Default)]
pub struct AuditQuery {
    /// The whole subject.
    pub subject: Option<String>,
    /// The whole name of the actor; `unknown` stands for attempts whose author is not known.
    pub actor: Option<String>,
    /// An action, or the part before its dot: `token` stands for all actions on tokens.
    pub action: Option<String>,
    /// The first moment.
    pub since: Option<UnixTime>,
    /// The first moment after the span.
    pub until: Option<UnixTime>,
    /// The [`super::model::Page::next`] of the previous page.
    pub after: Option<i64>,
    /// The number of entries to leave out before the page.
    pub skip: u32,
    /// The largest number of entries, from 1 to 200; 50 by default.
    pub limit: Option<u32>,
}
