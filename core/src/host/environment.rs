//! The named secrets of a host.

/// Where the host's named secrets are looked up, once, when an engine is built.
pub trait Environment {
    /// The value of the variable `name`, or `None` when it is not set.
    fn variable(&self, name: &str) -> Option<Vec<u8>>;

    /// Returns a stand-in for the value of this credential where the value would have to be fetched. A host that
    /// fetches returns `None`.
    fn fetched(&self, credential: &str) -> Option<Vec<u8>> {
        let _ = credential;
        None
    }
}
