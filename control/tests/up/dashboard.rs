//! The dashboard at an address for other machines.

use std::fs;
use std::net::SocketAddr;

use keyswap_tests::{Request, Standin, send};
use serde_json::json;

use super::support::{Setup, TOKEN, policy};

#[test]
fn a_dashboard_for_other_machines_asks_for_the_password_and_serves_no_data_plane() {
    let standin = Standin::start().unwrap();
    let credential = "krc_of-the-tests-of-up-0123456789abcdef";
    let mut setup = Setup::new(&policy(&standin, &[TOKEN])).args(&["--dashboard-listen", "0.0.0.0:0"]);
    setup.command.env("KEYSWAP_REGISTRY_TOKEN", credential);
    let up = setup.start();
    let outside: SocketAddr = up
        .wait_for_log("other machines reach the dashboard on http://0.0.0.0")
        .replace(':', "127.0.0.1:")
        .parse()
        .unwrap();
    assert!(
        up.log().contains("WARN") && up.log().contains("crosses the network in the clear"),
        "{}",
        up.log()
    );
    let get = |address, path: &str| send(address, &Request::get(path).bearer(credential)).unwrap();

    let front = get(outside, "/admin");
    assert_eq!((front.status, front.header("location")), (303, Some("/admin/sign-in")), "{front:?}");
    assert_eq!(get(outside, "/admin/api/tokens").status, 401);
    assert_eq!(get(outside, "/healthz").status, 200);
    // A credential of a data plane is of use on this machine only.
    for path in ["/v1/changes", "/metrics"] {
        assert_eq!((get(up.registry(), path).status, get(outside, path).status), (200, 404), "{path}");
    }
    let password = fs::read_to_string(up.folder().join(".local/share/keyswap/admin-password")).unwrap();
    for (password, status) in [("another", 401), (password.trim(), 204)] {
        let request = Request::post("/admin/session", &json!({"password": password}));
        let answer = send(outside, &request.header("x-keyswap-client", "tests")).unwrap();
        assert_eq!(answer.status, status, "{answer:?}");
    }
}
