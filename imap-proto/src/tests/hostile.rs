//! Whatever strings an application passes, one command or one response comes out.
//!
//! A command or a response is taken by three readers: this crate's framers, its parsers, and a counter that knows
//! nothing but lines and literals.

use crate::plumbing::frame::{Framed, Framer};
use crate::*;
use bytes::{Buf as _, Bytes, BytesMut};
use hikyaku_wire::testkit::HOSTILE;
use hikyaku_wire::{Machine as _, Output, Secret, Step};
use proptest::collection::vec as many;
use proptest::option::of;
use proptest::prelude::*;
use std::boxed::Box;
use std::mem::discriminant;
use std::string::{String, ToString as _};
use std::vec;
use std::vec::Vec;

fn text() -> BoxedStrategy<Bytes> {
    many(proptest::sample::select(HOSTILE), 0..4)
        .prop_map(|pieces| pieces.concat().into())
        .boxed()
}

fn string() -> impl Strategy<Value = String> {
    text().prop_map(|text| String::from_utf8_lossy(&text).into_owned())
}

fn texts() -> BoxedStrategy<Vec<Bytes>> {
    many(text(), 0..3).boxed()
}

fn pairs() -> BoxedStrategy<Vec<(Bytes, Bytes)>> {
    many((text(), text()), 0..3).boxed()
}

fn secret() -> impl Strategy<Value = Secret> {
    text().prop_map(|text| Secret::from(text.to_vec()))
}

fn name() -> BoxedStrategy<MailboxName> {
    prop_oneof![
        string().prop_map(MailboxName::new),
        string().prop_map(|name| MailboxName::new(name).in_utf8()),
        text().prop_map(|wire| MailboxName::decode(&wire)),
        text().prop_map(|wire| MailboxName::decode(&wire).as_it_came()),
    ]
    .boxed()
}

fn flag() -> BoxedStrategy<Flag> {
    prop_oneof![
        Just(Flag::Seen),
        Just(Flag::Any),
        text().prop_map(Flag::Extension),
        text().prop_map(Flag::Keyword),
    ]
    .boxed()
}

fn key() -> BoxedStrategy<SearchKey> {
    use SearchKey as K;
    prop_oneof![
        (flag(), any::<bool>()).prop_map(|(flag, is)| K::Flag(flag, is)),
        (text(), text()).prop_map(|(name, value)| K::Header(name, value)),
        text().prop_map(K::Body),
        text().prop_map(K::Text),
        (text(), text()).prop_map(|(entry, kind)| K::ModSeqOf(Box::new((entry, kind, 1)))),
        text().prop_map(K::EmailId),
        text().prop_map(K::ThreadId),
        text().prop_map(K::Filter),
        text().prop_map(K::GmailRaw),
        text().prop_map(K::GmailLabel),
        (text(), text()).prop_map(|(a, b)| K::Or(Box::new((K::Body(a), K::Text(b))))),
    ]
    .boxed()
}

fn section() -> BoxedStrategy<Section> {
    (any::<bool>(), many(text(), 1..3))
        .prop_map(|(not, names)| Section {
            part: vec![1],
            text: SectionText::HeaderFields { not, names },
        })
        .boxed()
}

fn attribute() -> BoxedStrategy<FetchAttribute> {
    section().prop_map(FetchAttribute::peek).boxed()
}

fn filter() -> BoxedStrategy<MailboxFilter> {
    prop_oneof![
        many(name(), 1..3).prop_map(MailboxFilter::Subtree),
        many(name(), 1..3).prop_map(MailboxFilter::Mailboxes),
        Just(MailboxFilter::Selected),
    ]
    .boxed()
}

fn search() -> BoxedStrategy<Search> {
    (of(text()), key(), of(many(attribute(), 0..2)))
        .prop_map(|(charset, key, update)| Search {
            returns: update.map(|attributes| vec![Return::All, Return::Update(attributes)]),
            charset,
            key,
        })
        .boxed()
}

