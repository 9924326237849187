//! The page with the list of credentials of data planes. The command line creates and revokes them.

use axum::extract::State as Extract;
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};

use super::layout::{PageError, Place, page};
use super::list::{List, Pages};
use super::time;
use crate::registry::Credential;
use crate::server::admin::gate::{AdminState, Permit, op};

pub(super) async fn list(
    permit: Permit<op::ListCredentials>,
    Extract(state): Extract<AdminState>,
) -> Result<Response, PageError> {
    let credentials = permit.credentials().await?;
    let list = List {
        names: ("credential", "credentials"),
        columns: &["Name", "Id", "Role", "Created (UTC)", "Last seen (UTC)"],
        rows: credentials.iter().map(row).collect(),
        total: i64::try_from(credentials.len()).ok(),
        pages: Pages::none(),
        first_steps: Some(html! {
            p { "Create the first with " code { "keyswap credential create NAME" } ", and give it to the data plane in the variable that its \
                 policy names under " code { "registry.credential" } "." }
        }),
        live: true,
    };
    let content = html! {
        p { "Data planes, and other clients that introspect tokens, authenticate with these credentials. Create, rotate and \
            revoke them with " code { "keyswap credential" } "." }
        @if let Some(uses) = state.shared_credential_uses() {
            p { "All data planes may also share " code { "KEYSWAP_REGISTRY_TOKEN" } ". " (shared_uses(uses)) }
        }
        (list.markup())
    };
    Ok(page(StatusCode::OK, Place::Credentials, "Credentials", &content))
}

/// Returns if the shared credential is in use, so that it can be taken away in time.
fn shared_uses(uses: u64) -> String {
    match uses {
        0 => "No request to this server has used it since its start.".to_owned(),
        uses => format!("Requests to this server that used it since its start: {uses}."),
    }
}

fn row(credential: &Credential) -> Markup {
    html! {
        tr {
            th scope="row" { (credential.name) }
            td data-label="Id" { code { (credential.id()) } }
            td data-label="Role" { (credential.role.name()) }
            td data-label="Created" { (time::shown(credential.created_at)) }
            td data-label="Last seen" {
                @if let Some(at) = credential.last_seen { (time::shown(at)) } @else { "–" }
            }
        }
    }
}
