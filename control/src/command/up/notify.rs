//! Messages to a supervisor that waits for the service, by the protocol of `sd_notify(3)`. Without one nothing is sent.

use std::os::unix::net::UnixDatagram;

/// Tells that the proxy serves.
pub(super) fn ready() {
    send("READY=1");
}

/// Tells that the proxy ends.
pub(super) fn stopping() {
    send("STOPPING=1");
}

fn send(message: &str) {
    let Some(place) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let sent = UnixDatagram::unbound().and_then(|socket| send_to(&socket, &place, message));
    if let Err(error) = sent {
        tracing::warn!(%error, "cannot tell the supervisor");
    }
}

fn send_to(socket: &UnixDatagram, place: &std::ffi::OsStr, message: &str) -> std::io::Result<usize> {
    #[cfg(target_os = "linux")]
    if let Some(name) = place.as_encoded_bytes().strip_prefix(b"@") {
        use std::os::linux::net::SocketAddrExt as _;
        let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
        return socket.send_to_addr(message.as_bytes(), &address);
    }
    socket.send_to(message.as_bytes(), place)
}