fn list() -> BoxedStrategy<List> {
    let patterns = many(string().prop_map(|text| Pattern::new(&text)), 1..3);
    let status = many(text().prop_map(StatusAttribute::Other), 0..2);
    (name(), patterns, status, texts())
        .prop_map(|(reference, patterns, status, metadata)| List {
            reference,
            patterns,
            returns: ReturnOptions {
                status,
                metadata,
                ..ReturnOptions::default()
            },
            ..List::new(Pattern::new("*"))
        })
        .boxed()
}

fn mailboxes() -> BoxedStrategy<Command> {
    use Command as C;
    let pattern = || string().prop_map(|text| Pattern::new(&text));
    prop_oneof![
        name().prop_map(C::select),
        (name(), texts()).prop_map(|(mailbox, special_uses)| C::Create {
            mailbox,
            special_uses
        }),
        name().prop_map(C::Delete),
        (name(), name()).prop_map(|(from, to)| C::Rename { from, to }),
        name().prop_map(C::Subscribe),
        name().prop_map(C::Unsubscribe),
        list().prop_map(C::List),
        (name(), pattern()).prop_map(|(reference, pattern)| C::Lsub { reference, pattern }),
        (name(), pattern()).prop_map(|(reference, pattern)| C::RList { reference, pattern }),
        (name(), pattern()).prop_map(|(reference, pattern)| C::RLsub { reference, pattern }),
        (name(), pattern()).prop_map(|(reference, pattern)| C::XList { reference, pattern }),
        (name(), many(text().prop_map(StatusAttribute::Other), 1..3)).prop_map(
            |(mailbox, attributes)| C::Status {
                mailbox,
                attributes
            }
        ),
        name().prop_map(C::GetQuotaRoot),
        (
            name(),
            prop_oneof![Just(Numbers::Sequence), Just(Numbers::Uid)]
        )
            .prop_map(|(mailbox, numbers)| C::Copy {
                set: SequenceSet::all(),
                mailbox,
                numbers
            }),
        (
            name(),
            prop_oneof![Just(Numbers::Sequence), Just(Numbers::Uid)]
        )
            .prop_map(|(mailbox, numbers)| C::Move {
                set: SequenceSet::all(),
                mailbox,
                numbers
            }),
    ]
    .boxed()
}

fn extension() -> BoxedStrategy<Command> {
    use Command as C;
    let rights = || Rights::parse(b"lr").unwrap();
    let set_acl = (name(), text()).prop_map(move |(mailbox, identifier)| {
        C::SetAcl(SetAcl {
            mailbox,
            identifier,
            change: AclChange::Add,
            rights: rights(),
        })
    });
    let get_metadata = (name(), texts()).prop_map(|(mailbox, entries)| {
        C::GetMetadata(GetMetadata {
            mailbox,
            entries,
            max_size: None,
            depth: MetadataDepth::One,
        })
    });
    let event = prop_oneof![
        text().prop_map(NotifyEvent::Other),
        many(attribute(), 0..2).prop_map(NotifyEvent::MessageNew),
    ];
    let groups = many(
        (filter(), many(event, 0..3))
            .prop_map(|(mailboxes, events)| EventGroup { mailboxes, events }),
        1..3,
    );
    let labels = texts().prop_map(|labels| C::StoreLabels {
        store: LabelStore {
            set: SequenceSet::all(),
            action: StoreAction::Add,
            silent: false,
            labels,
        },
        numbers: Numbers::Uid,
    });
    let convert = (of(text()), pairs(), section()).prop_map(|(to, parameters, section)| {
        let convert = Convert {
            set: SequenceSet::all(),
            to,
            parameters,
            attributes: vec![ConvertAttribute::Body(section)],
        };
        C::Convert {
            convert,
            numbers: Numbers::Uid,
        }
    });
    prop_oneof![
        text().prop_map(C::Compress),
        texts().prop_map(C::Language),
        texts().prop_map(C::Comparator),
        name().prop_map(C::GetAcl),
        name().prop_map(C::MyRights),
        set_acl,
        (name(), text()).prop_map(|(mailbox, identifier)| C::DeleteAcl {
            mailbox,
            identifier
        }),
        (name(), text()).prop_map(|(mailbox, identifier)| C::ListRights {
            mailbox,
            identifier
        }),
        get_metadata,
        (name(), many((text(), of(text())), 1..3))
            .prop_map(|(mailbox, entries)| C::SetMetadata { mailbox, entries }),
        groups.prop_map(|groups| C::Notify(Notify::Set {
            status: true,
            groups
        })),
        texts().prop_map(C::CancelUpdate),
        (many(filter(), 0..3), search())
            .prop_map(|(sources, search)| C::ESearch { sources, search }),
        labels,
        pairs().prop_map(C::GenUrlAuth),
        of((name(), texts())).prop_map(|mailbox| C::ResetKey(ResetKey { mailbox })),
        texts().prop_map(C::UrlFetch),
        convert,
        (text(), text()).prop_map(|(from, to)| C::Conversions { from, to }),
    ]
    .boxed()
}

