//! The kit for testing machines: transcripts as readable files, replayed in every chunking.
//!
//! A transcript is a text file:
//!
//! ```text
//! # RFC 1939 §5, RETR                 a comment
//! % apop                              options for the machine, read by the `Actor`
//! S: +OK ready                        what the server sends, CRLF added
//! C: RETR 1                           what the client sends
//! ! Retrieve(1)                       what the machine reports
//! > body "Subject: x\r\n"             what the application does next; `shut-down` is each machine's
//! ! octets "abc"                      body chunks, joined
//! --                                  the peer waits here for what was sent so far
//! ```
//!
//! `\r \n \t \\ \xHH` are escapes; a line that ends in `\` gets no CRLF. Each transcript is replayed
//! with its input in one piece, octet by octet, and in 200 random chunkings: events and output must
//! be the same in all.

#![allow(
    clippy::panic,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a kit for tests reports by panicking"
)]

mod chunking;
mod hostile;
mod scene;
mod transcript;
mod traps;

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use bytes::{Buf, Bytes, BytesMut};
use core::fmt::Debug;
use std::path::Path;

use crate::{Machine, Output, Step};
pub use chunking::{Log, check_rows, cut, in_every_chunking};
pub use hostile::{HOSTILE, count_lines, hostile};
pub use scene::Scene;
pub use transcript::{Item, Role, Transcript, escape, unescape};
pub use traps::{Trap, traps, traps_of};

/// What an event is in a transcript.
#[derive(Debug)]
#[non_exhaustive]
pub enum Reported {
    /// A `!` line.
    Line(String),
    /// A piece of a body: adjacent ones are joined into one `! octets "…"` line.
    Octets(Bytes),
}

/// What plays the application's part in a transcript.
pub trait Actor {
    /// The machine under test.
    type Machine: Machine<Error: Debug>;
    /// Which end of the wire the machine is.
    const ROLE: Role;
    /// Creates a machine; `options` are the words of the `%` lines.
    fn machine(&self, options: &[String]) -> Self::Machine;
    /// Writes an event down.
    fn report(&self, event: <Self::Machine as Machine>::Event) -> Reported;
    /// Does what a `>` line says.
    fn act(&self, machine: &mut Self::Machine, act: &str, output: &mut Output);
}

/// Replays every `*.txt` in `folder`; the number of files.
///
/// # Panics
/// When a transcript does not come out as written, with both versions.
pub fn replay_folder<A: Actor>(actor: &A, folder: impl AsRef<Path>) -> usize {
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .expect("the folder of transcripts")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "txt"))
        .collect();
    names.sort();
    for path in &names {
        let text = std::fs::read_to_string(path).expect("a transcript");
        replay(actor, &path.display().to_string(), &text);
    }
    names.len()
}

/// Replays one transcript in all chunkings.
///
/// # Panics
/// As [`replay_folder`].
pub fn replay<A: Actor>(actor: &A, name: &str, text: &str) {
    let transcript = Transcript::parse(text, A::ROLE);
    play(actor, name, &transcript, &mut |rest| rest);
    play(actor, name, &transcript, &mut |_| 1);
    for seed in 1..=200 {
        let mut random = Random(seed);
        let most = 1 + random.below(40);
        play(actor, name, &transcript, &mut |_| 1 + random.below(most));
    }
}

/// A small generator, so that a failure can be repeated.
#[derive(Debug, Clone)]
#[allow(clippy::exhaustive_structs, reason = "tests write it out")]
pub struct Random(pub u64);

impl Random {
    /// Returns a number below `bound`; 0 when `bound` is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % bound.max(1)
    }
}

fn play<A: Actor>(
    actor: &A,
    name: &str,
    transcript: &Transcript,
    cut: &mut dyn FnMut(usize) -> usize,
) {
    let mut stage = Stage {
        actor,
        machine: actor.machine(&transcript.options),
        input: BytesMut::new(),
        output: Output::new(),
        events: Vec::new(),
        octets: BytesMut::new(),
        sent: Vec::new(),
    };
    let mut acts = transcript.acts_after_events.iter();
    for segment in &transcript.segments {
        stage.act(Some(&segment.acts));
        let mut rest = &segment.input[..];
        loop {
            stage.pump(&mut acts);
            if rest.is_empty() {
                break;
            }
            let (head, tail) = rest.split_at(cut(rest.len()).clamp(1, rest.len()));
            stage.input.extend_from_slice(head);
            rest = tail;
        }
        let expected = escape(&segment.output_so_far);
        let got = escape(&stage.sent);
        assert!(
            expected == got,
            "{name}: octets sent differ\n--- expected\n{expected}\n--- sent\n{got}\n--- reported\n{}",
            stage.events.join("\n")
        );
    }
    stage.end_octets();
    let (expected, got) = (transcript.events.join("\n"), stage.events.join("\n"));
    assert!(
        expected == got,
        "{name}: events differ\n--- expected\n{expected}\n--- reported\n{got}"
    );
    assert!(
        stage.input.is_empty() || transcript.leaves_input,
        "{name}: input left over: {}",
        escape(&stage.input)
    );
}

