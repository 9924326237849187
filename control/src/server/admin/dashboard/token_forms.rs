//! The forms on the page of a token.
//!
//! A form names the version of the token that it was filled from, so that two administrators do not overwrite each
//! other's changes. Disabling names none: it must not fail.

use maud::{Markup, html};

use super::addresses::of_token;
use super::fields::version_input;
use super::layout::{is_self_service, toggle_for};
use super::{provider, rate_limit, team, time};
use crate::registry::Token;
use crate::server::admin::gate::Operation;

/// Returns the forms that the person may send: one with its own tokens changes no rights of theirs.
pub(super) fn forms(token: &Token) -> Markup {
    let address = of_token(token);
    html! {
        @if !is_self_service() { (rights(token, &address)) }
        div .columns {
            section .card {
                h2 { "Status" }
                p { "Requests with a disabled token are refused until it is enabled." }
                (toggle_for(Operation::ChangeToken, &format!("{address}/status"), token.status, &token.label))
            }
            @if !is_self_service() { (expiry(token, &address)) (limit(token, &address)) }
            section .card {
                h2 { "Rotation" }
                details {
                    summary { "Rotate this token…" }
                    p { "Creates a token with the same rights, which replaces this one. This one is refused after the time below. That \
                         cannot be undone." }
                    form method="post" action={ (address) "/rotate" } {
                        label { "Both tokens work for" span .hint { "such as 0s, 30m, 24h, 7d" }
                            input name="grace" value="24h" required autocomplete="off"; }
                        div .actions { button { "Rotate" } }
                    }
                }
            }
            section .card {
                h2 { "Deletion" }
                details {
                    summary { "Delete this token…" }
                    p { "Requests with the token are refused. Deletion cannot be undone. What the token holds at providers stays, and \
                         can be transferred." }
                    form method="post" action={ (address) "/delete" } { button .danger { "Delete permanently" } }
                }
            }
        }
    }
}

/// Returns the forms for a token that a source outside declares: its rights are changed there.
pub(super) fn declared(token: &Token) -> Markup {
    let address = of_token(token);
    html! {
        section .card {
            h2 { "Status" }
            p { "A source outside the registry declares this token. Its rights are changed there. A token that is disabled here stays \
                 disabled, whatever the source says." }
            (toggle_for(Operation::ChangeToken, &format!("{address}/status"), token.status, &token.label))
        }
    }
}

fn rights(token: &Token, address: &str) -> Markup {
    html! {
        section .card {
            h2 { "Rights" }
            form .grid method="post" action=(address) {
                (version_input(token.version))
                label { "Label" input name="label" autocomplete="off" maxlength="64" required value=(token.label); }
                label { "Owner" span .hint { "an email address; empty: none" }
                    input type="email" name="owner" autocomplete="off" value=(token.owner.as_deref().unwrap_or_default()); }
                (team::input(token.team.as_deref().unwrap_or_default()))
                (provider::inputs(&token.providers, &token.models))
                div .actions { button .primary { "Save" } }
            }
        }
    }
}

fn expiry(token: &Token, address: &str) -> Markup {
    html! {
        section .card {
            h2 { "Expiry" }
            form method="post" action={ (address) "/expiry" } {
                (version_input(token.version))
                label { "Expires" span .hint { "in UTC" }
                    input type="datetime-local" name="expires_at" value=(token.own_expiry.map(time::input).unwrap_or_default()); }
                div .actions {
                    button { "Set expiry" }
                    button .quiet name="clear" value="yes" { "Never expire" }
                }
            }
        }
    }
}

fn limit(token: &Token, address: &str) -> Markup {
    let rate_limit = rate_limit::texts(token.rate_limit);
    html! {
        section .card {
            h2 { "Rate limit" }
            form method="post" action={ (address) "/rate-limit" } {
                (version_input(token.version))
                (rate_limit::inputs(rate_limit.each_ref().map(String::as_str)))
                div .actions {
                    button { "Set rate limit" }
                    button .quiet name="clear" value="yes" { "Use the policy's limit" }
                }
            }
        }
    }
}