/// Every command with a string in it.
fn command() -> BoxedStrategy<Command> {
    use Command as C;
    let authenticate = (text(), of(secret()))
        .prop_map(|(mechanism, initial)| C::Authenticate(Authenticate { mechanism, initial }));
    let sort = (text(), key()).prop_map(|(charset, key)| Sort {
        returns: None,
        criteria: vec![(SortCriterion::Date, true)],
        charset,
        key,
    });
    let thread = (text(), key()).prop_map(|(charset, key)| Thread {
        algorithm: ThreadAlgorithm::References,
        charset,
        key,
    });
    let store = many(flag(), 0..3).prop_map(|flags| Store {
        set: SequenceSet::all(),
        unchanged_since: None,
        action: StoreAction::Add,
        silent: true,
        flags,
    });
    let fetch =
        many(attribute(), 1..3).prop_map(|attributes| Fetch::new(SequenceSet::all(), attributes));
    prop_oneof![
        6 => mailboxes(),
        8 => extension(),
        1 => many((text(), of(text())), 0..3).prop_map(C::Id),
        1 => (text(), secret()).prop_map(|(name, password)| C::Login { name, password }),
        1 => authenticate,
        1 => texts().prop_map(C::Enable),
        1 => text().prop_map(C::GetQuota),
        1 => (text(), many((text(), any::<u64>()), 0..3)).prop_map(|(root, limits)| C::SetQuota { root, limits }),
        1 => search().prop_map(|search| C::Search { search, numbers: Numbers::Uid }),
        1 => sort.prop_map(|sort| C::Sort { sort, numbers: Numbers::Uid }),
        1 => thread.prop_map(|thread| C::Thread { thread, numbers: Numbers::Uid }),
        1 => fetch.prop_map(|fetch| C::Fetch { fetch, numbers: Numbers::Uid }),
        1 => store.prop_map(|store| C::Store { store, numbers: Numbers::Uid }),
    ]
    .boxed()
}

fn code() -> BoxedStrategy<ResponseCode> {
    use ResponseCode as C;
    prop_oneof![
        texts().prop_map(C::BadCharset),
        texts().prop_map(C::Capability),
        many(flag(), 0..3).prop_map(C::PermanentFlags),
        texts().prop_map(C::BadEvent),
        text().prop_map(C::BadUrl),
        of(text()).prop_map(|tag| C::InProgress(Some(Progress {
            tag,
            ..Progress::default()
        }))),
        text().prop_map(C::MailboxId),
        text().prop_map(C::NoUpdate),
        texts().prop_map(C::Referral),
        text().prop_map(C::UndefinedFilter),
        texts().prop_map(C::UrlMech),
        (text(), of(text())).prop_map(|(name, rest)| C::Other(name, rest)),
        Just(C::Alert),
    ]
    .boxed()
}

fn status() -> impl Strategy<Value = Status> {
    let all = [
        Status::Ok,
        Status::No,
        Status::Bad,
        Status::Bye,
        Status::PreAuth,
    ];
    proptest::sample::select(all.to_vec())
}

