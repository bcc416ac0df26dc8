//! What is written is read: any command, any response.

use crate::response::Frequent;
use crate::*;
use bytes::{Buf as _, Bytes};
use hikyaku_wire::{Output, Secret};
use proptest::collection::vec as many;
use proptest::option::of;
use proptest::prelude::*;
use std::boxed::Box;
use std::format;
use std::string::String;
use std::vec;
use std::vec::Vec;

/// Octets that a literal or quotes may hold.
fn text() -> BoxedStrategy<Bytes> {
    prop_oneof![
        "[a-zA-Z0-9 ()\"\\\\{}%*\\]\\[&~+.-]{0,12}".prop_map(Bytes::from),
        many(1..=255_u8, 0..12).prop_map(Bytes::from),
        Just(Bytes::from_static(b"NIL")),
        (1000..1100_usize).prop_map(|length| Bytes::from(vec![b'x'; length])),
    ]
    .boxed()
}

fn atom() -> impl Strategy<Value = Bytes> {
    "[A-Z][A-Za-z0-9.=_-]{0,8}".prop_map(Bytes::from)
}

fn ntext() -> BoxedStrategy<Option<Bytes>> {
    of(text()).boxed()
}

fn pairs() -> impl Strategy<Value = Vec<(Bytes, Bytes)>> {
    many((text(), text()), 0..3)
}

fn name() -> impl Strategy<Value = MailboxName> {
    prop_oneof!["[a-zA-Z/& 受信\\\\\"]{0,8}", Just(String::from("inbox"))]
        .prop_map(MailboxName::new)
}

fn set() -> impl Strategy<Value = SequenceSet> {
    let end = || {
        prop_oneof![
            (1..=u32::MAX).prop_map(|n| format!("{n}")),
            Just("*".into())
        ]
    };
    let range = prop_oneof![end(), (end(), end()).prop_map(|(a, b)| format!("{a}:{b}"))];
    many(range, 1..4).prop_map(|all| SequenceSet::parse(&all.join(",").into()).unwrap())
}

fn uids() -> impl Strategy<Value = Vec<(u32, u32)>> {
    let range = (1..=u32::MAX, 1..=u32::MAX).prop_map(|(a, b)| (a.min(b), a.max(b)));
    many(range, 1..4)
}

fn any_uid() -> impl Strategy<Value = Uid> {
    (1..=u32::MAX).prop_map(super::uid)
}

fn any_sequence() -> impl Strategy<Value = SequenceNumber> {
    (1..=u32::MAX).prop_map(super::sequence)
}

fn own_or_saved() -> impl Strategy<Value = SequenceSet> {
    prop_oneof![9 => set(), 1 => Just(SequenceSet::saved())]
}

fn partial_range() -> impl Strategy<Value = PartialRange> {
    (1..=u32::MAX, 1..=u32::MAX, any::<bool>()).prop_map(|(first, last, from_last)| PartialRange {
        first,
        last,
        from_last,
    })
}

fn object_id() -> impl Strategy<Value = Bytes> {
    "[A-Za-z0-9_-]{1,9}".prop_map(Bytes::from)
}

/// Octets that literal8 may hold.
fn octets() -> BoxedStrategy<Bytes> {
    prop_oneof![
        text(),
        many(any::<u8>(), 0..9).prop_map(|mut octets| {
            octets.push(0);
            Bytes::from(octets)
        })
    ]
    .boxed()
}

fn rights() -> impl Strategy<Value = Rights> {
    "[a-z0-9]{0,7}".prop_map(|letters| Rights::parse(letters.as_bytes()).unwrap())
}

fn entry() -> impl Strategy<Value = Bytes> {
    "(/[a-z .-]{1,5}){1,3}".prop_map(Bytes::from)
}

fn number64() -> impl Strategy<Value = u64> {
    0..=i64::MAX as u64
}

fn flag() -> impl Strategy<Value = Flag> {
    prop_oneof![
        Just(Flag::Seen),
        Just(Flag::Answered),
        Just(Flag::Flagged),
        Just(Flag::Deleted),
        Just(Flag::Draft),
        "\\\\X[a-z]{0,5}".prop_map(|name| Flag::Extension(name.into())),
        "[a-z$][a-z]{0,5}".prop_map(|name| Flag::Keyword(name.into())),
    ]
}

fn response_flag() -> impl Strategy<Value = Flag> {
    prop_oneof![flag(), Just(Flag::Recent), Just(Flag::Any)]
}

fn date() -> impl Strategy<Value = Date> {
    (-700_000..2_900_000_i64).prop_map(|days| Date::from_days(days).unwrap())
}

fn date_time() -> impl Strategy<Value = DateTime> {
    (0..4_000_000_000_i64, -1439..1440_i16).prop_map(|(seconds, zone)| DateTime { seconds, zone })
}

