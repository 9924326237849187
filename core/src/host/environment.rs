//! The named secrets of a host.

/// The named secrets of a host. Each is looked up once, when an engine is built.
pub trait Environment {
    /// Returns the value of the variable `name`; `None` where it is not set.
    fn variable(&self, name: &str) -> Option<Vec<u8>>;

    /// Returns whether the values are stand-ins, whose form says nothing about the real ones.
    fn is_stand_in(&self) -> bool {
        false
    }

    /// Returns bytes that tell this worker apart from those of other hosts under the same name; the same for all workers
    /// that share memory. A host whose name is its own returns zeros.
    fn instance(&self) -> [u8; 16] {
        [0; 16]
    }

    /// Returns a stand-in for a credential that would have to be fetched. A host that fetches returns `None`.
    fn fetched(&self, credential: &str) -> Option<Vec<u8>> {
        let _ = credential;
        None
    }
}