fn list_response() -> BoxedStrategy<ListResponse> {
    use ListAttribute as A;
    let attributes = prop_oneof![text().prop_map(A::SpecialUse), text().prop_map(A::Other)];
    let delimiter =
        proptest::sample::select(vec![None, Some('/'), Some('"'), Some('\n'), Some('\0')]);
    let old_name = of(name().prop_map(Box::new));
    (name(), delimiter, many(attributes, 0..3), old_name, pairs())
        .prop_map(
            |(name, delimiter, attributes, old_name, others)| ListResponse {
                old_name,
                others,
                ..ListResponse::new(name, delimiter, attributes)
            },
        )
        .boxed()
}

fn envelope() -> BoxedStrategy<Envelope> {
    many(of(text()), 8)
        .prop_map(|texts| {
            let address = Address {
                name: texts[4].as_deref(),
                route: texts[5].as_deref(),
                mailbox: texts[6].as_deref(),
                host: texts[7].as_deref(),
            };
            Envelope::new(EnvelopeFields {
                date: texts[0].as_deref(),
                subject: texts[1].as_deref(),
                from: &[address],
                sender: &[],
                reply_to: &[],
                to: &[address],
                cc: &[],
                bcc: &[],
                in_reply_to: texts[2].as_deref(),
                message_id: texts[3].as_deref(),
            })
        })
        .boxed()
}

fn body() -> BoxedStrategy<BodyStructure> {
    (many(text(), 8), pairs(), envelope(), any::<bool>())
        .prop_map(|(texts, parameters, envelope, nested)| {
            let lent = || {
                let pairs = parameters.iter();
                pairs
                    .map(|(name, value)| (&**name, &**value))
                    .collect::<Vec<_>>()
            };
            let fields = || NewFields {
                disposition: Some((&*texts[0], lent())),
                language: vec![&*texts[1], &*texts[2]],
                location: Some(&*texts[3]),
            };
            let part = |message| NewPart {
                kind: if nested { b"message" } else { &texts[4] },
                subtype: &texts[5],
                parameters: lent(),
                id: Some(&*texts[6]),
                description: Some(&*texts[7]),
                encoding: &texts[4],
                octets: 1,
                lines: 1,
                message,
                md5: Some(&*texts[6]),
                fields: fields(),
            };
            let leaf = NewBody::from(NewPart {
                kind: b"text",
                ..part(None)
            });
            let body = match nested {
                true => NewBody::from(part(Some((envelope.clone(), leaf)))),
                false => NewBody::Multipart {
                    parts: vec![leaf, NewBody::from(part(None))],
                    subtype: &texts[5],
                    parameters: lent(),
                    fields: fields(),
                },
            };
            BodyStructure::from(body)
        })
        .boxed()
}

fn item() -> BoxedStrategy<FetchItem> {
    use FetchItem as I;
    prop_oneof![
        many(flag(), 0..3).prop_map(|flags| I::Flags(flags.into_iter().collect())),
        envelope().prop_map(I::Envelope),
        body().prop_map(I::BodyStructure),
        (attribute(), of(text())).prop_map(|(name, octets)| I::Section(name, octets)),
        of(text()).prop_map(|octets| I::Section(FetchAttribute::Rfc822, octets)),
        of(text()).prop_map(I::Preview),
        text().prop_map(I::EmailId),
        of(text()).prop_map(I::ThreadId),
        texts().prop_map(I::GmailLabels),
        (text(), text()).prop_map(|(name, value)| I::Other(name, value)),
    ]
    .boxed()
}