struct Stage<'a, A: Actor> {
    actor: &'a A,
    machine: A::Machine,
    input: BytesMut,
    output: Output,
    events: Vec<String>,
    octets: BytesMut,
    sent: Vec<u8>,
}

impl<A: Actor> Stage<'_, A> {
    fn pump<'t>(&mut self, acts: &mut impl Iterator<Item = &'t Vec<String>>) {
        for _ in 0..100_000 {
            let step = self.machine.poll(&mut self.input, &mut self.output);
            self.drain();
            match step {
                Ok(Step::Event(event)) => match self.actor.report(event) {
                    Reported::Octets(octets) => self.octets.extend_from_slice(&octets),
                    Reported::Line(line) => {
                        self.end_octets_with(acts);
                        self.events.push(line);
                        self.act(acts.next());
                    }
                },
                Ok(Step::NeedInput | Step::NeedAnswer) => return,
                Ok(Step::StartTls) => {
                    self.note("(starttls)");
                    self.machine.tls_established(&mut self.output);
                }
                Ok(Step::Compress) => {
                    self.note("(compress)");
                    self.machine.compression_active();
                }
                Ok(Step::Closed) => return self.note("(closed)"),
                Err(error) => return self.note(&alloc::format!("(error {error:?})")),
            }
            self.drain();
        }
        panic!("the machine goes round in circles");
    }

    fn act(&mut self, acts: Option<&Vec<String>>) {
        for act in acts.into_iter().flatten() {
            match act.as_str() {
                "shut-down" => self.machine.shut_down(&mut self.output),
                act => self.actor.act(&mut self.machine, act, &mut self.output),
            }
        }
    }

    /// An event that may be reported again and again is written down once.
    fn note(&mut self, what: &str) {
        self.end_octets();
        if self.events.last().is_none_or(|last| last != what) {
            self.events.push(what.to_string());
        }
    }

    fn end_octets_with<'t>(&mut self, acts: &mut impl Iterator<Item = &'t Vec<String>>) {
        if !self.octets.is_empty() {
            self.end_octets();
            acts.next();
        }
    }

    fn end_octets(&mut self) {
        if !self.octets.is_empty() {
            let octets = self.octets.split();
            self.events
                .push(alloc::format!("octets \"{}\"", escape(&octets)));
        }
    }

    fn drain(&mut self) {
        while self.output.has_remaining() {
            let chunk = self.output.chunk();
            self.sent.extend_from_slice(chunk);
            let count = chunk.len();
            self.output.advance(count);
        }
    }
}

/// One end of a conversation in memory.
#[derive(Debug)]
#[allow(clippy::exhaustive_structs, reason = "tests write it out")]
pub struct End<M> {
    /// The machine.
    pub machine: M,
    /// What came from the peer.
    pub input: BytesMut,
    /// What goes to the peer.
    pub output: Output,
    /// The machine said [`Step::Closed`].
    pub closed: bool,
}

impl<M: Machine> End<M> {
    /// Creates an end with nothing on the wire.
    pub fn new(machine: M) -> Self {
        Self {
            machine,
            input: BytesMut::new(),
            output: Output::new(),
            closed: false,
        }
    }

    /// Polls until the machine waits; true when anything happened.
    ///
    /// # Errors
    /// The machine's.
    pub fn pump(
        &mut self,
        on_event: &mut dyn FnMut(&mut M, M::Event, &mut Output),
    ) -> Result<bool, M::Error> {
        let mut moved = false;
        loop {
            match self.machine.poll(&mut self.input, &mut self.output)? {
                Step::Event(event) => on_event(&mut self.machine, event, &mut self.output),
                Step::Closed => {
                    self.closed = true;
                    return Ok(moved);
                }
                Step::NeedInput | Step::NeedAnswer | Step::StartTls | Step::Compress => {
                    return Ok(moved);
                }
            }
            moved = true;
        }
    }
}

/// Carries up to `most` octets from one end to the other; how many went.
pub fn carry<A, B>(from: &mut End<A>, to: &mut End<B>, most: usize) -> usize {
    let mut left = most;
    while left > 0 && from.output.has_remaining() {
        let chunk = from.output.chunk();
        let count = chunk.len().min(left);
        to.input
            .extend_from_slice(chunk.get(..count).unwrap_or(&[]));
        from.output.advance(count);
        left -= count;
    }
    most - left
}

/// Lets two machines talk in pieces of random size until neither has anything to say.
///
/// # Panics
/// When they never fall silent, and on whatever either machine calls an error.
pub fn converse<A: Machine<Error: Debug>, B: Machine<Error: Debug>>(
    a: &mut End<A>,
    b: &mut End<B>,
    random: &mut Random,
    on_a: &mut dyn FnMut(&mut A, A::Event, &mut Output),
    on_b: &mut dyn FnMut(&mut B, B::Event, &mut Output),
) {
    for _ in 0..1_000_000 {
        let mut moved = a.pump(on_a).expect("one end goes on");
        let most = 1 + random.below(200);
        moved |= carry(a, b, most) > 0;
        moved |= b.pump(on_b).expect("the other end goes on");
        let most = 1 + random.below(200);
        moved |= carry(b, a, most) > 0;
        if !moved {
            return;
        }
    }
    panic!("the two machines never fall silent");
}
