//! `keyswap policy explain`: a policy's decision on a request, with every check on the way.
//!
//! No secret is read: a placeholder stands for each. The caller's credential is never shown.

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;
use keyswap_cases::{Placeholders, parse_head};
use keyswap_core::base::Moment;
use keyswap_core::body::Asked;
use keyswap_core::host::{Capabilities, MemoryStore};
use keyswap_core::identity::jwt::PureRust;
use keyswap_core::judge::Request;
use keyswap_core::policy::{Policy, RolloutPolicy};
use keyswap_core::worker::Worker;

use super::explanation::Explanation;
use super::report::report_invalid;
use super::time::time;
use crate::command::policy_file::PolicyFile;
use crate::command::terminal::exit::{self, Exit};
use crate::command::terminal::input;
use crate::command::terminal::output::{self, Format};
use crate::text::mask::Mask;

/// Envoy's own limit for request headers is 60 KiB by default.
const MAX_REQUEST_BYTES: usize = 256 * 1024;

/// Explain a policy's decision on a request
///
/// The request is not sent, and no secret is read: `<OPENAI_API_KEY>` stands for the value of that variable. The
/// caller's token is never shown. Tokens of a registry are not looked up.
#[derive(Args)]
#[command(after_help = exit::help(
    "  keyswap policy explain policy.yaml request.txt\n  \
     printf 'GET /v1/models HTTP/1.1\\nAuthorization: Bearer %s\\n' \"$TOKEN\" | keyswap policy explain policy.yaml -"
))]
pub(crate) struct Explain {
    /// Policy to judge by, in YAML or JSON; `-` reads standard input
    policy: PathBuf,
    /// Head of the request as in HTTP/1.1: request line and headers; `-` reads standard input
    request: PathBuf,
    /// Time to judge as of, such as `2027-06-30T00:00:00Z` (default: now)
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// Model that the body names: it is judged, and what the request reserves has its price
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// Output tokens that the body allows (default: those of the model or the policy)
    #[arg(long, value_name = "NUMBER")]
    max_tokens: Option<u64>,
    /// Output format
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

impl Explain {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        if input::is_stdin(&self.policy) && input::is_stdin(&self.request) {
            bail!("policy and request cannot both be `-`: pass a path for one of them");
        }
        let now = time(self.at.as_deref())?;
        let file = PolicyFile::read(&self.policy)?;
        let text = input::read(&self.request, MAX_REQUEST_BYTES)?;
        let compile = |policy: Policy| {
            // A policy in shadow mode is explained as if it were enforced.
            let policy = RolloutPolicy::of(policy.enforced());
            Worker::of(policy, Box::new(Placeholders), Box::new(PureRust), Capabilities::MODULE)
        };
        match file.policy().and_then(compile) {
            Ok(worker) => self.explain(&worker, &text, now),
            Err(errors) => report_invalid(&file.name, &errors, self.format),
        }
    }

    /// Judges the request and prints the explanation. Makes no fetches: a token that only the registry knows is
    /// refused, and the explanation says so. Rate limits that the registry counts are taken as unspent.
    fn explain(&self, worker: &Worker, text: &[u8], now: Moment) -> anyhow::Result<Exit> {
        let owned = parse_head(text)?;
        let lines = owned.lines();
        let head = owned.with(&lines);
        let store = MemoryStore::default();
        let in_force = worker.in_force(&store);
        let mask = Mask::of(&head, |name| in_force.is_slot(name));
        let request = Request { head: &head, now, store: &store };
        let (mut decision, _) = in_force.decide(&request, &mut |fetch| (fetch.without_call(), now));
        let is_limited = self.max_tokens.is_some();
        let asked = Asked { output: self.max_tokens, is_limited, count: 1, ..Asked::default() };
        let reserves = decision.with_model(self.model.as_deref(), &asked, now);
        let explanation = Explanation::of(&decision, reserves, now.unix(), &mask);
        match self.format {
            Format::Human => output::print(explanation.to_string().trim_end())?,
            Format::Json => output::print_json(&explanation)?,
        }
        Ok(if explanation.is_forward() { Exit::Ok } else { Exit::Refused })
    }
}
