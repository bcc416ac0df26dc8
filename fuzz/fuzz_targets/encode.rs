#![no_main]
//! Whatever strings an application passes to an encoder or a machine, one command or one response comes out.
//!
//! The first octet chooses what is encoded; `|` separates its strings.

use bytes::{Buf as _, Bytes, BytesMut};
use hikyaku_fuzz::{count_lines, count_units};
use hikyaku_imap_proto as imap;
use hikyaku_pop3_proto as pop3;
use hikyaku_smtp_proto as smtp;
use hikyaku_wire::{Machine as _, Output, Secret};
use libfuzzer_sys::fuzz_target;

fn written(write: impl FnOnce(&mut Output)) -> Bytes {
    let mut output = Output::new();
    write(&mut output);
    output.copy_to_bytes(output.remaining())
}

fuzz_target!(|data: &[u8]| {
    let Some((&which, data)) = data.split_first() else {
        return;
    };
    let texts: Vec<Bytes> = data
        .split(|octet| *octet == b'|')
        .map(Bytes::copy_from_slice)
        .collect();
    let text = |at: usize| texts[at % texts.len()].clone();
    let string = |at: usize| String::from_utf8_lossy(&text(at)).into_owned();
    let secret = |at: usize| Secret::from(text(at).to_vec());
    match which % 4 {
        0 => pop3(&text, &secret),
        1 => smtp(&text, &string, &secret),
        2 => imap_commands(&text, &string, &secret),
        _ => imap_responses(&text, &string),
    }
});

fn pop3(text: &dyn Fn(usize) -> Bytes, secret: &dyn Fn(usize) -> Secret) {
    use pop3::Command as C;
    let (mechanism, initial) = (text(0), Some(secret(1)));
    for command in [
        C::User(text(0)),
        C::Pass(secret(0)),
        C::Apop {
            name: text(0),
            digest: [7; 16],
        },
        C::Auth { mechanism, initial },
        C::Lang(Some(text(0))),
    ] {
        assert_eq!(count_lines(&written(|output| command.encode(output))), 1);
    }
    let code = Some(pop3::ResponseCode::Other(text(1)));
    let response = pop3::Response {
        is_ok: false,
        code,
        text: text(2),
    };
    assert_eq!(count_lines(&written(|output| response.encode(output))), 1);
    let mut all = pop3::Capabilities::default();
    (all.mechanisms, all.implementation, all.other) = (
        vec![text(0), text(1)],
        Some(text(2)),
        vec![text(3), text(4)],
    );
    let lines = written(|output| all.encode(output));
    count_lines(&lines);
    assert!(
        !lines
            .split(|octet| *octet == b'\n')
            .any(|line| line == b".\r")
    );
}

fn smtp(
    text: &dyn Fn(usize) -> Bytes,
    string: &dyn Fn(usize) -> String,
    secret: &dyn Fn(usize) -> Secret,
) {
    use smtp::Command as C;
    let (mechanism, initial) = (text(0), Some(secret(1)));
    let mut parameters = smtp::MailParameters::default();
    parameters.further_mut().solicit = Some(text(0));
    parameters.further_mut().others = vec![smtp::Parameter {
        keyword: text(1),
        value: Some(text(2)),
    }];
    let reverse_path = smtp::ReversePath(smtp::Mailbox::parse(&text(3)).ok());
    for command in [
        C::Ehlo(text(0)),
        C::Vrfy {
            string: text(0),
            smtputf8: false,
        },
        C::Noop(Some(text(1))),
        C::Other {
            verb: text(0),
            arguments: text(1),
        },
        C::Help(Some(text(0))),
        C::Auth { mechanism, initial },
        C::Etrn {
            scope: smtp::EtrnScope::Queue,
            node: text(0),
        },
        C::Mail {
            reverse_path,
            parameters,
        },
    ] {
        assert_eq!(count_lines(&written(|output| command.encode(output))), 1);
    }
    let reply = smtp::Reply::of_lines(550, &string(0), [text(1), text(2)]);
    assert_eq!(count_lines(&written(|output| reply.encode(output))), 2);
    let mut options = smtp::client::Options::new(text(0));
    options.login_needs_tls = false;
    let mut machine = smtp::client::Connection::new(options);
    let (mut input, mut output) = (BytesMut::from("220 a\r\n250 a\r\n"), Output::new());
    while let Ok(hikyaku_wire::Step::Event(_)) = machine.poll(&mut input, &mut output) {}
    let begun = machine.authenticate(text(1), Some(secret(2)), &mut output);
    let sent = output.copy_to_bytes(output.remaining());
    assert_eq!(count_lines(&sent), 1 + usize::from(begun.is_ok()));
}

