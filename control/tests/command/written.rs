//! Paths of what commands write.

use crate::support::keyswap;

#[test]
fn no_command_writes_a_file_whose_name_is_a_dash() {
    for args in [
        &["apply", "-f", "tokens.yaml", "--tokens-out", "-"][..],
        &["policy", "import", "litellm", "config.yaml", "--tests", "-"],
        &["policy", "import", "kong", "kong.yaml", "--tests", "-"],
        &["policy", "import", "ai-gateway", "gateway.yaml", "--tests", "-"],
        &["policy", "import", "portkey", "config.json", "--tests", "-"],
        &["policy", "import", "api-key-auth", "auth.yaml", "--tests", "-"],
        &["policy", "keygen", "-"],
        &["prices", "update", "prices.json", "--policy", "-"],
        &["render", "envoy", "--policy", "policy.yaml", "--output", "-"],
        &["session", "token", "--session-file", "-"],
        &["up", "--data", "-"],
    ] {
        let run = keyswap(args);
        assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{args:?}: {}", run.stderr);
        let is_told =
            run.stderr.contains("`-` is not standard output") || run.stderr.contains("pass a file name");
        assert!(is_told, "{args:?}: {}", run.stderr);
    }
}
