//! Models in the messages of a WebSocket.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use keyswap_tests::{Envoy, Standin, until};
use serde_json::{Value, json};

use super::{KEY, TOKEN, policy};

const MASK: [u8; 4] = [0x12, 0x34, 0xab, 0xcd];
const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const PING: u8 = 9;

fn start(standin: &Standin) -> Result<Envoy> {
    let mut policy = policy();
    policy["tokens"][0]["models"] = json!(["gpt-realtime", "whisper-1"]);
    Envoy::with(&policy).env("OPENAI_API_KEY", KEY).upstream(standin).start()
}

/// Returns a frame of a client.
fn frame(opcode: u8, is_last: bool, payload: &[u8]) -> Vec<u8> {
    let first = if is_last { 0x80 | opcode } else { opcode };
    let length = match u16::try_from(payload.len()) {
        Ok(length @ 0..126) => vec![0x80 | length.to_le_bytes()[0]],
        Ok(length) => [&[0x80 | 0x7e][..], &length.to_be_bytes()].concat(),
        Err(_) => [&[0x80 | 0x7f][..], &(payload.len() as u64).to_be_bytes()].concat(),
    };
    let masked = payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
    [vec![first], length, MASK.to_vec(), masked].concat()
}

/// Returns the frames of a message in fragments of this size, with a ping behind the first.
fn frames(opcode: u8, message: &Value, fragment: usize) -> Vec<u8> {
    let message = message.to_string().into_bytes();
    let count = message.len().div_ceil(fragment);
    let mut all = Vec::new();
    for (number, part) in message.chunks(fragment).enumerate() {
        let opcode = if number == 0 { opcode } else { CONTINUATION };
        all.extend(frame(opcode, number + 1 == count, part));
        if number == 0 && count > 1 {
            all.extend(frame(PING, true, b"still here"));
        }
    }
    all
}

/// A session that is open.
struct Session(TcpStream);

impl Session {
    fn open(envoy: &Envoy) -> Result<Self> {
        Self::open_with(envoy, "")
    }

    /// Opens a session with further lines in the head of its request.
    fn open_with(envoy: &Envoy, lines: &str) -> Result<Self> {
        let mut stream = TcpStream::connect(envoy.address())?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        stream.set_nodelay(true)?;
        let head = format!(
            "GET /v1/realtime?model=gpt-realtime HTTP/1.1\r\nhost: api.openai.com\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n{lines}authorization: Bearer {TOKEN}\r\n\r\n"
        );
        stream.write_all(head.as_bytes())?;
        let mut session = Self(stream);
        let head = session.read_until(|read| read.ends_with(b"\r\n\r\n"))?;
        ensure!(head.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&head));
        Ok(session)
    }

    fn send(&mut self, bytes: &[u8], slice: usize) {
        for part in bytes.chunks(slice) {
            // A refusal may come before all is sent.
            if self.0.write_all(part).is_err() {
                return;
            }
        }
    }

    fn read_until(&mut self, is_enough: impl Fn(&[u8]) -> bool) -> Result<Vec<u8>> {
        let (mut all, mut byte) = (Vec::new(), [0]);
        while !is_enough(&all) {
            let read = self.0.read(&mut byte).context("nothing more came")?;
            ensure!(read > 0, "the session ended behind {:?}", String::from_utf8_lossy(&all));
            all.extend(byte);
        }
        Ok(all)
    }

    /// Waits for the message to come back.
    fn await_echo(&mut self, message: &Value) -> Result<()> {
        let text = message.to_string();
        self.read_until(|read| read.ends_with(text.as_bytes())).map(drop)
    }

    /// Waits for the end of the session.
    fn await_end(mut self) -> Result<()> {
        let mut rest = [0; 4096];
        loop {
            match self.0.read(&mut rest) {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(()),
                Err(error) => return Err(error).context("the session goes on"),
            }
        }
    }
}

fn refused() -> [Value; 4] {
    let filler = "x".repeat(70_000);
    [
        json!({"type": "session.update", "session": {"model": "gpt-realtime-pro"}}),
        json!({"type": "response.create", "response": {"instructions": filler, "model": "gpt-realtime-pro"}}),
        json!({"type": "session.update", "session": {"model": "gpt-realtime", "audio": {"input": {"transcription": {"model": "gpt-4o-transcribe"}}}}}),
        json!({"type": "session.update", "session": {"input_audio_transcription": {"model": "gpt-4o-transcribe"}}}),
    ]
}