/// Every response with a string in it.
fn response() -> BoxedStrategy<Response> {
    use Response as R;
    let status_item = prop_oneof![
        (text().prop_map(StatusAttribute::Other), any::<u64>())
            .prop_map(|(attribute, number)| StatusItem::Number(attribute, number)),
        text().prop_map(StatusItem::MailboxId),
        (text(), text()).prop_map(|(name, value)| StatusItem::Other(name, value)),
    ];
    let namespace = (name(), pairs()).prop_map(|(prefix, extensions)| Namespaces {
        personal: vec![Namespace {
            prefix,
            delimiter: Some('/'),
            extensions,
        }],
        ..Namespaces::default()
    });
    let converted =
        (text(), text(), texts(), text()).prop_map(|(tag, error, types, code)| Converted {
            sequence: 1,
            tag,
            items: vec![
                (
                    ConvertAttribute::AvailableConversions(vec![1]),
                    ConvertValue::Types(types),
                ),
                (
                    ConvertAttribute::Binary(vec![1], None),
                    ConvertValue::Octets(Some(error.clone())),
                ),
                (
                    ConvertAttribute::Binary(vec![2], None),
                    ConvertValue::Error(error, code),
                ),
            ],
        });
    let messages = prop_oneof![
        (1..9_u32, many(item(), 0..4)).prop_map(|(n, items)| R::Fetch(super::sequence(n), items)),
        (1..9_u32, many(item(), 0..4)).prop_map(|(n, items)| R::UidFetch(super::uid(n), items)),
        many(flag(), 0..3).prop_map(R::Flags),
        (text(), of((name(), 1..9_u32))).prop_map(|(tag, mailbox)| R::ESearch(Box::new(ESearch {
            tag,
            mailbox,
            ..ESearch::default()
        }))),
        converted.prop_map(R::Converted),
        (text(), text(), texts()).prop_map(|(from, to, parameters)| R::Conversion(Conversion {
            from,
            to,
            parameters
        })),
    ];
    let mailboxes = prop_oneof![
        list_response().prop_map(R::List),
        list_response().prop_map(R::Lsub),
        (name(), many(status_item, 0..3)).prop_map(|(name, items)| R::MailboxStatus(name, items)),
        namespace.prop_map(R::Namespace),
        (text(), many((text(), any::<u64>(), any::<u64>()), 0..3))
            .prop_map(|(root, all)| R::Quota(root, all)),
        (name(), texts()).prop_map(|(name, roots)| R::QuotaRoot(name, roots)),
        (name(), text()).prop_map(|(mailbox, identifier)| R::Acl(Acl {
            mailbox,
            entries: vec![(identifier, Rights::default())]
        })),
        (name(), text()).prop_map(|(mailbox, identifier)| R::ListRights(ListRights {
            mailbox,
            identifier,
            required: Rights::default(),
            optional: vec![]
        })),
        name().prop_map(|name| R::MyRights(name, Rights::default())),
        (name(), many((text(), of(text())), 1..3))
            .prop_map(|(name, values)| R::Metadata(name, Metadata::Values(values))),
        (name(), texts()).prop_map(|(name, entries)| R::Metadata(name, Metadata::Changed(entries))),
    ];
    prop_oneof![
        3 => (status(), of(code()), text()).prop_map(|(status, code, text)| R::Status(status, code, text)),
        1 => texts().prop_map(R::Capability),
        1 => texts().prop_map(R::Enabled),
        1 => many((text(), of(text())), 0..3).prop_map(R::Id),
        1 => texts().prop_map(R::Language),
        1 => (text(), texts()).prop_map(|(active, matching)| R::Comparator(Comparator { active, matching })),
        1 => text().prop_map(|tag| R::UidBatches(Batches { tag, ranges: vec![] })),
        1 => text().prop_map(R::JmapAccess),
        1 => texts().prop_map(R::GenUrlAuth),
        1 => many((text(), of(text())), 0..3).prop_map(R::UrlFetch),
        2 => text().prop_map(R::Other),
        5 => messages,
        8 => mailboxes,
    ]
    .boxed()
}

fn taken(output: &mut Output) -> Bytes {
    output.copy_to_bytes(output.len())
}