fn imap_commands(
    text: &dyn Fn(usize) -> Bytes,
    string: &dyn Fn(usize) -> String,
    secret: &dyn Fn(usize) -> Secret,
) {
    use imap::{Command as C, MailboxName};
    let name = |at| MailboxName::decode(&text(at)).as_it_came();
    let store = imap::Store {
        set: imap::SequenceSet::all(),
        unchanged_since: None,
        action: imap::StoreAction::Add,
        silent: false,
        flags: vec![imap::Flag::Keyword(text(0)), imap::Flag::Extension(text(1))],
    };
    let (mechanism, initial) = (text(0), Some(secret(1)));
    let key = imap::SearchKey::Header(text(0), text(1));
    let mut search = imap::Search::new(key);
    search.charset = Some(text(2));
    for command in [
        C::Login {
            name: text(0),
            password: secret(1),
        },
        C::Authenticate(imap::Authenticate { mechanism, initial }),
        C::Enable(vec![text(0), text(1)]),
        C::Compress(text(0)),
        C::Create {
            mailbox: name(0),
            special_uses: vec![text(1)],
        },
        C::Rename {
            from: name(0),
            to: MailboxName::new(string(1)).in_utf8(),
        },
        C::List(imap::List::new(imap::Pattern::new(&string(0)))),
        C::Id(vec![(text(0), Some(text(1)))]),
        C::SetQuota {
            root: text(0),
            limits: vec![(text(1), 1)],
        },
        C::Store {
            store,
            numbers: hikyaku_imap_proto::Numbers::Uid,
        },
        C::Search {
            search,
            numbers: hikyaku_imap_proto::Numbers::Uid,
        },
        C::SetMetadata {
            mailbox: name(0),
            entries: vec![(text(1), Some(text(2)))],
        },
        C::GenUrlAuth(vec![(text(0), text(1))]),
        C::CancelUpdate(vec![text(0)]),
    ] {
        let tagged = imap::Tagged {
            tag: text(4),
            command,
        };
        assert_eq!(count_units(&written(|output| tagged.encode(output))), 1);
    }
}

fn imap_responses(text: &dyn Fn(usize) -> Bytes, string: &dyn Fn(usize) -> String) {
    use imap::{MailboxName, Response as R, ResponseCode as Code, Status};
    let name = |at| MailboxName::decode(&text(at)).as_it_came();
    let mut list =
        imap::ListResponse::new(name(0), Some('/'), [imap::ListAttribute::Other(text(1))]);
    list.others = vec![(text(2), text(3))];
    let flags = [imap::Flag::Keyword(text(0))].into_iter().collect();
    let items = vec![
        imap::FetchItem::Flags(flags),
        imap::FetchItem::Preview(Some(text(1))),
        imap::FetchItem::EmailId(text(2)),
        imap::FetchItem::Other(text(3), text(4)),
    ];
    for response in [
        R::Status(Status::No, None, text(0)),
        R::Status(
            Status::No,
            Some(Code::Other(text(0), Some(text(1)))),
            text(2),
        ),
        R::Status(
            Status::Ok,
            Some(Code::Capability(vec![text(0), text(1)])),
            text(2),
        ),
        R::Status(Status::Ok, Some(Code::BadCharset(vec![text(0)])), text(2)),
        R::Status(Status::Ok, Some(Code::BadUrl(text(0))), text(2)),
        R::Capability(vec![text(0), text(1)]),
        R::List(list),
        R::MailboxStatus(name(0), vec![imap::StatusItem::Other(text(1), text(2))]),
        R::Quota(text(0), vec![(text(1), 1, 2)]),
        R::Fetch(imap::SequenceNumber::new(1).unwrap(), items),
        R::Id(vec![(text(0), Some(text(1)))]),
        R::Other(text(0)),
    ] {
        assert_eq!(count_units(&written(|output| response.encode(output))), 1);
    }
    let mut options = imap::server::Options::default();
    (options.capabilities, options.mechanisms) = (vec![text(0)], vec![text(1)]);
    let mut machine = imap::server::Connection::new(options);
    let mut output = Output::new();
    let _ = machine.poll(&mut BytesMut::new(), &mut output);
    machine.greet(&string(2), &mut output).unwrap();
    machine.bye(Some(&Code::Other(text(3), None)), &string(4), &mut output);
    assert_eq!(count_units(&output.copy_to_bytes(output.remaining())), 2);
}
