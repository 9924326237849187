//! Budgets on pages: what is left, and the form that sets one.

use maud::{Markup, html};

use super::chart::share_bar;
use super::fields::Fields;
use super::layout::may;
use super::list::table;
use super::payer_address::{address, name};
use super::time;
use crate::registry::{Budget, BudgetState, Payer, Per, RegistryError, SetBy, Unit, Zone};
use crate::server::admin::gate::Operation;

/// Returns the list of budgets.
pub(super) fn list(states: &[BudgetState]) -> Markup {
    let row = |state: &BudgetState| {
        html! {
            tr {
                th scope="row" { a href=(address(&state.subject)) { (name(&state.subject)) } }
                td data-label="Budget" { (words(state)) }
                td data-label="Spent" { (state.unit.shown(state.spent)) " " (share_bar(state.spent, state.limit)) }
                td data-label="Left" { (state.unit.shown(state.left())) }
                td data-label="Resets" { (time::shown(state.resets_at)) }
            }
        }
    };
    let rows: Vec<Markup> = states.iter().map(row).collect();
    table(&["Subject", "Budget", "Spent", "Left", "Resets (UTC)"], &rows)
}

/// Returns the card with the budgets of a subject, and the form.
pub(super) fn section(subject: &Payer, states: &[BudgetState]) -> Markup {
    let own = states.iter().find(|state| state.set_by == SetBy::Registry).map(|state| &state.budget);
    html! {
        section .card {
            h2 { "Budget" }
            @if states.is_empty() {
                p .empty { "No budget is set here, and no data plane has asked for one in this window." }
            }
            @for state in states { (facts(state)) }
            @if may(Operation::SetBudget) {
                details {
                    summary { @if own.is_some() { "Change the budget…" } @else { "Set a budget…" } }
                    (form(subject, own))
                }
            }
        }
    }
}

/// Returns what is left of a budget, and when it resets.
pub(super) fn facts(state: &BudgetState) -> Markup {
    html! {
        dl .facts {
            dt { "Budget" } dd { (words(state)) }
            dt { "Spent" } dd { (state.unit.shown(state.spent)) " " (share_bar(state.spent, state.limit)) }
            dt { "Left" } dd { strong { (state.unit.shown(state.left())) } }
            dt { "Held by data planes" } dd { (state.unit.shown(state.leased)) }
            dt { "Resets" } dd { (time::shown(state.resets_at)) " UTC" }
        }
    }
}

fn words(state: &BudgetState) -> String {
    match state.set_by {
        SetBy::Registry => state.budget.to_string(),
        SetBy::Policy => format!("{}, by the policy of a data plane", state.budget),
    }
}

fn form(subject: &Payer, own: Option<&Budget>) -> Markup {
    let unit = own.map_or(Unit::Usd, Budget::unit);
    let per = own.map_or(Per::Month, Budget::per);
    html! {
        form .grid method="post" action={ (address(subject)) "/budget" } {
            label { "Amount"
                input name="amount" inputmode="decimal" autocomplete="off" value=(own.map(Budget::amount_text).unwrap_or_default()); }
            label { "Unit"
                select name="unit" {
                    option value="usd" selected[unit == Unit::Usd] { "dollars" }
                    option value="tokens" selected[unit == Unit::Tokens] { "input and output tokens" }
                }
            }
            label { "For each"
                select name="per" {
                    @for one in Per::ALL { option value=(one.name()) selected[one == per] { (one.name()) } }
                }
            }
            label { "Time zone" span .hint { "such as Europe/Berlin" }
                input name="timezone" autocomplete="off" required value=(own.map_or("UTC", |own| own.zone().name())); }
            div .actions {
                button .primary { "Set budget" }
            }
        }
        @if own.is_some() {
            details {
                summary { "Use the policy's budget…" }
                p { "Deletes this budget. Until it is set again, only the policy of a data plane bounds what is spent." }
                form method="post" action={ (address(subject)) "/budget" } {
                    button .danger name="clear" value="yes" { "Delete the budget" }
                }
            }
        }
    }
}

/// Returns the budget that a form has, `None` if the form deletes it.
pub(super) fn of_fields(fields: &Fields) -> Result<Option<Budget>, RegistryError> {
    if !fields.text("clear").is_empty() {
        return Ok(None);
    }
    let amount = fields.text("amount").trim();
    let zone = Zone::parse(fields.text("timezone").trim())?;
    let invalid = |field, expected: &str| RegistryError::Invalid { field, expected: expected.to_owned() };
    let per = Per::from_name(fields.text("per"));
    let per = per.ok_or_else(|| invalid("period", "expected hour, day, week or month"))?;
    match fields.text("unit") {
        "usd" => Budget::of_dollars(amount, per, zone).map(Some),
        // 0 is not a valid number, so a text that is not a number is refused.
        "tokens" => Budget::of_tokens(amount.parse().unwrap_or(0), per, zone).map(Some),
        _ => Err(invalid("unit", "expected usd or tokens")),
    }
}
