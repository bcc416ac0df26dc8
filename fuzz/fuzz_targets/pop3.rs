#![no_main]
//! The POP3 server machine, and a response.

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use pop3_proto::Response;
use pop3_proto::server::{Connection, Event, Maildrop, Options};

fuzz_target!(|data: &[u8]| {
    let machine = || {
        let mut options = Options::default();
        options.mechanisms = vec!["PLAIN".into()];
        Connection::new(options)
    };
    hikyaku_fuzz::run(data, "USER a\r\nPASS b\r\n", machine, |machine, event, output| match event {
        Event::Connected | Event::Update { .. } => machine.ok("ok", output).unwrap(),
        Event::Auth { initial: None, .. } => machine.challenge(b"", output).unwrap(),
        Event::Message { .. } => {
            machine.begin(output).unwrap();
            let _ = machine.chunk("A: b\r\n\r\n.c\r\nd\n".into(), output).unwrap();
            machine.end(output).unwrap();
        }
        Event::SaslCancelled => {}
        _ => {
            let mut maildrop = Maildrop::new();
            maildrop.push(10, "a");
            maildrop.push(20, "b");
            machine.open(maildrop, output).unwrap();
        }
    });
    let _ = Response::parse(&Bytes::copy_from_slice(data));
});