fn key() -> BoxedStrategy<SearchKey> {
    use SearchKey as K;
    let leaf = prop_oneof![
        Just(K::All),
        Just(K::New),
        (flag(), any::<bool>()).prop_map(|(flag, is)| match flag {
            Flag::Extension(_) => K::Flag(Flag::Recent, is),
            flag => K::Flag(flag, is),
        }),
        (text(), text()).prop_map(|(name, value)| K::Header(name, value)),
        text().prop_map(|value| K::Header("Subject".into(), value)),
        text().prop_map(K::Body),
        text().prop_map(K::Text),
        prop_oneof![
            date().prop_map(K::Before),
            date().prop_map(K::On),
            date().prop_map(K::Since),
            date().prop_map(K::SentBefore),
            date().prop_map(K::SentOn),
            date().prop_map(K::SentSince),
        ],
        number64().prop_map(K::Larger),
        number64().prop_map(K::Smaller),
        number64().prop_map(K::ModSeq),
        own_or_saved().prop_map(K::Sequence),
        own_or_saved().prop_map(K::Uid),
        (
            text(),
            proptest::sample::select(&["priv", "shared", "all"][..]),
            number64()
        )
            .prop_map(|(entry, kind, modseq)| K::ModSeqOf(Box::new((entry, kind.into(), modseq))))
            .prop_filter("a string", |key| match key {
                K::ModSeqOf(of) => of.0.iter().all(|o| (32..127).contains(o)) && of.0.len() < 1024,
                _ => true,
            }),
        (1..=u32::MAX).prop_map(K::Older),
        (1..=u32::MAX).prop_map(K::Younger),
        (1..=u32::MAX).prop_map(K::UidAfter),
        (1..=u32::MAX).prop_map(K::UidBefore),
        object_id().prop_map(K::EmailId),
        object_id().prop_map(K::ThreadId),
        prop_oneof![
            date().prop_map(K::SavedBefore),
            date().prop_map(K::SavedOn),
            date().prop_map(K::SavedSince),
            Just(K::SaveDateSupported),
        ],
        atom().prop_map(K::Filter),
        text().prop_map(K::GmailRaw),
        number64().prop_map(K::GmailMessageId),
        number64().prop_map(K::GmailThreadId),
        text().prop_map(K::GmailLabel),
    ];
    leaf.prop_recursive(4, 20, 4, |inner| {
        prop_oneof![
            inner.clone().prop_map(|key| K::Not(Box::new(key))),
            inner.clone().prop_map(|key| K::Fuzzy(Box::new(key))),
            (inner.clone(), inner.clone()).prop_map(|pair| K::Or(Box::new(pair))),
            many(inner, 2..4).prop_map(K::And),
        ]
    })
    .boxed()
}

fn section() -> BoxedStrategy<Section> {
    let fields = (any::<bool>(), many(text(), 1..3));
    let text = prop_oneof![
        Just(SectionText::Whole),
        Just(SectionText::Header),
        Just(SectionText::Text),
        Just(SectionText::Mime),
        fields.prop_map(|(not, names)| SectionText::HeaderFields { not, names }),
    ];
    (many(1..=u32::MAX, 0..3), text)
        .prop_map(|(part, text)| match text {
            SectionText::Mime if part.is_empty() => Section::default(),
            text => Section { part, text },
        })
        .boxed()
}

fn fetch_attribute() -> impl Strategy<Value = FetchAttribute> {
    use FetchAttribute as A;
    let plain = [
        A::Envelope,
        A::Flags,
        A::InternalDate,
        A::Rfc822Size,
        A::Rfc822,
        A::Rfc822Header,
        A::Rfc822Text,
        A::Body,
        A::BodyStructure,
        A::Uid,
        A::ModSeq,
        A::SaveDate,
        A::EmailId,
        A::ThreadId,
        A::GmailMessageId,
        A::GmailThreadId,
        A::GmailLabels,
        A::Preview { lazy: false },
        A::Preview { lazy: true },
    ];
    let part = || many(1..=u32::MAX, 0..3);
    prop_oneof![
        3 => proptest::sample::select(plain.to_vec()),
        1 => part().prop_map(A::BinarySize),
        1 => (any::<bool>(), part(), of((any::<u32>(), 1..=u32::MAX))).prop_map(
            |(peek, part, partial)| A::Binary {
                peek,
                part,
                partial
            }
        ),
        2 => (any::<bool>(), section(), of((any::<u32>(), 1..=u32::MAX))).prop_map(
            |(peek, section, partial)| A::BodySection {
                peek,
                section,
                partial
            }
        ),
    ]
}

fn status_attribute() -> impl Strategy<Value = StatusAttribute> {
    use StatusAttribute as A;
    let all = [
        A::Messages,
        A::Recent,
        A::UidNext,
        A::UidValidity,
        A::Unseen,
        A::Deleted,
        A::Size,
        A::HighestModSeq,
        A::DeletedStorage,
        A::MailboxId,
        A::AppendLimit,
        A::Other("X-NEW".into()),
    ];
    proptest::sample::select(all.to_vec())
}

fn list() -> impl Strategy<Value = List> {
    let options = many(any::<bool>(), 8);
    let patterns = many(
        "[a-z%*/ 受]{0,5}".prop_map(|text| Pattern::new(&text)),
        1..3,
    );
    let status = many(status_attribute(), 0..2);
    let metadata = many(entry(), 0..2);
    (options, name(), patterns, status, metadata, any::<bool>()).prop_map(
        |(o, reference, patterns, status, metadata, extended)| {
            let selection = SelectionOptions {
                subscribed: o[0],
                remote: o[1],
                recursive_match: o[2] && (o[0] || o[3]),
                special_use: o[3],
            };
            let returns = ReturnOptions {
                subscribed: o[4],
                children: o[5],
                special_use: o[6],
                status,
                my_rights: o[7],
                metadata,
            };
            let needed = selection != SelectionOptions::default()
                || returns != ReturnOptions::default()
                || patterns.len() > 1;
            List {
                selection,
                reference,
                patterns,
                returns,
                extended: extended || needed,
            }
        },
    )
}

fn criteria() -> impl Strategy<Value = Vec<(SortCriterion, bool)>> {
    use SortCriterion as C;
    let all = [
        C::Arrival,
        C::Cc,
        C::Date,
        C::From,
        C::Size,
        C::Subject,
        C::To,
        C::DisplayFrom,
        C::DisplayTo,
        C::Relevancy,
    ];
    many(
        (proptest::sample::select(all.to_vec()), any::<bool>()),
        1..4,
    )
}

fn store() -> impl Strategy<Value = Store> {
    let action = [StoreAction::Replace, StoreAction::Add, StoreAction::Remove];
    let action = proptest::sample::select(action.to_vec());
    let flags = many(flag(), 0..4);
    (set(), of(number64()), action, any::<bool>(), flags).prop_map(
        |(set, unchanged_since, action, silent, flags)| Store {
            set,
            unchanged_since,
            action,
            silent,
            flags,
        },
    )
}

fn authenticate() -> impl Strategy<Value = Command> {
    let initial = of(many(any::<u8>(), 0..9).prop_map(Secret::from));
    ("[A-Z]{1,9}", initial).prop_map(|(mechanism, initial)| {
        let mechanism = mechanism.into();
        Command::Authenticate(Authenticate { mechanism, initial })
    })
}

