//! Any chunking, any item, and no deadlock.

mod decoding;
mod sessions;
mod through;

use super::*;
use crate::client::Capabilities;
use crate::server::{Connection, Event, Options};
use crate::tests::round_trip::{command, received};
use crate::*;
use bytes::Bytes;
use core::time::Duration;
use futures_util::{SinkExt as _, StreamExt as _};
use hikyaku_wire::testkit::{Log, check_rows, cut, escape, in_every_chunking, traps};
use hikyaku_wire::{Machine as _, Secret, Step};
use proptest::collection::vec as many;
use proptest::prelude::*;
use std::format;
use std::string::{String, ToString as _};
use std::vec;
use std::vec::Vec;
use tokio_util::codec::{Decoder as _, Encoder as _, Framed};

fn small() -> Limits {
    Limits {
        command: 200,
        command_before_login: 200,
        literal: 20,
        response: 200,
        response_literal: 20,
        folded: 8,
        errors: u32::MAX,
        ..Limits::default()
    }
}

fn no(text: &'static str) -> Completion {
    let text = text.into();
    Completion {
        status: Status::No,
        code: None,
        text,
    }
}

/// What a server decodes that says `+` wherever it may, and that NO ends the rest.
fn served(pieces: &[&[u8]], limits: &Limits) -> Vec<String> {
    let mut codec = ServerCodec::new(limits.clone());
    let (mut src, mut dst) = (BytesMut::new(), BytesMut::new());
    let mut log = Log::default();
    for piece in pieces {
        src.extend_from_slice(piece);
        loop {
            let item = match codec.decode(&mut src) {
                Ok(Some(item)) => item,
                Ok(None) => break,
                Err(error) => return log.end(error.to_string()),
            };
            let bound = limits.command + limits.folded as usize + piece.len() + 8192;
            assert!(src.len() <= bound, "{} octets are held", src.len());
            let end = match &item {
                CommandItem::Chunk(octets) => {
                    log.chunk(octets);
                    continue;
                }
                CommandItem::Command(tagged) => Some(tagged.tag.clone()),
                CommandItem::EndOfAppend { tag } => Some(tag.clone()),
                _ => None,
            };
            if matches!(
                item,
                CommandItem::Malformed(_) | CommandItem::Refused { .. }
            ) {
                // What was given of its message is void, and how much that is depends on the pieces.
                log.void();
            }
            log.line(format!("{item:?}"));
            let continues = codec.is_continuation_due();
            let over = matches!(
                item,
                CommandItem::SaslCancelled | CommandItem::SaslResponse(_)
            );
            if continues && !over {
                let continuation = Received::Continuation("go on".into());
                codec.encode(continuation.into(), &mut dst).unwrap();
            } else if let Some(tag) = end.or_else(|| over.then(|| "a".into())) {
                let end = Received::Tagged(tag, no("no"));
                codec.encode(end.into(), &mut dst).unwrap();
            }
        }
    }
    let end = match codec.decode_eof(&mut src) {
        Ok(item) => format!("end {item:?}"),
        Err(error) => error.to_string(),
    };
    log.end(end)
}

fn client(pieces: &[&[u8]], limits: &Limits) -> Vec<String> {
    let mut codec = ClientCodec::new(limits.clone());
    let mut src = BytesMut::new();
    let mut log = Log::default();
    for piece in pieces {
        src.extend_from_slice(piece);
        loop {
            match codec.decode(&mut src) {
                Ok(Some(ResponseItem::Chunk(octets))) => log.chunk(&octets),
                Ok(Some(item)) => log.line(format!("{item:?}")),
                Ok(None) => break,
                Err(error) => return log.end(error.to_string()),
            }
            let bound = limits.response + piece.len() + 8192;
            assert!(src.len() <= bound, "{} octets are held", src.len());
        }
    }
    let end = match codec.decode_eof(&mut src) {
        Ok(item) => format!("end {item:?}"),
        Err(error) => error.to_string(),
    };
    log.end(end)
}

type Decode = fn(&[&[u8]], &Limits) -> Vec<String>;

/// A row: the octets, and what each item begins with.
type Row = (&'static str, &'static [&'static str]);

fn check(decode: Decode, rows: &[Row]) {
    check_rows(|pieces| decode(pieces, &small()), rows);
}

fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    let runtime = runtime.unwrap();
    // A deadlock is a failure, and not a test without an end.
    runtime.block_on(async {
        let limit = Duration::from_secs(20);
        tokio::time::timeout(limit, future)
            .await
            .expect("both sides wait")
    })
}

type Server = Framed<tokio::io::DuplexStream, ServerCodec>;

fn pair(buffer: usize) -> (super::Client<tokio::io::DuplexStream>, Server) {
    let (near, far) = tokio::io::duplex(buffer);
    let client = super::Client::new(near, Limits::default());
    (
        client,
        Framed::new(far, ServerCodec::new(Limits::default())),
    )
}

fn tagged(tag: &str, command: Command) -> SendCommand {
    let tag = Bytes::copy_from_slice(tag.as_bytes());
    SendCommand::Command(Tagged { tag, command })
}

/// Serves until the client is gone, and says what it decoded: `+` wherever it is due, NO to each command.
async fn serve(mut server: Server) -> Vec<String> {
    let mut log = Log::default();
    while let Some(item) = server.next().await {
        let item = match item {
            Ok(item) => item,
            Err(error) => return log.end(error.to_string()),
        };
        let end = match &item {
            CommandItem::Chunk(octets) => {
                log.chunk(octets);
                continue;
            }
            CommandItem::Command(Tagged { tag, command }) => {
                log.line(escape(&encoded(&item)));
                (!matches!(command, Command::Idle)).then(|| tag.clone())
            }
            CommandItem::EndOfAppend { tag } => Some(tag.clone()),
            _ => None,
        };
        if !matches!(item, CommandItem::Command(_)) {
            log.line(format!("{item:?}"));
        }
        let response = match end {
            Some(tag) => Received::Tagged(tag, no("no")),
            None if server.codec().is_continuation_due() => Received::Continuation("".into()),
            None if matches!(item, CommandItem::EndOfIdle { .. }) => {
                Received::Tagged("i".into(), no("no"))
            }
            None => continue,
        };
        server.send(response.into()).await.unwrap();
    }
    log.end("end".into())
}

/// A command as it is written, its secrets too.
fn encoded(item: &CommandItem) -> Bytes {
    let mut output = Output::new();
    if let CommandItem::Command(tagged) = item {
        tagged.encode(&mut output);
    }
    output.copy_to_bytes(output.len())
}

/// A command whose arguments may be literals.
fn conversions(from: &'static str, to: &'static str) -> Command {
    let (from, to) = (from.into(), to.into());
    Command::Conversions { from, to }
}
