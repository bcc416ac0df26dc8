#![no_main]
//! The SMTP server machine, a reply, and a command that is read, written and read again.

use bytes::{Buf as _, Bytes};
use hikyaku_wire::Output;
use libfuzzer_sys::fuzz_target;
use smtp_proto::server::{Connection, Event, Options};
use smtp_proto::{Command, Reply};

fuzz_target!(|data: &[u8]| {
    let machine = || {
        let mut options = Options::new("mx.test");
        options.mechanisms = vec!["PLAIN".into()];
        options.auth_needs_tls = false;
        options.limits.message = 1000;
        Connection::new(options)
    };
    hikyaku_fuzz::run(data, "EHLO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<a@b>\r\n", machine, |machine, event, output| match event {
        Event::Auth { initial: None, .. } => machine.challenge(b"", output).unwrap(),
        Event::Chunk(_) | Event::BodyRefused | Event::Reset | Event::SaslCancelled => {}
        _ => machine.accept(output).unwrap(),
    });
    let line = Bytes::copy_from_slice(data);
    let _ = Reply::parse(&line);
    if let Ok(command) = Command::parse(&line) {
        let written = |command: &Command| {
            let mut output = Output::new();
            command.encode(&mut output);
            output.copy_to_bytes(output.remaining())
        };
        let once = written(&command);
        let again = Command::parse(&once.slice(..once.len() - 2)).expect("what is written is read");
        assert_eq!(written(&again), once);
    }
});