fn select() -> impl Strategy<Value = Command> {
    let qresync = (1..=u32::MAX, number64(), of(set()), of((set(), set()))).prop_map(
        |(uid_validity, modseq, known_uids, sequence_match)| QResync {
            uid_validity,
            modseq,
            known_uids,
            sequence_match,
        },
    );
    (name(), any::<bool>(), any::<bool>(), of(qresync)).prop_map(
        |(mailbox, read_only, condstore, qresync)| Command::Select {
            mailbox,
            read_only,
            condstore,
            qresync,
        },
    )
}

fn returns() -> impl Strategy<Value = Option<Vec<Return>>> {
    use Return as R;
    let alone = [
        R::Min,
        R::Max,
        R::All,
        R::Count,
        R::Save,
        R::Context,
        R::Relevancy,
    ];
    let one = prop_oneof![
        proptest::sample::select(alone.to_vec()),
        many(fetch_attribute(), 0..3).prop_map(R::Update),
    ];
    (of(many(one, 1..4)), of(partial_range())).prop_map(|(all, partial)| {
        let mut all = all?;
        if let (Some(range), false) = (partial, all.contains(&R::All)) {
            all.push(R::Partial(range));
        }
        Some(all)
    })
}

fn filter() -> impl Strategy<Value = MailboxFilter> {
    use MailboxFilter as F;
    let names = || many(name(), 1..3);
    prop_oneof![
        Just(F::Selected),
        Just(F::Inboxes),
        Just(F::Personal),
        Just(F::Subscribed),
        names().prop_map(F::Subtree),
        names().prop_map(F::SubtreeOne),
        names().prop_map(F::Mailboxes),
    ]
}

fn notify() -> impl Strategy<Value = Notify> {
    use NotifyEvent as E;
    let messages = || {
        prop_oneof![
            Just(Vec::new()),
            Just(Vec::from([E::MessageNew(Vec::new()), E::MessageExpunge])),
            Just(Vec::from([
                E::MessageExpunge,
                E::FlagChange,
                E::MessageNew(Vec::new()),
                E::AnnotationChange,
                E::Other("X".into())
            ])),
        ]
    };
    let others = [
        E::MailboxName,
        E::SubscriptionChange,
        E::MailboxMetadataChange,
        E::ServerMetadataChange,
    ];
    let others = many(proptest::sample::select(others.to_vec()), 0..3);
    let group = (filter(), messages(), others).prop_map(|(mailboxes, mut events, others)| {
        if mailboxes != MailboxFilter::Selected {
            events.extend(others);
        }
        EventGroup { mailboxes, events }
    });
    let selected =
        (any::<bool>(), many(fetch_attribute(), 0..3)).prop_map(|(delayed, asked)| EventGroup {
            mailboxes: match delayed {
                true => MailboxFilter::SelectedDelayed,
                false => MailboxFilter::Selected,
            },
            events: [E::MessageNew(asked), E::MessageExpunge].into(),
        });
    (any::<bool>(), many(group, 0..3), selected, any::<bool>()).prop_map(
        |(status, mut groups, selected, none)| {
            groups.retain(|group| group.mailboxes != MailboxFilter::Selected);
            groups.push(selected);
            match none {
                true => Notify::None,
                false => Notify::Set { status, groups },
            }
        },
    )
}

fn convert_attribute() -> BoxedStrategy<ConvertAttribute> {
    use ConvertAttribute as A;
    let part = || many(1..=u32::MAX, 0..3);
    let body = (many(1..=u32::MAX, 1..3), any::<bool>()).prop_map(|(part, mime)| {
        A::Body(Section {
            part,
            text: match mime {
                true => SectionText::Mime,
                false => SectionText::Header,
            },
        })
    });
    prop_oneof![
        Just(A::Uid),
        part().prop_map(A::BodyPartStructure),
        (part(), of((any::<u32>(), 1..=u32::MAX))).prop_map(|(part, some)| A::Binary(part, some)),
        part().prop_map(A::BinarySize),
        body,
        part().prop_map(A::AvailableConversions),
    ]
    .boxed()
}

/// Commands of extensions.
fn extension() -> BoxedStrategy<Command> {
    use Command as C;
    let numbers = || prop_oneof![Just(Numbers::Sequence), Just(Numbers::Uid)];
    let change = [AclChange::Replace, AclChange::Add, AclChange::Remove];
    let set_acl = (
        name(),
        text(),
        proptest::sample::select(change.to_vec()),
        rights(),
    );
    let set_acl = set_acl.prop_map(|(mailbox, identifier, change, rights)| {
        C::SetAcl(SetAcl {
            mailbox,
            identifier,
            change,
            rights,
        })
    });
    let depth = [
        MetadataDepth::Zero,
        MetadataDepth::One,
        MetadataDepth::Infinity,
    ];
    let get_metadata = (
        name(),
        many(entry(), 1..3),
        of(number64()),
        proptest::sample::select(depth.to_vec()),
    );
    let get_metadata = get_metadata.prop_map(|(mailbox, entries, max_size, depth)| {
        C::GetMetadata(GetMetadata {
            mailbox,
            entries,
            max_size,
            depth,
        })
    });
    let pattern = || "[a-z%*]{1,4}".prop_map(|text| Pattern::new(&text));
    let labels = prop_oneof![text(), Just(Bytes::from("\\Inbox"))];
    let action = [StoreAction::Replace, StoreAction::Add, StoreAction::Remove];
    let action = proptest::sample::select(action.to_vec());
    let store = (own_or_saved(), action, any::<bool>(), many(labels, 0..3)).prop_map(
        |(set, action, silent, labels)| LabelStore {
            set,
            action,
            silent,
            labels,
        },
    );
    let convert = (
        own_or_saved(),
        of(text()),
        pairs(),
        many(convert_attribute(), 1..3),
    );
    let convert = convert.prop_map(|(set, to, parameters, attributes)| Convert {
        set,
        to,
        parameters,
        attributes,
    });
    let reset = of((name(), many(atom(), 0..2))).prop_map(|mailbox| ResetKey { mailbox });
    prop_oneof![
        Just(()).prop_map(|()| C::Unauthenticate),
        Just(()).prop_map(|()| C::GetJmapAccess),
        atom().prop_map(C::Compress),
        many(text(), 0..3).prop_map(C::Language),
        many(text(), 0..3).prop_map(C::Comparator),
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
        (name(), many((entry(), of(octets())), 1..3))
            .prop_map(|(mailbox, entries)| C::SetMetadata { mailbox, entries }),
        notify().prop_map(C::Notify),
        many(text(), 1..3).prop_map(C::CancelUpdate),
        (many(filter(), 0..3), search())
            .prop_map(|(sources, search)| C::ESearch { sources, search }),
        (1..=u32::MAX, of((1..=u32::MAX, 1..=u32::MAX)))
            .prop_map(|(size, batches)| C::UidBatches(UidBatches { size, batches })),
        (store, numbers()).prop_map(|(store, numbers)| C::StoreLabels { store, numbers }),
        (name(), pattern()).prop_map(|(reference, pattern)| C::RList { reference, pattern }),
        (name(), pattern()).prop_map(|(reference, pattern)| C::RLsub { reference, pattern }),
        (name(), pattern()).prop_map(|(reference, pattern)| C::XList { reference, pattern }),
        many((text(), atom()), 1..3).prop_map(C::GenUrlAuth),
        reset.prop_map(C::ResetKey),
        many(text(), 1..3).prop_map(C::UrlFetch),
        (convert, numbers()).prop_map(|(convert, numbers)| C::Convert { convert, numbers }),
        (text(), text()).prop_map(|(from, to)| C::Conversions { from, to }),
    ]
    .boxed()
}

