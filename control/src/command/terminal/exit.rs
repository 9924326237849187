//! Exit codes: the contract with scripts. The codes are stable, and no others are used.

use std::process::ExitCode;

/// The result of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Success.
    Ok,
    /// Failure: wrong usage, an unreadable file, a malformed request.
    Failure,
    /// `policy explain`: the request is refused.
    Refused,
    /// `policy test`, `policy diff`, `policy lint`, `version --check`, `apply --dry-run`: a case differs, policies differ, there
    /// is a finding, a change between releases concerns the policy, or the registry differs from the file.
    Differs,
    /// The policy, or a file with its cases, is invalid.
    Invalid,
}

const CODES: &str = "\
Exit codes:
  0  success; `policy explain`: the request is forwarded
  1  failure: wrong usage, an unreadable file, a malformed request
  2  `policy explain`: the request is refused; `policy test`: a case differs; `policy diff`: something changes;
     `policy lint --deny-warnings`: there is a finding; `version --check`: a change concerns the policy;
     `apply --dry-run`: the registry differs from the file
  3  the policy, or a file with its cases, is invalid";

/// Returns the end of a command's help: examples and exit codes.
pub(crate) fn help(examples: &str) -> String {
    format!("Examples:\n{examples}\n\n{CODES}")
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Ok => 0,
            Exit::Failure => 1,
            Exit::Refused | Exit::Differs => 2,
            Exit::Invalid => 3,
        })
    }
}
