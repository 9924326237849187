//! Envoys that are other than the shipped ones, for the tests that need one.

use super::Setup;
use crate::releases::Release;

impl Setup {
    /// Sets the most bytes that the listener keeps of a body, and of a connection.
    #[must_use]
    pub fn buffer_limit(self, bytes: u32) -> Self {
        self.change(|bootstrap| bootstrap.set_buffer_limit(bytes))
    }

    /// Runs another release of Envoy, with the filter: the module calls what only the newest has. [`Setup::native`] after
    /// it says otherwise.
    #[must_use]
    pub fn on(self, release: &Release) -> Self {
        Self { program: release.program(), is_native: false, ..self }
    }
}