fn search() -> impl Strategy<Value = Search> {
    (returns(), of(atom()), key()).prop_map(|(returns, charset, key)| Search {
        returns,
        charset,
        key,
    })
}

pub(crate) fn command() -> impl Strategy<Value = Command> {
    use Command as C;
    let numbers = || prop_oneof![Just(Numbers::Sequence), Just(Numbers::Uid)];
    let alone = prop_oneof![
        Just(()).prop_map(|()| C::Capability),
        Just(()).prop_map(|()| C::Noop),
        Just(()).prop_map(|()| C::Logout),
        Just(()).prop_map(|()| C::StartTls),
        Just(()).prop_map(|()| C::Namespace),
        Just(()).prop_map(|()| C::Idle),
        Just(()).prop_map(|()| C::Check),
        Just(()).prop_map(|()| C::Close),
        Just(()).prop_map(|()| C::Unselect),
    ];
    let fetch = (
        set(),
        many(fetch_attribute(), 1..4),
        of(number64()),
        any::<bool>(),
        of(partial_range()),
    );
    let fetch = fetch.prop_map(
        |(set, attributes, changed_since, vanished, partial)| Fetch {
            set,
            attributes,
            changed_since,
            vanished: vanished && changed_since.is_some(),
            partial,
        },
    );
    let algorithm = [
        ThreadAlgorithm::OrderedSubject,
        ThreadAlgorithm::References,
        ThreadAlgorithm::Refs,
    ];
    let algorithm = proptest::sample::select(algorithm.to_vec());
    let sort = (returns(), criteria(), atom(), key());
    let sort = sort.prop_map(|(returns, criteria, charset, key)| Sort {
        returns,
        criteria,
        charset,
        key,
    });
    let thread = (algorithm, atom(), key()).prop_map(|(algorithm, charset, key)| Thread {
        algorithm,
        charset,
        key,
    });
    let uses = many("\\\\[A-Z][a-z]{1,5}".prop_map(Bytes::from), 0..3);
    let messages = prop_oneof![
        (fetch, numbers()).prop_map(|(fetch, numbers)| C::Fetch { fetch, numbers }),
        (store(), numbers()).prop_map(|(store, numbers)| C::Store { store, numbers }),
        (search(), numbers()).prop_map(|(search, numbers)| C::Search { search, numbers }),
        (sort, numbers()).prop_map(|(sort, numbers)| C::Sort { sort, numbers }),
        (thread, numbers()).prop_map(|(thread, numbers)| C::Thread { thread, numbers }),
        (own_or_saved(), name(), numbers()).prop_map(|(set, mailbox, numbers)| C::Copy {
            set,
            mailbox,
            numbers
        }),
        (own_or_saved(), name(), numbers()).prop_map(|(set, mailbox, numbers)| C::Move {
            set,
            mailbox,
            numbers
        }),
        of(own_or_saved()).prop_map(C::Expunge),
    ];
    let mailboxes = prop_oneof![
        select(),
        (name(), uses).prop_map(|(mailbox, special_uses)| C::Create {
            mailbox,
            special_uses
        }),
        name().prop_map(C::Delete),
        (name(), name()).prop_map(|(from, to)| C::Rename { from, to }),
        name().prop_map(C::Subscribe),
        name().prop_map(C::Unsubscribe),
        list().prop_map(C::List),
        (name(), "[a-z%*]{1,4}").prop_map(|(reference, pattern)| C::Lsub {
            reference,
            pattern: Pattern::new(&pattern)
        }),
        (name(), many(status_attribute(), 1..4)).prop_map(|(mailbox, attributes)| C::Status {
            mailbox,
            attributes
        }),
        name().prop_map(C::GetQuotaRoot),
    ];
    prop_oneof![
        3 => alone,
        9 => extension(),
        6 => messages,
        4 => mailboxes,
        1 => many((text(), ntext()), 0..3).prop_map(C::Id),
        1 => (text(), text()).prop_map(|(name, password)| C::Login {
            name,
            password: Secret::from(password.to_vec())
        }),
        1 => authenticate(),
        1 => many(atom(), 1..3).prop_map(C::Enable),
        1 => text().prop_map(C::GetQuota),
        1 => (text(), many((atom(), number64()), 0..3)).prop_map(|(root, limits)| C::SetQuota { root, limits }),
    ]
}

