#![no_main]
//! Both POP3 machines.

use hikyaku_pop3_proto::client;
use hikyaku_pop3_proto::server::{Connection, Event, Maildrop, Options};
use hikyaku_wire::Secret;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let machine = || {
        let mut options = Options::default();
        options.mechanisms = vec!["PLAIN".into()];
        options.login_needs_tls = false;
        Connection::new(options)
    };
    hikyaku_fuzz::run(
        data,
        "USER a\r\nPASS b\r\n",
        machine,
        |machine, event, output| match event {
            Event::Connected | Event::Update { .. } => machine.ok("ok", output).unwrap(),
            Event::Authenticate { initial: None, .. } => machine.challenge(b"", output).unwrap(),
            Event::Message { .. } => {
                machine.begin(output).unwrap();
                let _ = machine
                    .chunk("A: b\r\n\r\n.c\r\nd\n".into(), output)
                    .unwrap();
                machine.end(output).unwrap();
            }
            Event::SaslCancelled => {}
            _ => {
                let mut maildrop = Maildrop::new();
                maildrop.push(10, "a").unwrap();
                maildrop.push(20, "b").unwrap();
                machine.grant(maildrop, output).unwrap();
            }
        },
    );
    let machine = || {
        let mut options = client::Options::default();
        options.login_needs_tls = false;
        client::Connection::new(options)
    };
    let head = "+OK\r\n+OK\r\nPIPELINING\r\n.\r\n+OK\r\n+OK\r\n";
    hikyaku_fuzz::run(data, head, machine, |pop, event, output| match event {
        client::Event::Connected { .. } => drop(pop.capa(output)),
        client::Event::Challenge(challenge) => drop(pop.respond(Some(&challenge), output)),
        client::Event::Authenticated { .. } => {
            let _ = pop.uidl(None, output);
            let _ = pop.retr(1, output);
            let _ = pop.list(Some(1), output);
            let _ = pop.stat(output);
            let _ = pop.dele(1, output);
            let _ = pop.capa(output);
        }
        client::Event::Completed { .. } if data.len() % 2 == 0 => {
            let _ = pop.login("a", Secret::default(), output);
        }
        client::Event::Completed { .. } | client::Event::AuthenticationRefused { .. } => {
            let _ = pop.authenticate("PLAIN", None, output);
        }
        _ => {}
    });
});
