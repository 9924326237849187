//! The proof that the upstream gets the expected request, without the caller's credential.

use anyhow::{Context as _, Result, ensure};

use super::host::Host;
use crate::{
    Envoy, Response,
    bench::stage::{CF_AIG_TOKEN, EMAIL, OPENAI_API_KEY, Stage},
};

/// The change that a set-up makes to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Job {
    /// The request is forwarded unchanged.
    Nothing,
    /// The caller's credential is replaced with the provider's key. The path stays.
    Key,
    /// The caller's credential is replaced with the upstream credentials. Host and path are the gateway's.
    Credentials,
    /// Like `Credentials`, with the caller's metadata for the gateway.
    Metadata,
}

/// Ensures that a request is forwarded as the job requires. Returns the answer.
pub(super) fn forwards(stage: &Stage, host: &dyn Host, request: &[u8], job: Job) -> Result<Response> {
    let (answer, heads) = stage.upstream.watch(|| host.open(request)?.finish())?;
    ensure!(answer.status == 200, "answered {}: {}", answer.status, answer.text());
    // LiteLLM also asks an upstream for its models, whenever it likes.
    let posted: Vec<&String> = heads.iter().filter(|head| head.starts_with("POST ")).collect();
    let [head] = posted.as_slice() else {
        anyhow::bail!("the upstream saw not one request:\n{}", heads.join("\n"))
    };
    job.check(head, credential(request)?).with_context(|| format!("the upstream saw\n{head}"))?;
    Ok(answer)
}

/// Ensures that a request is refused with 401 and does not reach the upstream.
pub(super) fn refuses(stage: &Stage, host: &dyn Host, request: &[u8]) -> Result<()> {
    refuses_with(401, stage, host, request)
}

/// Ensures that a request is refused with this status and does not reach the upstream.
pub(super) fn refuses_with(status: u16, stage: &Stage, host: &dyn Host, request: &[u8]) -> Result<()> {
    let (answer, heads) = stage.upstream.watch(|| host.open(request)?.finish())?;
    ensure!(answer.status == status, "answered {}: {}", answer.status, answer.text());
    ensure!(heads.is_empty(), "a refused request reached the upstream");
    Ok(())
}

/// Ensures that a statistic of Envoy is in this range.
pub(super) fn counts(envoy: &Envoy, name: &str, range: impl std::ops::RangeBounds<u64>) -> Result<()> {
    let value = envoy.stat(name)?;
    ensure!(range.contains(&value), "`{name}` is {value}:\n{}", envoy.last_lines());
    Ok(())
}

/// Returns the credential in the request's `authorization: Bearer`.
fn credential(request: &[u8]) -> Result<&str> {
    let line = str::from_utf8(request)?.lines().find_map(|line| line.strip_prefix("authorization: Bearer "));
    line.context("the request has no credential")
}

impl Job {
    fn check(self, head: &str, callers: &str) -> Result<()> {
        let has = |line: &str| head.lines().any(|other| other == line);
        if self == Self::Nothing {
            ensure!(head.starts_with("POST /v1/chat/completions "), "it is not as it came");
            ensure!(has(&format!("authorization: Bearer {callers}")), "the credential is not the caller's");
            return Ok(());
        }
        ensure!(has(&format!("authorization: Bearer {OPENAI_API_KEY}")), "the provider's key is missing");
        ensure!(!head.contains(callers), "the caller's credential is still there");
        if self == Self::Key {
            ensure!(head.starts_with("POST /v1/chat/completions "), "the path is another");
            return Ok(());
        }
        let target = "/v1/0123456789abcdef0123456789abcdef/prod/openai/v1/chat/completions";
        ensure!(head.starts_with(&format!("POST {target} ")), "the path is not the gateway's");
        ensure!(has("host: gateway.ai.cloudflare.com"), "the host is not the gateway's");
        ensure!(has(&format!("cf-aig-authorization: Bearer {CF_AIG_TOKEN}")), "the gateway's key is missing");
        let metadata = head.lines().find_map(|line| line.strip_prefix("cf-aig-metadata: "));
        ensure!(
            metadata.is_some_and(|metadata| metadata.contains(EMAIL)) == (self == Self::Metadata),
            "what the gateway is told is {metadata:?}"
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALLERS: &str = "ptk_of-the-caller";

    fn rewritten() -> String {
        format!(
            "POST /v1/0123456789abcdef0123456789abcdef/prod/openai/v1/chat/completions HTTP/1.1\r\n\
             host: gateway.ai.cloudflare.com\r\nauthorization: Bearer {OPENAI_API_KEY}\r\n\
             cf-aig-authorization: Bearer {CF_AIG_TOKEN}\r\n\r\n"
        )
    }

    #[test]
    fn whoever_lets_pass_what_should_go_or_leaves_out_what_should_come_is_found_out() {
        let good = rewritten();
        assert!(Job::Credentials.check(&good, CALLERS).is_ok());
        for (part, instead) in [
            ("/prod/openai", ""),
            ("host: gateway.ai.cloudflare.com", "host: llm.example.com"),
            (OPENAI_API_KEY, "sk-other"),
            (CF_AIG_TOKEN, ""),
            ("\r\n\r\n", "\r\nx-api-key: ptk_of-the-caller\r\n\r\n"),
            ("\r\n\r\n", "\r\ncf-aig-metadata: {\"user_id\":\"alice@example.com\"}\r\n\r\n"),
        ] {
            let bad = good.replace(part, instead);
            assert!(bad != good && Job::Credentials.check(&bad, CALLERS).is_err(), "{bad}");
        }
        assert!(Job::Metadata.check(&good, CALLERS).is_err(), "nobody is named");
        assert!(Job::Nothing.check(&good, CALLERS).is_err(), "it was rewritten");
    }

    #[test]
    fn who_does_nothing_changes_nothing() {
        let passed = format!("POST /v1/chat/completions HTTP/1.1\r\nauthorization: Bearer {CALLERS}\r\n\r\n");
        assert!(Job::Nothing.check(&passed, CALLERS).is_ok());
        assert!(Job::Credentials.check(&passed, CALLERS).is_err());
    }
}