fn address(texts: &[Option<Bytes>]) -> Address<'_> {
    Address {
        name: texts[0].as_deref(),
        route: texts[1].as_deref(),
        mailbox: texts[2].as_deref(),
        host: texts[3].as_deref(),
    }
}

fn envelope() -> BoxedStrategy<Envelope> {
    (many(ntext(), 4), many(many(many(ntext(), 4), 0..3), 6))
        .prop_map(|(texts, lists)| {
            let lists: Vec<Vec<Address<'_>>> = lists
                .iter()
                .map(|list| list.iter().map(|texts| address(texts)).collect())
                .collect();
            Envelope::new(EnvelopeFields {
                date: texts[0].as_deref(),
                subject: texts[1].as_deref(),
                from: &lists[0],
                sender: &lists[1],
                reply_to: &lists[2],
                to: &lists[3],
                cc: &lists[4],
                bcc: &lists[5],
                in_reply_to: texts[2].as_deref(),
                message_id: texts[3].as_deref(),
            })
        })
        .boxed()
}

type Pairs = Vec<(Bytes, Bytes)>;
/// Parameters, disposition, language and location.
type Fields = (Pairs, Option<(Bytes, Pairs)>, Vec<Bytes>, Option<Bytes>);

fn body_fields() -> BoxedStrategy<Fields> {
    let disposition = of((text(), pairs()));
    (pairs(), disposition, many(text(), 0..3), ntext()).boxed()
}

fn lent(pairs: &Pairs) -> Vec<(&[u8], &[u8])> {
    pairs
        .iter()
        .map(|(name, value)| (&**name, &**value))
        .collect()
}

fn new_fields((_, disposition, language, location): &Fields) -> NewFields<'_> {
    let disposition = disposition.as_ref();
    NewFields {
        disposition: disposition.map(|(kind, parameters)| (&**kind, lent(parameters))),
        language: language.iter().map(|tag| &**tag).collect(),
        location: location.as_deref(),
    }
}

fn leaf() -> impl Strategy<Value = BodyStructure> {
    let texts = (text(), ntext(), ntext(), text(), ntext());
    (texts, number64(), number64(), any::<bool>(), body_fields()).prop_map(
        |((subtype, id, description, encoding, md5), octets, lines, is_text, fields)| {
            let part = NewPart {
                kind: if is_text { b"TEXT" } else { b"image" },
                subtype: &subtype,
                parameters: lent(&fields.0),
                id: id.as_deref(),
                description: description.as_deref(),
                encoding: &encoding,
                octets,
                lines: if is_text { lines } else { 0 },
                message: None,
                md5: md5.as_deref(),
                fields: new_fields(&fields),
            };
            BodyStructure::from(NewBody::from(part))
        },
    )
}

fn body() -> BoxedStrategy<BodyStructure> {
    leaf()
        .prop_recursive(3, 8, 3, move |inner| {
            prop_oneof![
                (many(inner.clone(), 1..3), text(), body_fields()).prop_map(
                    |(parts, subtype, fields)| {
                        BodyStructure::from(NewBody::Multipart {
                            parts: parts.iter().map(|part| part.root().into()).collect(),
                            subtype: &subtype,
                            parameters: lent(&fields.0),
                            fields: new_fields(&fields),
                        })
                    }
                ),
                (leaf(), envelope(), inner).prop_map(|(leaf, envelope, inner)| {
                    let NewBody::Part(mut part) = NewBody::from(leaf.root()) else {
                        unreachable!()
                    };
                    part.kind = b"message";
                    part.message = Some((envelope, inner.root().into()));
                    BodyStructure::from(NewBody::Part(part))
                }),
            ]
        })
        .boxed()
}

