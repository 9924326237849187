//! `keyswap policy schema`: the form of a policy as JSON Schema, for editors.
//!
//! The engine's reader decides if a policy is valid; a test compares the schema with it. The schema is laxer where JSON
//! Schema cannot express a rule: references within the document, and arithmetic.

use clap::Args;

use crate::command::terminal::exit::{self, Exit};
use crate::command::terminal::output;

/// The schema, in JSON Schema draft 2020-12.
const SCHEMA: &str = include_str!("schema.json");

/// Print the JSON Schema of policies
///
/// Editors use it to complete and check a policy: put `# yaml-language-server: $schema=FILE` into its first line. Some
/// rules cannot be expressed in a schema; `policy check` checks all of them.
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
