//! A Wasmtime with the component. A new policy starts it again: its instances keep the policy that they began with.
//!
//! Wasmtime cannot end gracefully: after SIGINT it answers 500 on connections that are open, and waits for them without an
//! end. So it is ended at once, with the requests in progress. Until the next process listens, connections are refused.

use std::ffi::OsString;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::Context as _;
use keyswap_core::host::Environment as _;
use rustix::process::Signal;

use super::setup::Setup;
use crate::command::policy::variables;
use crate::command::up::child::{Child, arguments};
use crate::command::up::policy::Policy;

/// The folder with the policy, as the component sees it.
const GUEST_FOLDER: &str = "/etc/keyswap";
/// The option that lets an instance serve many requests. Wasmtime 36 has none.
const REUSE: &str = "--max-instance-reuse-count";

/// A running Wasmtime.
pub(super) struct Wasmtime {
    child: Child,
    address: SocketAddr,
    has_reuse: bool,
}

impl Wasmtime {
    /// Starts Wasmtime, and waits until it listens.
    pub(super) async fn start(setup: &Setup, policy: &Policy) -> anyhow::Result<Self> {
        let help = Command::new(&setup.program).args(["serve", "--help"]).stdin(Stdio::null()).output();
        let help = help.context("cannot run Wasmtime")?;
        let has_reuse = String::from_utf8_lossy(&help.stdout).contains(REUSE);
        let (child, address) = serve(setup, policy, setup.listen, has_reuse).await?;
        Ok(Self { child, address, has_reuse })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Ends the process, and starts it again with another policy.
    pub(super) async fn apply(&mut self, setup: &Setup, policy: &Policy) -> anyhow::Result<()> {
        self.end().await?;
        (self.child, self.address) = serve(setup, policy, self.address, self.has_reuse).await?;
        Ok(())
    }

    /// Ends the process.
    pub(super) async fn end(&mut self) -> anyhow::Result<()> {
        self.child.signal(Signal::TERM);
        self.child.wait().await.map(drop)
    }
}

async fn serve(
    setup: &Setup,
    policy: &Policy,
    listen: SocketAddr,
    has_reuse: bool,
) -> anyhow::Result<(Child, SocketAddr)> {
    // The component sees nothing of this folder but the policy.
    let folder = setup.folder.join("policy");
    fs::create_dir_all(&folder).context("cannot create the folder of the policy")?;
    fs::write(folder.join("policy.json"), policy.document.to_string()).context("cannot write the policy")?;
    let mut options = arguments(["serve", "-S", "cli", "-O", "pooling-allocator=y"]);
    if has_reuse {
        options.extend(arguments([REUSE, "100000", "--idle-instance-timeout", "60s"]));
    }
    options.extend(arguments(["--addr", &listen.to_string(), "--dir"]));
    let mut shown = folder.into_os_string();
    shown.push(format!("::{GUEST_FOLDER}"));
    options.push(shown);
    if let Some(cache) = cache(setup)? {
        let mut config = OsString::from("cache-config=");
        config.push(cache);
        options.extend(["-C".into(), config]);
    }
    let place = format!("{GUEST_FOLDER}/policy.json");
    let environment = setup.variables.clone().with("KEYSWAP_POLICY", place);
    let named = variables(policy.document.to_string().as_bytes());
    let set = named.into_iter().filter(|name| environment.variable(name).is_some());
    for name in set.chain(["KEYSWAP_POLICY".to_owned()]) {
        // Wasmtime reads the value from its environment, so process lists do not show it.
        options.extend(arguments(["--env", &name]));
    }
    options.push(setup.artefact.clone().into_os_string());
    let mut child =
        Child::start("Wasmtime", &setup.program, options, &environment, Stdio::null(), setup.log.clone())?;
    let address = child.wait_for(async |child| address(child)).await?;
    Ok((child, address))
}

/// Returns the address in the line `Serving HTTP on http://127.0.0.1:8080/` of the log.
fn address(child: &Child) -> anyhow::Result<Option<SocketAddr>> {
    let prefix = "Serving HTTP on http://";
    let line = child.line(prefix);
    let address = line.as_ref().and_then(|line| line.strip_prefix(prefix)?.strip_suffix('/'));
    Ok(address.map(str::parse).transpose()?)
}

/// Returns a configuration of Wasmtime that caches compiled code in the user's cache. Compiling takes seconds. Without a
/// folder for caches there is none.
fn cache(setup: &Setup) -> anyhow::Result<Option<PathBuf>> {
    let named = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let Some(folder) = named.or_else(|| Some(std::env::home_dir()?.join(".cache"))) else { return Ok(None) };
    let folder = folder.join("keyswap/wasmtime");
    let Some(folder) = folder.to_str().filter(|folder| !folder.contains(['\'', '\n'])) else {
        return Ok(None);
    };
    if fs::create_dir_all(folder).is_err() {
        return Ok(None);
    }
    let file = setup.folder.join("cache.toml");
    fs::write(&file, format!("[cache]\ndirectory = '{folder}'\n"))
        .context("cannot write Wasmtime's settings")?;
    Ok(Some(file))
}
