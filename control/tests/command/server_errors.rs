//! `--server`: the receivers of the password, and the errors of a wrong server.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use crate::remote::registry;
use crate::support::{Folder, Run, assert_only_text, keyswap_with};
use crate::tls::behind_tls;

const PASSWORD: &str = "SENTINEL-admin-password-0123456789";

fn list(server: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Run {
    let environment = [environment, &[("KEYSWAP_ADMIN_PASSWORD", PASSWORD)]].concat();
    let run = keyswap_with(&[&["token", "list", "--server", server], arguments].concat(), b"", &environment);
    assert_only_text(&run);
    assert!(!run.all().contains("SENTINEL"), "{}", run.all());
    run
}

fn refused(run: &Run, words: &str) {
    assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{}", run.stderr);
    assert!(run.stderr.starts_with("error: ") && run.stderr.contains(words), "{words}: {}", run.stderr);
}

/// Starts a server that gives every request this answer. Returns its URL and the requests.
fn answering(answer: &'static [u8]) -> (String, Receiver<String>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (seen, requests) = channel();
    std::thread::spawn(move || listener.incoming().for_each(|client| serve(client.unwrap(), answer, &seen)));
    (url, requests)
}

fn serve(mut client: TcpStream, answer: &[u8], seen: &Sender<String>) {
    client.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let (mut request, mut part) = (String::new(), [0; 4096]);
    // The body ends with the password.
    while !request.ends_with('}') {
        match client.read(&mut part) {
            Ok(count) if count > 0 => request.push_str(std::str::from_utf8(&part[..count]).unwrap()),
            _ => break,
        }
    }
    let _ = seen.send(request);
    let _ = client.write_all(answer);
}

#[test]
fn what_is_wrong_is_told_with_a_remedy() {
    let registry = registry();
    let server = registry.url();
    refused(&list(&server, &[], &[]), "refused the password: check that it equals `KEYSWAP_ADMIN_PASSWORD`");
    for _ in 0..9 {
        list(&server, &[], &[]);
    }
    let run = list(&server, &[], &[]);
    refused(&run, "got too many sign-in attempts: try again in ");
    let seconds: u32 =
        run.stderr.split("again in ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!((1..=60).contains(&seconds));

    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    refused(&list(&format!("http://{free}"), &[], &[]), "check that `keyswap serve` is running there");
    refused(&list(&format!("https://{free}"), &[], &[]), "check that `keyswap serve` answers there over TLS");
    refused(&list("https://nowhere.invalid", &["--timeout", "5s"], &[]), "https://nowhere.invalid");
    let run = keyswap_with(&["token", "list", "--server", &server], b"", &[]);
    refused(&run, "set `KEYSWAP_ADMIN_PASSWORD`, or set `KEYSWAP_ADMIN_PASSWORD_FILE`");
    let both = [("KEYSWAP_SERVER", server.as_str()), ("KEYSWAP_DATABASE", "sqlite://a.db")];
    refused(&keyswap_with(&["token", "list"], b"", &both), "pass `--database` or `--server`");
    // An argument overrides the environment.
    let run = keyswap_with(&["token", "list", "--database", "sqlite://nowhere.db"], b"", &both);
    refused(&run, "no database at `nowhere.db`");
    refused(&list("SENTINEL://a", &[], &[]), "invalid `--server`: expected the address of a server");
    refused(&list(&server, &["--database", "sqlite://a.db"], &[]), "cannot be used with");
}

#[test]
fn a_password_in_a_file_is_taken() {
    let registry = registry();
    let folder = Folder::new();
    let file = folder.file("password", format!("{}\n", registry.password()));
    let environment = [("KEYSWAP_ADMIN_PASSWORD_FILE", file.as_str())];
    let run = keyswap_with(&["token", "list", "--server", &registry.url()], b"", &environment);
    assert_eq!((run.code, run.stderr.as_str()), (0, "0 of 0 shown\n"));
}

#[test]
fn a_server_that_is_not_keyswap_is_told_apart() {
    let not_keyswap = "the server does not answer like `keyswap serve`";
    let cases: [(&'static [u8], &str); 13] = [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi", not_keyswap),
        (b"HTTP/1.1 204 No Content\r\n\r\n", not_keyswap),
        (b"HTTP/1.1 204 No Content\r\nset-cookie: session=1\r\n\r\n", not_keyswap),
        (b"HTTP/1.1 204 No Content\r\nset-cookie: keyswap_session=; Path=/admin\r\n\r\n", not_keyswap),
        (b"HTTP/1.1 204 No Content\r\nset-cookie: keyswap_session=\xff\r\n\r\n", not_keyswap),
        (b"HTTP/1.1 200 OK\r\nset-cookie: keyswap_session=a\r\ncontent-length: 0\r\n\r\n", not_keyswap),
        (b"HTTP/1.1 404 Not Found\r\ncontent-type: text/html\r\ncontent-length: 12\r\n\r\n<h1>404</h1>", "answered with status 404"),
        (b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 7\r\ncontent-length: 0\r\n\r\n", "answered with status 429"),
        (b"HTTP/1.1 500 Oops\r\ncontent-type: application/problem+json\r\ncontent-length: 2\r\n\r\n{}", "answered with status 500"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", not_keyswap),
        (b"", not_keyswap),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n", not_keyswap),
        // The server's text is escaped.
        (
            b"HTTP/1.1 418 No\r\ncontent-type: application/problem+json\r\ncontent-length: 59\r\n\r\n{\"status\":418,\"code\":\"x\",\"detail\":\"a\\u001b[2J\\nb\\u202ec\"}   ",
            r"a\u{1b}[2J\nb\u{202e}c",
        ),
    ];
    for (answer, words) in cases {
        let (url, _requests) = answering(answer);
        refused(&list(&url, &["--timeout", "5s"], &[]), words);
    }
}

#[test]
fn a_server_that_does_not_answer_is_not_waited_for_for_ever() {
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    refused(&list(&url, &["--timeout", "1s"], &[]), "did not answer in time");
    // A byte now and then does not extend the time limit.
    let trickle = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("http://{}", trickle.local_addr().unwrap());
    std::thread::spawn(move || {
        let (mut client, _) = trickle.accept().unwrap();
        let _ = client.read(&mut [0; 4096]);
        let _ = client.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n");
        while client.write_all(b" ").is_ok() {
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    refused(&list(&url, &["--timeout", "1s"], &[]), "did not answer in time");
}

#[test]
fn a_redirect_is_told_and_not_followed() {
    for status in
        ["301 Moved", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent Redirect"]
    {
        let (elsewhere, visits) = answering(b"HTTP/1.1 204 No Content\r\n\r\n");
        let answer =
            format!("HTTP/1.1 {status}\r\nlocation: {elsewhere}/admin/session\r\ncontent-length: 0\r\n\r\n");
        let (url, requests) = answering(answer.leak().as_bytes());
        refused(&list(&url, &[], &[]), "where the password is not sent");
        assert!(requests.recv().unwrap().contains(PASSWORD), "it was sent to where it was meant to go");
        assert!(visits.try_recv().is_err(), "{status}: another server was asked");
    }
}

#[test]
fn without_tls_no_other_machine_gets_the_password() {
    let words = "has no TLS, so the password could be read in transit";
    for server in
        ["http://192.0.2.1", "http://keyswap.example:7070", "http://0.0.0.0:7070", "http://localhost.example"]
    {
        refused(&list(server, &[], &[]), words);
    }
    // With the option the password is sent, past every proxy of the environment.
    let (proxy, visits) = answering(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n");
    let (url, requests) = answering(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n");
    let zero = url.replace("127.0.0.1", "0.0.0.0");
    let proxies =
        [("HTTP_PROXY", proxy.as_str()), ("http_proxy", proxy.as_str()), ("ALL_PROXY", proxy.as_str())];
    refused(&list(&zero, &["--allow-plaintext"], &proxies), "answered with status 404");
    let request = requests.recv().unwrap();
    assert!(request.starts_with("POST /admin/session ") && request.contains(PASSWORD), "{request}");
    assert!(visits.try_recv().is_err(), "the proxy was asked");
}

#[test]
fn tls_is_verified_with_the_certificates_of_the_machine() {
    let registry = registry();
    let folder = Folder::new();
    let (url, trusted) = behind_tls(registry.address(), "localhost", &folder.path("."));
    let (other, other_trusted) = behind_tls(registry.address(), "other.example", &folder.path("."));
    let run = |url: &str, trusted: Option<&str>| {
        let mut environment = vec![("KEYSWAP_ADMIN_PASSWORD", registry.password())];
        environment.extend(trusted.map(|file| ("SSL_CERT_FILE", file)));
        keyswap_with(&["token", "list", "--server", url], b"", &environment)
    };
    let well = run(&url, Some(&trusted));
    assert_eq!((well.code, well.stderr.as_str()), (0, "0 of 0 shown\n"));
    refused(&run(&url, None), "with a certificate that this machine trusts");
    refused(&run(&url, Some(&other_trusted)), "with a certificate that this machine trusts");
    refused(&run(&other, Some(&other_trusted)), "with a certificate that this machine trusts");
}
