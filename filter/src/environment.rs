//! The host's environment, as far as `host_env_keys` of the VM's configuration lets it in.

use std::os::wasi::ffi::OsStringExt;

/// The variables that Envoy passes to the VM.
pub(crate) struct HostEnvironment;

impl keyswap_core::host::Environment for HostEnvironment {
    fn variable(&self, name: &str) -> Option<Vec<u8>> {
        std::env::var_os(name).map(OsStringExt::into_vec)
    }
}