/// How many commands or responses there are. Only line ends behind `{n}` are a part of one; those of a status response
/// are not, since it is text.
///
/// # Panics
/// When a CR or LF stands alone outside of a literal, or anything does not end.
fn count(mut octets: &[u8]) -> usize {
    let whole = octets.escape_ascii().to_string();
    let mut units = 0;
    let mut first = true;
    while !octets.is_empty() {
        let end = octets
            .iter()
            .position(|octet| matches!(octet, b'\r' | b'\n' | 0));
        let (line, rest) = octets.split_at(end.unwrap_or_else(|| panic!("an end of \"{whole}\"")));
        let rest = rest
            .strip_prefix(b"\r\n")
            .unwrap_or_else(|| panic!("CRLF in \"{whole}\""));
        let words: Vec<&[u8]> = line.split(|octet| *octet == b' ').take(2).collect();
        let status = matches!(
            words[..],
            [b"+", ..] | [_, b"OK" | b"NO" | b"BAD" | b"BYE" | b"PREAUTH"]
        );
        let inner = line.strip_suffix(b"}").filter(|_| !(first && status));
        let open = inner.and_then(|inner| inner.iter().rposition(|octet| *octet == b'{'));
        let digits = inner
            .zip(open)
            .map(|(inner, open)| String::from_utf8_lossy(&inner[open + 1..]).into_owned());
        match digits.map(|digits| digits.trim_end_matches('+').parse::<usize>()) {
            Some(Ok(literal)) => {
                octets = rest
                    .get(literal..)
                    .unwrap_or_else(|| panic!("a literal in \"{whole}\""));
                first = false;
            }
            _ => {
                (octets, first) = (rest, true);
                units += 1;
            }
        }
    }
    assert!(first, "the end of \"{whole}\"");
    units
}

/// How many commands the server's framer finds.
fn commands(octets: &[u8]) -> usize {
    let (mut framer, mut input, mut units) = (Framer::default(), BytesMut::from(octets), 0);
    loop {
        match framer.next(&mut input, 1 << 20, 1 << 20, false) {
            Some(Framed::Unit(_)) => units += 1,
            Some(Framed::Continue(_)) => {}
            Some(other) => panic!("{other:?} in {}", octets.escape_ascii()),
            None => break,
        }
    }
    assert!(
        input.is_empty() && !framer.is_in_command(),
        "{}",
        octets.escape_ascii()
    );
    units
}

/// How many responses the client's framer finds.
fn responses(octets: &[u8]) -> usize {
    use client::frame::{Framed, Framer};
    let (mut framer, mut input, mut units) = (Framer::default(), BytesMut::from(octets), 0);
    loop {
        match framer.next(&mut input, 1 << 20, 1 << 20, None) {
            Some(Ok(Framed::Line(_) | Framed::Unit(_))) => units += 1,
            Some(Ok(Framed::Section(_, length))) => {
                input.advance(usize::try_from(length).unwrap());
                framer.behind_section();
            }
            Some(Err(error)) => panic!("{error:?} in {}", octets.escape_ascii()),
            None => break,
        }
    }
    assert!(
        input.is_empty() && !framer.is_inside(),
        "{}",
        octets.escape_ascii()
    );
    units
}

/// A client machine with a mailbox selected.
fn client_machine(literals: &str) -> client::Connection {
    let options = client::Options {
        login_needs_tls: false,
        ..client::Options::default()
    };
    let mut machine = client::Connection::new(options);
    let mut output = Output::new();
    let greeting = std::format!("* PREAUTH [CAPABILITY IMAP4rev1 SASL-IR {literals}] hi\r\n");
    let mut input = BytesMut::from(greeting.as_bytes());
    machine.poll(&mut input, &mut output).unwrap();
    let select = Command::select(MailboxName::new("INBOX"));
    machine.issue(select, &mut output).unwrap();
    input.extend_from_slice(b"a1 OK\r\n");
    machine.poll(&mut input, &mut output).unwrap();
    machine
}

/// Everything that is sent, with the server agreeing to each literal.
fn sent(machine: &mut client::Connection, output: &mut Output) -> Bytes {
    let mut input = BytesMut::new();
    for _ in 0..100 {
        let before = output.len();
        input.extend_from_slice(b"+ go\r\n");
        match machine.poll(&mut input, output) {
            Ok(Step::Event(client::Event::SendBody(_))) => {
                machine.chunk("abc".into(), output).unwrap();
            }
            Ok(_) => {}
            Err(_) => break,
        }
        if output.len() == before {
            break;
        }
    }
    taken(output)
}