#[test]
fn a_message_with_another_model_ends_the_session_before_the_upstream_has_it_whole() -> Result<()> {
    let standin = Standin::start()?;
    let envoy = start(&standin)?;
    for message in refused() {
        let size = message.to_string().len();
        for opcode in [TEXT, BINARY] {
            for (fragment, slice) in
                [(size, usize::MAX), (size, 1000), (size.div_ceil(3), 1), (size - 1, usize::MAX)]
            {
                let context =
                    format!("opcode {opcode}, {size} bytes in {fragment} and {slice}: {message:.200}");
                let mut session = Session::open(&envoy)?;
                let all = frames(opcode, &message, fragment);
                session.send(&all, slice.min(all.len()));
                session.await_end().with_context(|| context.clone())?;
                let wire = standin.wire();
                ensure!(!wire.windows(all.len()).any(|part| part == all), "{context}: it arrived");
                // The last byte is the brace that closes the message.
                let last = all.len() - 1;
                let tail = &all[last.saturating_sub(40)..last];
                let behind =
                    wire.windows(tail.len()).rposition(|part| part == tail).map(|at| at + tail.len());
                ensure!(behind.is_none_or(|at| wire.len() == at), "{context}: its end arrived");
                standin.take();
            }
        }
    }
    Ok(())
}

#[test]
fn messages_with_allowed_models_sound_and_control_frames_pass_as_they_are() -> Result<()> {
    let standin = Standin::start()?;
    let envoy = start(&standin)?;
    for (opcode, fragment, slice) in [(TEXT, 1000, 1000), (BINARY, 1000, 1), (TEXT, 7, 3), (BINARY, 30, 1000)]
    {
        let mut session = Session::open(&envoy)?;
        let update = json!({"type": "session.update", "session": {"model": "gpt-realtime",
            "input_audio_transcription": {"model": "whisper-1"}}});
        let named =
            json!({"type": "conversation.item.create", "item": {"text": "{\"model\":\"gpt-realtime-pro\"}"}});
        for message in [&update, &named] {
            let all = frames(opcode, message, fragment);
            session.send(&all, slice);
            session.await_echo(message)?;
            until("the frames arrived", || Ok(standin.wire().windows(all.len()).any(|part| part == all)))?;
        }
        let sound = [0_u8, 0x7b, 0xff, 0x22, 0x80];
        session.send(&frame(BINARY, true, &sound), 2);
        session.read_until(|read| read.ends_with(&sound))?;
        standin.take();
    }
    Ok(())
}

const COMPRESSION: &str = "sec-websocket-extensions: permessage-deflate; client_max_window_bits\r\n";

#[test]
fn a_policy_that_decides_forbids_compression_and_one_in_shadow_mode_says_that_it_could_not_read() -> Result<()>
{
    let standin = Standin::start()?;
    let message = json!({"type": "session.update", "session": {"model": "gpt-realtime"}});
    let mut compressed = frame(TEXT, true, message.to_string().as_bytes());
    compressed[0] |= 0x40;
    for is_shadow in [false, true] {
        let mut policy = policy();
        policy["tokens"][0]["models"] = json!(["gpt-realtime"]);
        if is_shadow {
            policy["mode"] = json!("shadow");
        }
        let envoy = Envoy::with(&policy).env("OPENAI_API_KEY", KEY).upstream(&standin).start()?;
        let mut session = Session::open_with(&envoy, COMPRESSION)?;
        let received = standin.take();
        let extensions = received.first().and_then(|request| request.header("sec-websocket-extensions"));
        ensure!(extensions.is_some() == is_shadow, "shadow: {is_shadow}: {extensions:?}");
        if !is_shadow {
            continue;
        }
        session.send(&compressed, compressed.len());
        until("the frame arrived", || {
            Ok(standin.wire().windows(compressed.len()).any(|part| part == compressed))
        })?;
        drop(session);
        until("the log says it", || {
            let log = envoy.log();
            Ok(log.lines().any(|line| line.contains("would_refuse") && line.contains("body_unreadable")))
        })?;
    }
    Ok(())
}

#[test]
fn a_compressed_frame_and_one_without_a_mask_end_the_session() -> Result<()> {
    let standin = Standin::start()?;
    let envoy = start(&standin)?;
    let message = json!({"type": "session.update", "session": {"model": "gpt-realtime"}}).to_string();
    let mut compressed = frame(TEXT, true, message.as_bytes());
    compressed[0] |= 0x40;
    let unmasked = [&[0x81, u8::try_from(message.len())?][..], message.as_bytes()].concat();
    for bytes in [compressed, unmasked] {
        let mut session = Session::open(&envoy)?;
        session.send(&bytes, bytes.len());
        session.await_end()?;
        ensure!(!standin.wire().windows(bytes.len()).any(|part| part == bytes), "it arrived");
        standin.take();
    }
    Ok(())
}
