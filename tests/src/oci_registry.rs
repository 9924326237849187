//! A registry of images.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    process::{Child, Command, Stdio},
};

use anyhow::Result;
use tempfile::TempDir;

use crate::{tools, until};

/// Debian's registry server, with a temporary folder.
pub struct OciRegistry {
    child: Child,
    address: SocketAddr,
    _folder: TempDir,
}

impl OciRegistry {
    /// Starts a registry at a free port.
    pub fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        // The registry does not report its port, so a free port is chosen first.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let config = folder.path().join("config.yml");
        let data = folder.path().join("data");
        let text = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: \"{address}\"}}\n",
            data.display()
        );
        fs::write(&config, text)?;
        let program = tools::unpacked_of_debian("docker-registry", "usr/bin/docker-registry")?;
        let child = Command::new(program)
            .arg("serve")
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let registry = Self { child, address, _folder: folder };
        until("the registry listens", || Ok(std::net::TcpStream::connect(address).is_ok()))?;
        Ok(registry)
    }

    /// Returns the address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for OciRegistry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
