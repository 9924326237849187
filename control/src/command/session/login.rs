//! `keyswap login`: signs this device in at a registry by the device authorization grant (RFC 8628).

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use clap::Args;
use serde::Deserialize;

use super::kept::{Kept, KeptArgs};
use crate::command::connection::remote::OAuth;
use crate::command::terminal::exit::{self, Exit};
use crate::command::terminal::output::{self, visible};

/// The grant of a device (RFC 8628 section 3.4).
const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// The time between polls where the server names none, and the time that is added when it asks for more (RFC 8628 section 3.5).
const INTERVAL: Duration = Duration::from_secs(5);

/// The longest time between polls, and the longest wait for a person, whatever a server says.
const MAX_INTERVAL: Duration = Duration::from_mins(1);
const MAX_WAIT: Duration = Duration::from_hours(1);

/// Sign this device in at a registry: a person opens a page and types the code that is printed
///
/// The session is kept in a file of the user, mode 0600. `keyswap session token` prints its tokens.
#[derive(Args)]
#[command(after_help = exit::help("  keyswap login --server https://keyswap.example.com"))]
pub(crate) struct Login {
    /// Address of the registry's server
    #[arg(long, env = "KEYSWAP_SERVER", value_name = "URL")]
    server: String,
    /// Name of this device on the page (default: the name of the host)
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    kept: KeptArgs,
}

/// The answer of the server to a device.
#[derive(Deserialize)]
struct Codes {
    device_code: String,
    user_code: String,
    verification_uri: String,
    expires_in: u64,
    interval: Option<u64>,
}

impl Login {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let server = OAuth::at(&self.server)?;
        let name = self.name.unwrap_or_else(host_name);
        let codes = match server.post("device_authorization", &[("device_name", &name)])? {
            Ok(body) => serde_json::from_slice::<Codes>(&body).ok(),
            Err(refused) => bail!("{} refuses the device: {}", server.address(), visible(&refused.error)),
        };
        let codes = codes.context("the server does not answer like `keyswap serve`")?;
        let (page, code) = (visible(&codes.verification_uri), visible(&codes.user_code));
        output::note(&format!("Open {page} and type the code {code}"));
        let body = poll(&server, &codes)?;
        let next = Kept::read(server.address().to_string(), &body)?;
        let file = self.kept.lock()?;
        let before = file.read().ok().flatten();
        file.write(&next)?;
        // The session that was here has no device any more. If it cannot be ended now, it ends by itself.
        if let Some(before) = before.filter(|before| before.server == next.server) {
            drop(server.post("revoke", &[("token", &before.refresh_token)]));
        }
        output::note(&format!("signed in at {}", server.address()));
        Ok(Exit::Ok)
    }
}

/// Polls until a person has decided. Returns the answer with the tokens.
fn poll(server: &OAuth, codes: &Codes) -> anyhow::Result<Vec<u8>> {
    let until = Instant::now() + Duration::from_secs(codes.expires_in).min(MAX_WAIT);
    let mut interval = codes.interval.map_or(INTERVAL, Duration::from_secs).min(MAX_INTERVAL);
    while Instant::now() < until {
        thread::sleep(interval);
        let fields = [("grant_type", DEVICE_CODE), ("device_code", codes.device_code.as_str())];
        // A server that cannot be reached for a while is asked again, less often.
        let Ok(answer) = server.post("token", &fields) else {
            interval = (interval * 2).min(MAX_INTERVAL);
            continue;
        };
        match answer {
            Ok(body) => return Ok(body),
            Err(refused) => match refused.error.as_str() {
                "authorization_pending" => {}
                "slow_down" | "temporarily_unavailable" => interval = (interval + INTERVAL).min(MAX_INTERVAL),
                "access_denied" => bail!("the device was refused on the page"),
                "expired_token" => break,
                other => bail!("{} gave no token: {}", server.address(), visible(other)),
            },
        }
    }
    bail!("nobody typed the code in time: run `keyswap login` again")
}

/// Returns the name of the host, empty if the system does not tell it.
fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned()
}
