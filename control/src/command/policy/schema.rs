//! `keyswap policy schema`: the form of a policy as JSON Schema, for editors.
//!
//! The engine's reader is the judge of a policy. The schema is held to it by a test, and is laxer where a schema cannot
//! say what the reader knows: what names something else in the document, and what is told by arithmetic.

use clap::Args;

use crate::command::terminal::exit::{self, Exit};
use crate::command::terminal::output;

/// JSON Schema, draft 2020-12.
const SCHEMA: &str = include_str!("schema.json");

/// Print the JSON Schema of policies
///
/// With it an editor completes and checks a policy as it is written: put `# yaml-language-server: $schema=FILE` in its
/// first line. `policy check` says all that is wrong.
#[derive(Args)]
#[command(after_help = exit::help("  keyswap policy schema > policy.schema.json"))]
pub(crate) struct Schema {}

impl Schema {
    #[expect(clippy::unused_self, reason = "every subcommand runs itself")]
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        output::print(SCHEMA.trim_end())?;
        Ok(Exit::Ok)
    }
}
