//! Addresses to listen on.

use crate::support::keyswap;

#[test]
fn an_address_without_a_port_is_refused_with_an_example() {
    for (command, option) in
        [("serve", "--listen"), ("serve", "--admin-listen"), ("up", "--listen"), ("up", "--dashboard-listen")]
    {
        for address in ["foo", "localhost:7070", "127.0.0.1", ":7070"] {
            let run = keyswap(&[command, option, address]);
            assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{command} {option} {address}");
            let is_told = run.stderr.contains(option) && run.stderr.contains("such as `127.0.0.1:7070`");
            assert!(is_told, "{command} {option} {address}: {}", run.stderr);
        }
    }
}
