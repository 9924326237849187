//! The differences between SQLite and PostgreSQL.

/// The statements that differ between the two databases.
#[derive(Clone, Copy)]
pub(super) struct Dialect {
    /// Begins a transaction that changes something.
    pub(super) begin: &'static str,
    /// Reads the change sequence and keeps all others from changing anything until the transaction's end.
    pub(super) lock: &'static str,
    /// Keeps all others from a key of the rate limits until the transaction's end, where beginning did not.
    pub(super) lock_key: Option<&'static str>,
    /// Tells the other replicas, when the transaction is committed, that it was.
    pub(super) notify: Option<&'static str>,
}
