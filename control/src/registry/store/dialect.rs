//! What SQLite and PostgreSQL do not have in common.

/// What the two databases do not have in common.
#[derive(Clone, Copy)]
pub(super) struct Dialect {
    /// Begins a transaction that changes something.
    pub(super) begin: &'static str,
    /// Reads the change sequence and keeps everybody else from changing anything until the transaction's end.
    pub(super) lock: &'static str,
    /// Keeps everybody else from a key of the rate limits until the transaction's end, where beginning did not.
    pub(super) lock_key: Option<&'static str>,
    /// Tells the other replicas, when the transaction is committed, that it was.
    pub(super) notify: Option<&'static str>,
}
