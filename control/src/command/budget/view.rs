//! Budgets in human-readable output.

use serde_json::json;

use crate::command::terminal::output::{self, Format};
use crate::command::terminal::table::Table;
use crate::registry::{BudgetState, Payer};

const COLUMNS: &[&str] = &["subject", "budget", "spent", "left", "leased", "resets", "set by"];

/// Returns a table with a row for each budget.
pub(super) fn table(states: &[BudgetState]) -> Table {
    let mut table = Table::new(COLUMNS);
    for state in states {
        let shown = |number| state.unit.shown(number);
        table.add([
            name(&state.subject),
            state.budget.to_string(),
            shown(state.spent),
            shown(state.left()),
            shown(state.leased),
            state.resets_at.to_string(),
            state.set_by.name().to_owned(),
        ]);
    }
    table
}

/// Prints the budgets of a subject.
pub(super) fn print(states: &[BudgetState], format: Format) -> anyhow::Result<()> {
    match format {
        Format::Json => output::print_json(&json!({"items": states})),
        Format::Human if states.is_empty() => output::print("no budget"),
        Format::Human => output::print(&table(states).as_paragraphs()),
    }
}

/// Returns the subject for people: of a digest the first 16 digits.
fn name(subject: &Payer) -> String {
    match subject {
        Payer::Token(digest) => format!("token:{}", digest.to_hex().chars().take(16).collect::<String>()),
        Payer::Owner(_) | Payer::Team(_) => subject.to_string(),
    }
}
