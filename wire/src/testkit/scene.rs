//! A machine on its own, for examples: octets in, octets out, no socket.

use alloc::string::String;
use bytes::{Buf as _, BytesMut};
use core::fmt::Debug;

use crate::{Machine, Misuse, Output, Step};

/// A machine with its input and output.
#[derive(Debug)]
pub struct Scene<M> {
    machine: M,
    input: BytesMut,
    output: Output,
}

impl<M: Machine<Error: Debug>> Scene<M> {
    /// Creates a scene with that machine.
    pub fn new(machine: M) -> Self {
        Self {
            machine,
            input: BytesMut::new(),
            output: Output::new(),
        }
    }

    /// Gives it octets, and polls until it waits. Returns what it reports last.
    ///
    /// # Panics
    /// When the machine fails.
    pub fn hears(&mut self, octets: &str) -> Option<M::Event> {
        self.input.extend_from_slice(octets.as_bytes());
        let mut last = None;
        while let Step::Event(event) = self
            .machine
            .poll(&mut self.input, &mut self.output)
            .expect("a machine that goes on")
        {
            last = Some(event);
        }
        last
    }

    /// Calls one of its methods.
    ///
    /// # Panics
    /// When it may not be called now.
    pub fn answer<T>(&mut self, answer: impl FnOnce(&mut M, &mut Output) -> Result<T, Misuse>) {
        answer(&mut self.machine, &mut self.output).expect("a call that is allowed");
    }

    /// Returns the machine and its output.
    pub fn split(&mut self) -> (&mut M, &mut Output) {
        (&mut self.machine, &mut self.output)
    }

    /// Takes what was sent.
    pub fn sent(&mut self) -> String {
        let all = self.output.copy_to_bytes(self.output.len());
        String::from_utf8_lossy(&all).into_owned()
    }
}
