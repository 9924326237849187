//! The named secrets of a host.

use super::secret_file::{SecretFile, SecretFileError};

/// The named secrets of a host. A variable is looked up once, when an engine is built.
pub trait Environment {
    /// Returns the value of the variable `name`; `None` where it is not set.
    fn variable(&self, name: &str) -> Option<Vec<u8>>;

    /// Reads the file at `path`, which is absolute and has no `..`. The engine asks when it is built, and about once a second
    /// after that, so the call must not block. A host without [`Capabilities::reads_files`](super::Capabilities::reads_files) is never asked.
    ///
    /// # Errors
    /// [`SecretFileError`] where the content is not a secret's, or is not there.
    fn file(&self, path: &str) -> Result<SecretFile, SecretFileError> {
        let _ = path;
        Err(SecretFileError::Outside)
    }

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
