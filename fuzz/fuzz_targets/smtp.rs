#![no_main]
//! Both SMTP machines, a reply, and a command that is parsed, encoded and parsed again.

use bytes::{Buf as _, Bytes};
use hikyaku_smtp_proto::server::{Connection, Event, Options};
use hikyaku_smtp_proto::{Command, ForwardPath, Mailbox, Reply, ReversePath, client};
use hikyaku_wire::Output;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let machine = || {
        let mut options = Options::new("mx.test");
        options.mechanisms = vec!["PLAIN".into()];
        options.login_needs_tls = false;
        options.smtputf8 = true;
        (options.dsn, options.binary_mime, options.burl) = (true, true, true);
        (options.etrn, options.xclient, options.xforward) = (true, true, true);
        options.limits.message = 1000;
        Connection::new(options)
    };
    hikyaku_fuzz::run(
        data,
        "EHLO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<a@b>\r\n",
        machine,
        |machine, event, output| match event {
            Event::Authenticate { initial: None, .. } => machine.challenge(b"", output).unwrap(),
            Event::Chunk(_) | Event::BodyRefused | Event::Reset | Event::SaslCancelled => {}
            _ => machine.accept(output).unwrap(),
        },
    );
    let machine = || {
        let mut options = client::Options::new("client.test");
        options.lmtp = data.len() % 2 == 0;
        options.login_needs_tls = false;
        client::Connection::new(options)
    };
    let head = "220 mx\r\n250-mx\r\n250-PIPELINING\r\n250 SIZE\r\n";
    hikyaku_fuzz::run(data, head, machine, |smtp, event, output| match event {
        client::Event::Connected(has) if has.auth => {
            let _ = smtp.authenticate("PLAIN", None, output);
        }
        client::Event::Challenge(challenge) => drop(smtp.respond(Some(&challenge), output)),
        client::Event::AuthenticationRefused(_) => drop(smtp.authenticate("LOGIN", None, output)),
        client::Event::Connected(_)
        | client::Event::Authenticated(_)
        | client::Event::Completed => {
            let to = Mailbox::parse(b"a@b").unwrap();
            let to = vec![ForwardPath::Mailbox(to), ForwardPath::Postmaster];
            let _ = smtp.send(client::Envelope::new(ReversePath::default(), to), output);
        }
        client::Event::SendBody => {
            let _ = smtp.chunk("A: b\r\n\r\n.c\r\n".into(), output);
            let _ = smtp.chunk(Bytes::copy_from_slice(data), output);
            let _ = smtp.end_of_body(output);
        }
        _ => {}
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
