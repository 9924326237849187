//! The matrix: every role on every route.

use keyswap::registry::RoleName;
use keyswap::server::admin_routes;
use reqwest::Method;

use super::document::Document;
use super::requests::{Named, request};
use super::setup::{ALICE, BOB, NAMES, Setup, Things, role};
use crate::support::{Database, run};

/// The rights, in the order of the roles: on all, on own things, none.
const RIGHTS: [(&str, &str); 40] = [
    ("list tokens", "all all own own"),
    ("show a token", "all all own own"),
    ("create a token", "all no own own"),
    ("change a token", "all no own own"),
    ("rotate a token", "all no own own"),
    ("delete a token", "all no own own"),
    ("import tokens", "all no no no"),
    ("list users", "all all own own"),
    ("show a user", "all all own own"),
    ("create a user", "all no own no"),
    ("change a user", "all no own no"),
    ("delete a user", "all no own no"),
    ("show what an owner has", "all all own own"),
    ("disable all of an owner", "all no no no"),
    ("list sessions", "all all own own"),
    ("sign in a device", "own own own own"),
    ("end a session", "all no own own"),
    ("list budgets", "all all own own"),
    ("show a budget", "all all own own"),
    ("set a budget", "all no own no"),
    ("delete a budget", "all no own no"),
    ("read usage", "all all own own"),
    ("list objects", "all all own own"),
    ("show an object", "all all own own"),
    ("adopt objects", "all no no no"),
    ("transfer objects", "all no no no"),
    ("forget an object", "all no no no"),
    ("list policies", "all all no no"),
    ("show a policy", "all all no no"),
    ("publish a policy", "all no no no"),
    ("change the keys of a policy", "all no no no"),
    ("list credentials", "all all no no"),
    ("create a credential", "all no no no"),
    ("revoke a credential", "all no no no"),
    ("list API keys", "all all no no"),
    ("create an API key", "all no no no"),
    ("revoke an API key", "all no no no"),
    ("read the audit log", "all all no no"),
    ("see one's name and role", "all all all all"),
    ("sign out", "all all all all"),
];

/// The forms with which a person changes nothing of its own tokens: only an administrator or a team owner gives rights.
const NOT_BY_A_PERSON: [&str; 4] = [
    "/admin/tokens/{sha256}",
    "/admin/tokens/{sha256}/expiry",
    "/admin/tokens/{sha256}/rate-limit",
    "/admin/tokens/{sha256}/undo",
];

/// Every role on every route: what it may, what it may not, and what it does not see.
#[test]
fn each_role_does_on_each_route_what_the_table_says() {
    run(
        async |database| {
            let setup = Setup::start(database).await;
            let document = Document::of(&setup.server).await;
            let mut things = [("red", ALICE), ("blue", BOB)].map(|_| None);
            let mut told = Vec::new();
            for route in admin_routes() {
                let rights = RIGHTS.iter().find(|(operation, _)| *operation == route.operation);
                let rights = rights.unwrap_or_else(|| panic!("`{}` is not in the matrix", route.operation)).1;
                for (name, right) in NAMES.into_iter().zip(rights.split(' ')) {
                    for (place, (team, email)) in [("red", ALICE), ("blue", BOB)].into_iter().enumerate() {
                        if things[place].is_none() {
                            things[place] = Some(Things::make(&setup.registry, team, email).await);
                        }
                        let own = things[place].as_ref().unwrap();
                        let is_foreign = place == 1;
                        let (named, path, body) = request(&route, own);
                        let is_given = name == RoleName::SelfService
                            && route.method != Method::GET
                            && NOT_BY_A_PERSON.contains(&route.path);
                        let expect = match (right, named) {
                            ("no", _) => "403",
                            ("own", Named::Subject) if is_foreign => "404",
                            ("own", Named::New) if is_foreign => "403",
                            _ if is_given => "403",
                            (_, Named::Nothing) => "passes",
                            _ => "done",
                        };
                        let (status, text) = setup.ask(&role(name), &route.method, &path, &body).await;
                        let fits = match expect {
                            "passes" => ![401, 403].contains(&status) && status < 500,
                            // The page of a new token says that it cannot be shown any more.
                            "done" => status < 400 || status == 410,
                            code => status.to_string() == code,
                        };
                        if !fits {
                            let (method, path) = (&route.method, route.path);
                            told.push(format!("{method} {path} {name:?} foreign: {is_foreign}: {status}, not {expect}: {text}"));
                        }
                        told.extend(document.misfit(&route, &body, status, &text));
                        if status < 400 && route.method != Method::GET {
                            things[place] = None;
                        }
                    }
                }
            }
            assert!(told.is_empty(), "{}", told.join("\n"));
        },
        &Database::sqlite(),
    );
}