proptest! {
    #[test]
    fn a_command_is_one_command_and_itself(command in command(), tag in text(), utf8: bool) {
        let command = if utf8 { command.in_utf8() } else { command };
        let mut output = Output::new();
        let tagged = Tagged { tag, command };
        tagged.encode(&mut output);
        let replaced = output.has_replaced();
        let octets = taken(&mut output);
        prop_assert_eq!(count(&octets), 1);
        prop_assert_eq!(commands(&octets), 1);
        let unit = octets.slice(..octets.len() - 2);
        let read = Tagged::parse_as(&unit, &Limits::default(), utf8);
        if let Ok(read) = read {
            prop_assert_eq!(discriminant(&read.command), discriminant(&tagged.command));
            if !replaced {
                prop_assert_eq!(read.tag, tagged.tag);
            }
        }
    }

    #[test]
    fn a_response_is_one_response(response in response(), utf8: bool) {
        let response = if utf8 { response.in_utf8() } else { response };
        let mut output = Output::new();
        response.encode(&mut output);
        let octets = taken(&mut output);
        prop_assert_eq!(count(&octets), 1);
        prop_assert_eq!(responses(&octets), 1);
        let unit = octets.slice(..octets.len() - 2);
        let read = Received::parse_as(&unit, &Limits::default(), utf8);
        prop_assert!(matches!(read, Ok(Received::Untagged(_))), "{read:?}");
        if let (Response::Status(_, given, _), Ok(Received::Untagged(Response::Status(_, read, _)))) = (&response, &read) {
            prop_assert_eq!(given.is_some(), read.is_some(), "{:?}", unit);
        }
    }

    #[test]
    fn an_end_and_a_continuation_are_one_line(tag in text(), status in status(), code in of(code()), text in text()) {
        let mut output = Output::new();
        Received::Continuation(text.clone()).encode(&mut output);
        let octets = taken(&mut output);
        prop_assert_eq!((count(&octets), responses(&octets)), (1, 1));
        let status = if let Status::Bye | Status::PreAuth = status { Status::Ok } else { status };
        // What begins so is read as a response code that stands alone, which some servers send.
        let code_alone = tag.starts_with(b"[");
        Received::Tagged(tag, Completion { status, code, text }).encode(&mut output);
        let octets = taken(&mut output);
        prop_assert_eq!((count(&octets), responses(&octets)), (1, 1));
        let read = Received::parse(&octets.slice(..octets.len() - 2), &Limits::default());
        prop_assert!(code_alone || matches!(read, Ok(Received::Tagged(..))), "{read:?}");
    }

    #[test]
    fn the_client_sends_one_command_or_refuses(
        command in command(),
        literals in proptest::sample::select(&["", "LITERAL-", "LITERAL+"][..]),
    ) {
        let mut machine = client_machine(literals);
        let mut output = Output::new();
        let name = command.name();
        let issued = machine.issue(command, &mut output);
        prop_assert!(!output.has_replaced());
        let octets = sent(&mut machine, &mut output);
        // What answers COMPRESS or LOGOUT is not this test's.
        prop_assert_eq!(count(&octets), usize::from(issued.is_ok()), "{}", name);
        if issued.is_ok() && !literals.is_empty() {
            prop_assert_eq!(commands(&octets), 1);
        }
    }

    #[test]
    fn the_client_logs_in_and_appends_with_one_command(
        name in text(), mechanism in text(), secret in secret(), mailbox in name(), flags in many(flag(), 0..3), which in 0..3,
    ) {
        let mut output = Output::new();
        let issued = if which == 2 {
            let mut machine = client_machine("LITERAL+");
            let mut append = Append::new(mailbox);
            append.flags = flags;
            let issued = machine.append(&append, 3, &mut output);
            let octets = sent(&mut machine, &mut output);
            prop_assert_eq!(count(&octets), usize::from(issued.is_ok()));
            return Ok(());
        } else {
            let options = client::Options {
                login_needs_tls: false,
                ..client::Options::default()
            };
            let mut machine = client::Connection::new(options);
            let mut input = BytesMut::from("* OK [CAPABILITY IMAP4rev1 SASL-IR LITERAL+] hi\r\n");
            machine.poll(&mut input, &mut output).unwrap();
            match which {
                0 => machine.login(name, secret, &mut output),
                _ => machine.authenticate(mechanism, Some(secret), &mut output),
            }
        };
        prop_assert_eq!(count(&taken(&mut output)), usize::from(issued.is_ok()));
    }

    #[test]
    fn the_server_sends_what_it_was_asked_to_and_no_more(
        mechanisms in texts(), capabilities in texts(), strings in many(string(), 4), codes in many(of(code()), 4),
        challenge in text(), response in response(), items in many(item(), 0..3), section in attribute(), octets in text(),
    ) {
        let mut options = server::Options::default();
        (options.tls, options.capabilities, options.mechanisms) = (true, capabilities, mechanisms);
        let named = options.mechanisms.iter().filter(|name| !name.is_empty() && name.iter().all(|&o| crate::plumbing::text::is_atom_char(o))).count();
        options.mechanisms.push("PLAIN".into());
        let mut machine = server::Connection::new(options);
        let mut output = Output::new();
        let mut input = BytesMut::new();
        machine.poll(&mut input, &mut output).unwrap();
        machine.greet(&strings[0], &mut output).unwrap();
        let greeting = taken(&mut output);
        prop_assert_eq!((count(&greeting), responses(&greeting)), (1, 1));
        let auth = greeting.windows(5).filter(|five| five == b"AUTH=").count();
        prop_assert!(auth > named);
        for line in ["a CAPABILITY\r\n", "b AUTHENTICATE PLAIN\r\n", "AA==\r\n"] {
            input.extend_from_slice(line.as_bytes());
            let step = machine.poll(&mut input, &mut output).unwrap();
            let mut expected = 2;
            match step {
                Step::Event(server::Event::Authenticate { .. }) => {
                    machine.challenge(&challenge, &mut output).unwrap();
                    expected = 1;
                }
                Step::Event(server::Event::SaslResponse(_)) => {
                    machine.complete(Status::Ok, codes[0].clone(), &strings[1], &mut output).unwrap();
                    expected = 1;
                }
                _ => {}
            }
            let answer = taken(&mut output);
            prop_assert_eq!((count(&answer), responses(&answer)), (expected, expected), "{}", line);
        }
        machine.respond(&response, &mut output);
        let answer = taken(&mut output);
        prop_assert_eq!((count(&answer), responses(&answer)), (1, 1));
        input.extend_from_slice(b"c SELECT a\r\n");
        machine.poll(&mut input, &mut output).unwrap();
        machine.select(super::uids([7]), None, false, &mut output);
        machine.complete(Status::Ok, codes[1].clone(), &strings[2], &mut output).unwrap();
        let answer = taken(&mut output);
        prop_assert_eq!((count(&answer), responses(&answer)), (3, 3));
        machine.begin_fetch(super::uid(7), &mut output).unwrap();
        for item in &items {
            machine.fetch_item(item, &mut output).unwrap();
        }
        let body: Bytes = octets.iter().copied().filter(|octet| *octet != 0).collect();
        machine.begin_section(&section, Some(body.len() as u64), &mut output).unwrap();
        machine.respond(&response, &mut output);
        machine.section_chunk(body, &mut output).unwrap();
        machine.end_fetch(&mut output).unwrap();
        let answer = taken(&mut output);
        prop_assert_eq!((count(&answer), responses(&answer)), (2, 2));
        machine.bye(codes[2].as_ref(), &strings[3], &mut output);
        let answer = taken(&mut output);
        prop_assert_eq!((count(&answer), responses(&answer)), (1, 1));
    }
}
