//! Connections to the server, from outside: how long they stay open, and how many.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use crate::server::Server;
use crate::support::Database;

/// The bound of a test that hangs on a server without the limit.
const HANGS: Duration = Duration::from_secs(15);

const REQUEST: &str = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";

fn connect(server: &Server) -> TcpStream {
    let address = server.url.strip_prefix("http://").unwrap();
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(HANGS)).unwrap();
    stream.set_write_timeout(Some(HANGS)).unwrap();
    stream
}

/// Sends a request. Returns true if it is answered, false if the connection is closed.
fn is_answered(stream: &mut TcpStream) -> bool {
    let mut answer = [0; 1024];
    let read = stream.write_all(REQUEST.as_bytes()).and_then(|()| stream.read(&mut answer));
    match read {
        Ok(0) => false,
        Ok(_) => answer.starts_with(b"HTTP/1.1 200"),
        Err(error) if is_cut(error.kind()) => false,
        Err(error) => panic!("{error}"),
    }
}

fn is_cut(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
}

#[test]
fn whoever_does_not_read_the_answers_is_cut_off() {
    let database = Database::sqlite();
    let server = Server::start_with(&database.url(), &["--client-timeout", "1s"]);
    // No credential is needed. The answers are longer than what sockets hold.
    let request = "GET /v1/openapi.json HTTP/1.1\r\nHost: a\r\n\r\n".repeat(100);
    for reads in [false, true] {
        let mut slow = connect(&server);
        if reads {
            // A byte now and then does not extend the time limit.
            let mut trickle = slow.try_clone().unwrap();
            std::thread::spawn(move || {
                while trickle.read_exact(&mut [0]).is_ok() {
                    std::thread::sleep(Duration::from_millis(20));
                }
            });
        }
        let started = Instant::now();
        // The writes succeed while the server reads, then they wait, and fail when the server closes the connection.
        let end = loop {
            if let Err(error) = slow.write_all(request.as_bytes()) {
                break error;
            }
        };
        assert!(is_cut(end.kind()), "{end} after {:?}, reading: {reads}", started.elapsed());
    }
}

#[test]
fn whoever_reads_the_answers_is_not_cut_off() {
    let database = Database::sqlite();
    let server = Server::start_with(&database.url(), &["--client-timeout", "1s"]);
    let mut reader = connect(&server);
    let mut writer = reader.try_clone().unwrap();
    let started = Instant::now();
    let busy = Duration::from_millis(1500);
    // Answers are written all the time, for longer than one may take.
    let writing = std::thread::spawn(move || {
        while started.elapsed() < busy {
            writer.write_all(REQUEST.as_bytes()).unwrap();
        }
        writer.shutdown(Shutdown::Write).unwrap();
    });
    let mut answers = Vec::new();
    reader.read_to_end(&mut answers).unwrap();
    writing.join().unwrap();
    assert!(started.elapsed() >= busy);
    assert!(answers.ends_with(b"}") || answers.ends_with(b"\n"), "the last answer is whole");
}

#[test]
fn a_connection_without_a_request_is_closed() {
    let database = Database::sqlite();
    let server = Server::start_with(&database.url(), &["--client-timeout", "1s"]);
    let mut idle = connect(&server);
    assert!(is_answered(&mut idle));
    assert_eq!(idle.read(&mut [0]).unwrap(), 0);
}

#[test]
fn connections_are_limited_in_total_and_by_address() {
    for (limits, most) in [
        (["--max-connections", "2", "--max-connections-per-address", "0"], 2),
        (["--max-connections", "100", "--max-connections-per-address", "3"], 3),
        (["--max-connections", "5", "--max-connections-per-address", "100"], 5),
    ] {
        let database = Database::sqlite();
        let server = Server::start_with(&database.url(), &limits);
        let mut open: Vec<TcpStream> = (0..most).map(|_| connect(&server)).collect();
        for stream in &mut open {
            assert!(is_answered(stream), "{limits:?}");
        }
        assert!(!is_answered(&mut connect(&server)), "{limits:?}");
        assert!(open.iter_mut().all(is_answered), "the open connections go on: {limits:?}");
        // A connection that ends makes room, as soon as the server has seen its end.
        drop(open.pop());
        let started = Instant::now();
        while !is_answered(&mut connect(&server)) {
            assert!(started.elapsed() < HANGS, "{limits:?}");
        }
    }
}

/// Sends a request with a head of so many bytes, the last of which may be missing. Returns the status of the answer.
fn status_of_head(server: &Server, bytes: usize, is_whole: bool) -> String {
    let (begin, end) = ("GET /healthz HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ", "\r\n\r\n");
    let end = if is_whole { end } else { "" };
    let jwt = "a".repeat(bytes - begin.len() - end.len());
    let mut stream = connect(server);
    stream.write_all(format!("{begin}{jwt}{end}").as_bytes()).unwrap();
    let mut answer = [0; 1024];
    let read = stream.read(&mut answer).unwrap();
    String::from_utf8_lossy(&answer[..read]).split(' ').nth(1).unwrap_or_default().to_owned()
}

#[test]
fn a_head_may_hold_a_long_jwt_and_no_more() {
    let database = Database::sqlite();
    let server = Server::start_with(&database.url(), &["--client-timeout", "2s"]);
    for (bytes, is_whole, status) in
        [(100, true, "200"), (24 * 1024, true, "200"), (31 * 1024, true, "200"), (32 * 1024, false, "431")]
    {
        assert_eq!(status_of_head(&server, bytes, is_whole), status, "{bytes} bytes");
    }
    // A body may be longer than a head. This one is read to its end: it is no right password.
    let body = format!(r#"{{"password":"{}"}}"#, "a".repeat(60 * 1024));
    let head = format!(
        "POST /admin/session HTTP/1.1\r\nHost: a\r\nX-Keyswap-Client: test\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    let mut stream = connect(&server);
    stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 401");
}
