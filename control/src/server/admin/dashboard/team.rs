//! The input for a team's name.

use maud::{Markup, html};

pub(super) fn input(team: &str) -> Markup {
    html! {
        label { "Team" span .hint { "letters, digits, - and _; empty: none" }
            input name="team" autocomplete="off" maxlength="64" pattern="[A-Za-z0-9_\\-]*" value=(team); }
    }
}
