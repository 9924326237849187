//! A fast subset of HTTP/1.1, as far as the proxies, the load and the upstream use it.

use std::io;

use bytes::{Buf as _, BytesMut};
use memchr::memmem;
use tokio::{io::AsyncReadExt as _, net::TcpStream};

/// The number of bytes of a read or a write.
const CHUNK: usize = 64 * 1024;
/// The longest head. A longer one is an error.
const LONGEST_HEAD: usize = 64 * 1024;

/// The bytes of bodies. A large body is sent as repetitions of this buffer.
pub(super) static PADDING: [u8; CHUNK] = [b'x'; CHUNK];

/// A connection with its unread bytes.
pub(super) struct Connection {
    pub(super) stream: TcpStream,
    buffer: BytesMut,
}

/// The head of a message, up to and including its empty line.
pub(super) struct Head(Vec<u8>);

impl Connection {
    pub(super) fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: BytesMut::with_capacity(CHUNK) })
    }

    /// Reads the next head. Returns `None` if the peer has closed.
    pub(super) async fn head(&mut self) -> io::Result<Option<Head>> {
        loop {
            if let Some(end) = end_of_head(&self.buffer) {
                let head = Head(self.buffer.get(..end).unwrap_or_default().to_vec());
                self.buffer.advance(end);
                return Ok(Some(head));
            }
            if self.buffer.len() > LONGEST_HEAD {
                return Err(malformed("the head has no end"));
            }
            if !self.read().await? {
                return if self.buffer.is_empty() { Ok(None) } else { Err(malformed("a head was cut off")) };
            }
        }
    }

    /// Reads and drops the body that this head announces.
    pub(super) async fn skip_body(&mut self, head: &Head) -> io::Result<()> {
        match head.content_length() {
            Some(length) => self.skip(length).await,
            None if head.is_chunked() => {
                while self.chunk().await? > 0 {}
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Reads and drops the next chunk of a chunked body. Returns its length, 0 for the last.
    pub(super) async fn chunk(&mut self) -> io::Result<usize> {
        let end = loop {
            match memmem::find(&self.buffer, b"\r\n") {
                Some(end) => break end,
                None => self.need().await?,
            }
        };
        let line = self.buffer.get(..end).and_then(|line| str::from_utf8(line).ok());
        let size = line.and_then(|line| usize::from_str_radix(line.trim(), 16).ok());
        let size = size.ok_or_else(|| malformed("a chunk has no size"))?;
        self.skip(end + 2 + size + 2).await?;
        Ok(size)
    }

    async fn skip(&mut self, mut bytes: usize) -> io::Result<()> {
        loop {
            let here = bytes.min(self.buffer.len());
            self.buffer.advance(here);
            bytes -= here;
            if bytes == 0 {
                return Ok(());
            }
            self.need().await?;
        }
    }

    async fn need(&mut self) -> io::Result<()> {
        if self.read().await? { Ok(()) } else { Err(malformed("a message was cut off")) }
    }

    async fn read(&mut self) -> io::Result<bool> {
        self.buffer.reserve(CHUNK);
        Ok(self.stream.read_buf(&mut self.buffer).await? > 0)
    }
}

impl Head {
    /// Returns the bytes of the head.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the status of an answer.
    pub(super) fn status(&self) -> Option<u16> {
        str::from_utf8(self.0.get(9..12)?).ok()?.parse().ok()
    }

    /// Returns the value of a header, `None` without one. `name` is in lower case, the case of Envoy and this bench.
    pub(super) fn value(&self, name: &str) -> Option<&[u8]> {
        let mut lines = self.0.split(|byte| *byte == b'\n').skip(1);
        lines.find_map(|line| Some(line.strip_prefix(name.as_bytes())?.strip_prefix(b":")?.trim_ascii()))
    }

    fn content_length(&self) -> Option<usize> {
        str::from_utf8(self.value("content-length")?).ok()?.parse().ok()
    }

    fn is_chunked(&self) -> bool {
        self.value("transfer-encoding") == Some(b"chunked")
    }
}

fn end_of_head(bytes: &[u8]) -> Option<usize> {
    memmem::find(bytes, b"\r\n\r\n").map(|at| at + 4)
}

pub(super) fn malformed(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_as_it_stands() {
        let head = Head(b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 7\r\nx-a: b c \r\n\r\n".to_vec());
        assert_eq!((head.status(), head.content_length(), head.is_chunked()), (Some(401), Some(7), false));
        assert_eq!((head.value("x-a"), head.value("x")), (Some(&b"b c"[..]), None));
        let head = Head(b"POST /v1/a HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n".to_vec());
        assert_eq!((head.content_length(), head.is_chunked()), (None, true));
        assert_eq!((end_of_head(b"a\r\n\r\nb"), end_of_head(b"a\r\n\r")), (Some(5), None));
    }
}
