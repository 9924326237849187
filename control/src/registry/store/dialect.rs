//! The differences between SQLite and PostgreSQL.

/// The statements that differ between the two databases.
#[derive(Clone, Copy)]
pub(super) struct Dialect {
    /// The statement that begins a writing transaction.
    pub(super) begin: &'static str,
    /// The statement that reads the change sequence and blocks other changes until the transaction ends.
    pub(super) lock: &'static str,
    /// The statement that locks a key until the transaction ends. `None` where `begin` locks the whole database.
    pub(super) lock_key: Option<&'static str>,
    /// The statement that notifies other replicas on commit. `None` where processes poll.
    pub(super) notify: Option<&'static str>,
    /// The statement that writes the log of a file into the file. `None` where the database is no file.
    pub(super) checkpoint: Option<&'static str>,
}