/// As BODY sends it, without what BODYSTRUCTURE has besides.
fn plain(body: NewBody<'_>) -> NewBody<'_> {
    match body {
        NewBody::Multipart { parts, subtype, .. } => NewBody::Multipart {
            parts: parts.into_iter().map(plain).collect(),
            subtype,
            parameters: Vec::new(),
            fields: NewFields::default(),
        },
        NewBody::Part(part) => NewBody::from(NewPart {
            md5: None,
            fields: NewFields::default(),
            message: part.message.map(|(envelope, body)| (envelope, plain(body))),
            ..*part
        }),
    }
}

fn raw() -> impl Strategy<Value = Bytes> {
    "(abc|\"a b\"|\\(\\)|\\(a \\(\"\\)\" \\{3\\}\r\n\\)\\)\\)\\) 7\\))".prop_map(Bytes::from)
}

fn fetch_item() -> BoxedStrategy<FetchItem> {
    let section_name =
        fetch_attribute().prop_filter_map("a section", |attribute| match attribute {
            FetchAttribute::BodySection {
                section, partial, ..
            } => Some(FetchAttribute::BodySection {
                peek: false,
                section,
                partial: partial.map(|(origin, _)| (origin, 0)),
            }),
            FetchAttribute::Binary { part, partial, .. } => Some(FetchAttribute::Binary {
                peek: false,
                part,
                partial: partial.map(|(origin, _)| (origin, 0)),
            }),
            a @ (FetchAttribute::Rfc822
            | FetchAttribute::Rfc822Header
            | FetchAttribute::Rfc822Text) => Some(a),
            _ => None,
        });
    prop_oneof![
        many(response_flag(), 0..4).prop_map(|flags| FetchItem::Flags(flags.into_iter().collect())),
        any_uid().prop_map(FetchItem::Uid),
        date_time().prop_map(FetchItem::InternalDate),
        number64().prop_map(FetchItem::Rfc822Size),
        envelope().prop_map(FetchItem::Envelope),
        body().prop_map(FetchItem::BodyStructure),
        body().prop_map(|body| FetchItem::Body(plain(body.root().into()).into())),
        number64().prop_map(FetchItem::ModSeq),
        (section_name, of(octets())).prop_map(|(name, octets)| {
            let is_binary = matches!(name, FetchAttribute::Binary { .. });
            let octets = octets.filter(|octets| is_binary || !octets.contains(&0));
            FetchItem::Section(name, octets)
        }),
        (many(1..=u32::MAX, 0..3), number64())
            .prop_map(|(part, octets)| FetchItem::BinarySize(part, octets)),
        ntext().prop_map(FetchItem::Preview),
        of(date_time()).prop_map(FetchItem::SaveDate),
        object_id().prop_map(FetchItem::EmailId),
        of(object_id()).prop_map(FetchItem::ThreadId),
        number64().prop_map(FetchItem::GmailMessageId),
        number64().prop_map(FetchItem::GmailThreadId),
        many(prop_oneof![text(), Just(Bytes::from("\\Inbox"))], 0..3)
            .prop_map(FetchItem::GmailLabels),
        ("X-[A-Z]{1,5}", raw()).prop_map(|(name, raw)| FetchItem::Other(name.into(), raw)),
    ]
    .boxed()
}

fn code() -> BoxedStrategy<ResponseCode> {
    use ResponseCode as C;
    let alone = [
        C::Alert,
        C::AlreadyExists,
        C::AuthenticationFailed,
        C::AuthorizationFailed,
        C::Cannot,
        C::Closed,
        C::HasChildren,
        C::InUse,
        C::Limit,
        C::NonExistent,
        C::NoModSeq,
        C::NoPerm,
        C::OverQuota,
        C::Parse,
        C::PrivacyRequired,
        C::ReadOnly,
        C::ReadWrite,
        C::ServerBug,
        C::TooBig,
        C::TryCreate,
        C::Unavailable,
        C::UseAttr,
        C::BadComparator,
        C::ClientBug,
        C::CompressionActive,
        C::ContactAdmin,
        C::Corruption,
        C::Expired,
        C::ExpungeIssued,
        C::NotificationOverflow,
        C::NotSaved,
        C::TempFail,
        C::TooFew,
        C::TooMany,
        C::UidNotSticky,
        C::UidRequired,
        C::UnknownCte,
    ];
    let progress = (
        of("[a-z]{1,4}".prop_map(Bytes::from)),
        of(any::<u32>()),
        of(any::<u32>()),
    );
    let progress = progress.prop_map(|(tag, done, goal)| Progress { tag, done, goal });
    let metadata = prop_oneof![
        number64().prop_map(MetadataCode::LongEntries),
        number64().prop_map(MetadataCode::MaxSize),
        Just(MetadataCode::TooMany),
        Just(MetadataCode::NoPrivate),
    ];
    let url = || "imap://[a-z;=/]{1,9}".prop_map(Bytes::from);
    let of_extensions = prop_oneof![
        many(atom(), 1..3).prop_map(C::BadEvent),
        url().prop_map(C::BadUrl),
        of(progress).prop_map(C::InProgress),
        object_id().prop_map(C::MailboxId),
        (1..=u32::MAX).prop_map(C::MaxConvertMessages),
        (1..=u32::MAX).prop_map(C::MaxConvertParts),
        (1..=u32::MAX, of(any_uid())).prop_map(|(most, uid)| C::MessageLimit(most, uid)),
        metadata.prop_map(C::Metadata),
        "[a-z0-9 ]{1,5}".prop_map(|tag| C::NoUpdate(tag.into())),
        many(url(), 1..3).prop_map(C::Referral),
        atom().prop_map(C::UndefinedFilter),
        many(atom(), 0..3).prop_map(C::UrlMech),
    ];
    prop_oneof![
        of_extensions,
        proptest::sample::select(alone.to_vec()),
        (1..=u32::MAX, uids()).prop_map(|(validity, uids)| C::AppendUid(validity, uids)),
        (1..=u32::MAX, uids(), uids()).prop_map(|(v, from, to)| C::CopyUid(v, from, to)),
        many(atom(), 0..3).prop_map(C::BadCharset),
        many(atom(), 1..3).prop_map(C::Capability),
        number64().prop_map(C::HighestModSeq),
        uids().prop_map(C::Modified),
        many(response_flag(), 0..3).prop_map(C::PermanentFlags),
        any_uid().prop_map(C::UidNext),
        any::<u32>().prop_map(C::UidValidity),
        any_sequence().prop_map(C::Unseen),
        ("X[A-Z]{1,5}", of("[a-z \"]{1,5}".prop_map(Bytes::from)))
            .prop_map(|(name, rest)| C::Other(name.into(), rest)),
    ]
    .prop_filter("quotes that match", |code| match code {
        ResponseCode::Other(_, Some(rest)) => rest.iter().filter(|&&o| o == b'"').count() % 2 == 0,
        _ => true,
    })
    .boxed()
}

fn list_response() -> impl Strategy<Value = ListResponse> {
    use ListAttribute as A;
    let attributes = [
        A::NoSelect,
        A::NonExistent,
        A::NoInferiors,
        A::HasChildren,
        A::HasNoChildren,
        A::Subscribed,
        A::Marked,
        A::Unmarked,
        A::Remote,
        A::NoAccess,
        A::SpecialUse("\\Sent".into()),
        A::Other("\\X-New".into()),
    ];
    let attributes = many(proptest::sample::select(attributes.to_vec()), 0..4);
    let delimiter =
        proptest::sample::select(vec![None, Some('/'), Some('"'), Some('\\'), Some('.')]);
    let others = many((atom(), raw()), 0..2);
    let old_name = of(name().prop_map(Box::new));
    (
        attributes,
        delimiter,
        name(),
        any::<bool>(),
        old_name,
        others,
    )
        .prop_map(
            |(attributes, delimiter, name, child_info, old_name, others)| ListResponse {
                child_info,
                old_name,
                others,
                ..ListResponse::new(name, delimiter, attributes)
            },
        )
}

fn namespaces() -> impl Strategy<Value = Namespaces> {
    let extensions = || many((atom(), raw()), 0..2);
    let one = move || {
        (
            name(),
            proptest::sample::select(vec![None, Some('/')]),
            extensions(),
        )
            .prop_map(|(prefix, delimiter, extensions)| Namespace {
                prefix,
                delimiter,
                extensions,
            })
    };
    (many(one(), 0..3), many(one(), 0..2), many(one(), 0..2)).prop_map(
        |(personal, other_users, shared)| Namespaces {
            personal,
            other_users,
            shared,
        },
    )
}

/// A forest, its nodes in the order they are written.
fn threads() -> impl Strategy<Value = Threads> {
    many((0..8_usize, 1..=u32::MAX), 0..12).prop_map(|places| {
        let mut threads = Threads::default();
        let mut above: Vec<usize> = Vec::new();
        for (node, (depth, number)) in places.into_iter().enumerate() {
            above.truncate(depth);
            threads.nodes.push((Some(number), Vec::new()));
            match above.last() {
                Some(&parent) => threads.nodes[parent].1.push(node),
                None => threads.roots.push(node),
            }
            above.push(node);
        }
        threads
    })
}

fn esearch() -> impl Strategy<Value = ESearch> {
    let numbers = (
        of(any::<u32>()),
        of(any::<u32>()),
        of(any::<u32>()),
        of(number64()),
    );
    let all = || prop_oneof![uids(), Just(Vec::new())];
    let positions = || many((any::<u32>(), uids()), 0..2);
    let more = (
        of((name(), 1..=u32::MAX)),
        of((partial_range(), all())),
        positions(),
        positions(),
        many(1..=100_u32, 0..3),
    );
    let which = prop_oneof![Just(Numbers::Sequence), Just(Numbers::Uid)];
    (text(), which, numbers, all(), more).prop_map(
        |(tag, numbers, (min, max, count, modseq), all, more)| {
            let (mailbox, partial, add_to, remove_from, relevancy) = more;
            ESearch {
                tag,
                numbers,
                min,
                max,
                all,
                count,
                modseq,
                mailbox,
                partial,
                add_to,
                remove_from,
                relevancy,
            }
        },
    )
}

fn response() -> BoxedStrategy<Response> {
    use Response as R;
    let status = [
        Status::Ok,
        Status::No,
        Status::Bad,
        Status::Bye,
        Status::PreAuth,
    ];
    let status = (
        proptest::sample::select(status.to_vec()),
        of(code()),
        "[a-z][a-z{}\\[ é]{0,9}",
    );
    let item = prop_oneof![
        (status_attribute(), number64()).prop_filter_map("known", |(attribute, number)| {
            match attribute {
                StatusAttribute::Other(_)
                | StatusAttribute::MailboxId
                | StatusAttribute::AppendLimit => None,
                attribute => Some(StatusItem::Number(attribute, number)),
            }
        }),
        object_id().prop_map(StatusItem::MailboxId),
        of(number64()).prop_map(StatusItem::AppendLimit),
        ("X[A-Z]{1,5}", raw()).prop_map(|(name, raw)| StatusItem::Other(name.into(), raw)),
    ];
    let resource = (atom(), number64(), number64());
    let converted = convert_attribute().prop_flat_map(|attribute| {
        use ConvertAttribute as A;
        use ConvertValue as V;
        let value = match &attribute {
            A::Uid | A::BinarySize(_) => number64().prop_map(V::Number).boxed(),
            A::BodyPartStructure(_) => body().prop_map(V::Structure).boxed(),
            A::AvailableConversions(_) => many(text(), 0..3).prop_map(V::Types).boxed(),
            _ => of(octets()).prop_map(V::Octets).boxed(),
        };
        let error = (
            text(),
            "(TEMPFAIL|TEMPFAIL 7|BADPARAMETERS NIL \"a/b\" \\(x y\\))",
        )
            .prop_map(|(text, code)| V::Error(text, code.into()));
        let attribute = match attribute {
            A::Binary(part, some) => A::Binary(part, some.map(|(origin, _)| (origin, 0))),
            other => other,
        };
        prop_oneof![3 => value, 1 => error].prop_map(move |value| (attribute.clone(), value))
    });
    let converted =
        (any::<u32>(), text(), many(converted, 1..3)).prop_map(|(sequence, tag, items)| {
            Converted {
                sequence,
                tag,
                items,
            }
        });
    let conversion = (text(), text(), many(text(), 0..3));
    let conversion = conversion.prop_map(|(from, to, parameters)| Conversion {
        from,
        to,
        parameters,
    });
    let list_rights = (name(), text(), rights(), many(rights(), 0..3));
    let list_rights =
        list_rights.prop_map(|(mailbox, identifier, required, optional)| ListRights {
            mailbox,
            identifier,
            required,
            optional,
        });
    let metadata = prop_oneof![
        many((entry(), of(octets())), 1..3).prop_map(Metadata::Values),
        many(entry(), 1..3).prop_map(Metadata::Changed),
    ];
    let range = (1..=u32::MAX, 1..=u32::MAX);
    let extension = prop_oneof![
        (any_uid(), many(fetch_item(), 0..4)).prop_map(|(uid, items)| R::UidFetch(uid, items)),
        (name(), many((text(), rights()), 0..3))
            .prop_map(|(mailbox, entries)| R::Acl(Acl { mailbox, entries })),
        list_rights.prop_map(R::ListRights),
        (name(), rights()).prop_map(|(name, rights)| R::MyRights(name, rights)),
        (name(), metadata).prop_map(|(name, metadata)| R::Metadata(name, metadata)),
        many(text(), 1..3).prop_map(R::Language),
        (text(), many(text(), 0..3))
            .prop_map(|(active, matching)| R::Comparator(Comparator { active, matching })),
        (text(), many(range, 0..3))
            .prop_map(|(tag, ranges)| R::UidBatches(Batches { tag, ranges })),
        text().prop_map(R::JmapAccess),
        many(text(), 1..3).prop_map(R::GenUrlAuth),
        many((text(), ntext()), 1..3).prop_map(R::UrlFetch),
        converted.prop_map(R::Converted),
        conversion.prop_map(R::Conversion),
    ];
    prop_oneof![
        14 => extension,
        24 => rfc9051(status.boxed(), item.boxed(), resource.boxed()),
    ]
    .boxed()
}

fn rfc9051(
    status: BoxedStrategy<(Status, Option<ResponseCode>, String)>,
    item: BoxedStrategy<StatusItem>,
    resource: BoxedStrategy<(Bytes, u64, u64)>,
) -> BoxedStrategy<Response> {
    use Response as R;
    prop_oneof![
        status.prop_map(|(status, code, text)| R::Status(status, code, text.into())),
        many(atom(), 1..4).prop_map(R::Capability),
        many(atom(), 0..3).prop_map(R::Enabled),
        many(response_flag(), 0..4).prop_map(R::Flags),
        list_response().prop_map(R::List),
        list_response().prop_map(R::Lsub),
        (name(), many(item, 0..4)).prop_map(|(name, items)| R::MailboxStatus(name, items)),
        (many(1..=u32::MAX, 0..5), of(number64())).prop_map(|(all, modseq)| R::Search(all, modseq)),
        esearch().prop_map(|esearch| R::ESearch(Box::new(esearch))),
        (many(1..=u32::MAX, 0..5), of(number64())).prop_map(|(all, modseq)| R::Sort(all, modseq)),
        threads().prop_map(R::Thread),
        namespaces().prop_map(R::Namespace),
        many((text(), ntext()), 0..3).prop_map(R::Id),
        (text(), many(resource, 0..3)).prop_map(|(root, all)| R::Quota(root, all)),
        (name(), many(text(), 0..3)).prop_map(|(name, roots)| R::QuotaRoot(name, roots)),
        any::<u32>().prop_map(R::Exists),
        any::<u32>().prop_map(R::Recent),
        any_sequence().prop_map(R::Expunge),
        (any::<bool>(), uids()).prop_map(|(earlier, uids)| R::Vanished { earlier, uids }),
        (any_sequence(), many(fetch_item(), 0..4))
            .prop_map(|(number, items)| R::Fetch(number, items)),
        "X[A-Z]{1,4}( [a-z(){}\"]{1,5})?".prop_map(|text| R::Other(text.into())),
    ]
    .boxed()
}

pub(crate) fn received() -> impl Strategy<Value = Received> {
    let status = proptest::sample::select(vec![Status::Ok, Status::No, Status::Bad]);
    let completion = (status, of(code()), "[a-z][a-z{} ]{0,9}");
    prop_oneof![
        8 => response().prop_map(Received::Untagged),
        1 => "[a-z=]{0,9}".prop_map(|text| Received::Continuation(text.into())),
        1 => ("[a-z0-9]{1,5}", completion).prop_map(|(tag, (status, code, text))| {
            Received::Tagged(tag.into(), Completion { status, code, text: text.into() })
        }),
    ]
}

fn written(write: impl Fn(&mut Output)) -> Bytes {
    let mut output = Output::new();
    write(&mut output);
    output.copy_to_bytes(output.len())
}

proptest! {
    #[test]
    fn any_command(command in command(), tag in "[a-z0-9]{1,4}") {
        let tagged = Tagged { tag: tag.into(), command };
        let line = written(|output| tagged.encode(output));
        let unit = line.slice(..line.len() - 2);
        let again = Tagged::parse(&unit, &Limits::default());
        let again = again.map_err(|error| TestCaseError::fail(format!("{error} in {unit:?}")))?;
        prop_assert_eq!(format!("{again:?}"), format!("{tagged:?}"), "{:?}", unit);
        // Secrets are not shown.
        prop_assert_eq!(written(|output| again.encode(output)), line);
    }

    #[test]
    fn any_response(received in received()) {
        let line = written(|output| received.encode(output));
        let unit = line.slice(..line.len() - 2);
        prop_assert_eq!(Received::parse(&unit, &Limits::default()), Ok(received), "{:?}", unit);
        prop_assert!(same_as_frequent(&unit), "{:?}", unit);
    }

    #[test]
    fn nothing_panics(text in "(\\* |a )?([0-9]{1,3} )?[A-Z]{0,8} ?[\\[(]?[A-Z]{0,6}[ ()\"{}0-9a-z:,<>\\]\r\n]{0,30}") {
        let unit = Bytes::from(text);
        let _ = Received::parse(&unit, &Limits::default());
        let _ = Tagged::parse(&unit, &Limits::default());
        prop_assert!(same_as_frequent(&unit), "{:?}", unit);
    }
}

/// The short way of what comes by the thousand leads to the same.
fn same_as_frequent(unit: &Bytes) -> bool {
    let limits = Limits::default();
    // Among other octets, as it stands there.
    let around: Bytes = [b"* OK x\r\n", &unit[..], b"\r\n* 1 EXISTS\r\n"]
        .concat()
        .into();
    let place = 8..8 + unit.len();
    let whole = Received::parse(unit, &limits);
    let same = match Frequent::read(&around, &place, &limits, false) {
        Some(Frequent::List(list)) => whole == Ok(Received::Untagged(Response::List(list))),
        Some(Frequent::Fetch(sequence, items)) => {
            whole == Ok(Received::Untagged(Response::Fetch(sequence, items)))
        }
        None => true,
    };
    same && Received::read(&around, place, &limits, false) == whole
}

/// As deep as they come, neither the time nor the stack grows out of bounds.
#[test]
fn depth_costs_the_item() {
    for (open, close) in [("(", ")"), ("(\"a\" ", ")"), ("(() ", ")")] {
        let deep = format!(
            "* 1 FETCH (UID 7 BODYSTRUCTURE {}{})",
            open.repeat(100_000),
            close.repeat(100_000)
        );
        let parsed = Received::parse(&deep.into(), &Limits::default());
        let Ok(Received::Untagged(Response::Fetch(_, items))) = parsed else {
            panic!("{open}");
        };
        assert_eq!(items[0], FetchItem::Uid(super::uid(7)));
        assert!(matches!(items[1], FetchItem::Other(..)), "{open}");
    }
    let deep = format!("* THREAD {}1{}", "(".repeat(100_000), ")".repeat(100_000));
    let parsed = Received::parse(&deep.into(), &Limits::default());
    assert!(matches!(
        parsed,
        Ok(Received::Untagged(Response::Thread(_)))
    ));
}
