use super::*;
use crate::{Directory, Options, Outgoing, Queue};
use hikyaku_mailstore::{Account, BoxFuture, Memory, Operation, Result, Store, Transaction};
use std::sync::Arc;

/// Aliases of `a.test`, with what they stand for: `!` before an account that gets a copy, `~` before an owner.
struct Table(Arc<Memory>, &'static [(&'static str, &'static str)]);

impl Directory for Table {
    fn account<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<Account>>> {
        self.0.account(name)
    }

    fn whose<'a>(&'a self, path: &'a ForwardPath) -> BoxFuture<'a, Result<Whose>> {
        let mailbox = path.mailbox().unwrap();
        let name = mailbox.to_string().to_lowercase();
        let row = self.1.iter().find(|(alias, _)| *alias == name);
        let whose = match row {
            Some((_, text)) => Whose::Stands(stands_for(text)),
            None if mailbox.domain().eq_ignore_ascii_case("a.test") => Whose::Account(name),
            None => Whose::Elsewhere,
        };
        Box::pin(async { Ok(whose) })
    }
}

fn stands_for(text: &str) -> StandsFor {
    let mut stands = StandsFor::default();
    for word in text.split(' ') {
        let mailbox = |text: &str| Mailbox::parse(text.as_bytes()).unwrap();
        match word.split_at(1) {
            ("!", name) => stands.account = Some(name.to_owned()),
            ("~", owner) => stands.owner = Some(mailbox(owner)),
            _ => stands.to.push(mailbox(word)),
        }
    }
    stands
}

struct Nothing;

impl Queue for Nothing {
    fn enqueue(&self, _: Outgoing) -> Operation {
        Operation::SetQuota {
            octets: None,
            messages: None,
        }
    }
}

const ALIASES: &[(&str, &str)] = &[
    ("one@a.test", "alice@a.test"),
    ("two@a.test", "alice@a.test bob@a.test"),
    ("out@a.test", "x@b.test"),
    ("all@a.test", "two@a.test out@a.test alice@a.test x@B.test"),
    ("self@a.test", "self@a.test"),
    ("to@a.test", "fro@a.test"),
    ("fro@a.test", "to@a.test"),
    ("circle@a.test", "to@a.test bob@a.test circle@a.test"),
    ("copy@a.test", "!bob@a.test x@b.test"),
    ("gone@a.test", "nobody@a.test bob@a.test"),
    ("empty@a.test", "nobody@a.test"),
    ("list@a.test", "alice@a.test x@b.test ~bob@a.test"),
    ("over@a.test", "list@a.test"),
    ("d1@a.test", "d2@a.test"),
    ("d2@a.test", "d3@a.test"),
    ("d3@a.test", "d4@a.test"),
    ("d4@a.test", "alice@a.test"),
    (
        "five@a.test",
        "p@b.test q@b.test r@b.test s@b.test t@b.test",
    ),
    ("six@a.test", "five@a.test u@b.test"),
];

async fn service() -> Service {
    let store = Arc::new(Memory::new());
    for name in ["alice@a.test", "bob@a.test"] {
        store.create_account(name).await.unwrap();
    }
    let mut options = Options::new("mx.a.test");
    options.queue = Some(Arc::new(Nothing));
    options.alias_depth = 3;
    options.alias_addresses = 6;
    let table = Arc::new(Table(Arc::clone(&store), ALIASES));
    Service::new(store, table, options)
}

async fn meant(service: &Service, address: &str, parameters: RcptParameters) -> Means {
    let mailbox = Mailbox::parse(address.as_bytes()).unwrap();
    let path = ForwardPath::Mailbox(mailbox);
    means(service, &path, &parameters, 1).await.unwrap()
}

#[tokio::test]
async fn expansions() {
    let service = service().await;
    for (address, expected) in [
        ("alice@a.test", "alice@a.test"),
        ("x@b.test", "elsewhere"),
        ("nobody@a.test", "nobody"),
        ("one@a.test", "= alice@a.test"),
        ("ONE@A.test", "= alice@a.test"),
        ("two@a.test", "= alice@a.test bob@a.test"),
        ("out@a.test", "= x@b.test"),
        ("all@a.test", "= alice@a.test bob@a.test x@b.test"),
        ("self@a.test", "loop"),
        ("to@a.test", "loop"),
        ("circle@a.test", "= bob@a.test"),
        ("copy@a.test", "= bob@a.test x@b.test"),
        ("gone@a.test", "= bob@a.test"),
        ("empty@a.test", "nobody"),
        (
            "list@a.test",
            "= alice@a.test~bob@a.test x@b.test~bob@a.test",
        ),
        (
            "over@a.test",
            "= alice@a.test~bob@a.test x@b.test~bob@a.test",
        ),
        // Limits: three steps, six addresses besides the first.
        ("d2@a.test", "= alice@a.test"),
        ("d1@a.test", "loop"),
        (
            "five@a.test",
            "= p@b.test q@b.test r@b.test s@b.test t@b.test",
        ),
        ("six@a.test", "too many"),
    ] {
        let text = match meant(&service, address, RcptParameters::default()).await {
            Means::Elsewhere(_) => "elsewhere".to_owned(),
            Means::Nobody => "nobody".into(),
            Means::Loop => "loop".into(),
            Means::TooMany => "too many".into(),
            Means::Known(one) => {
                let word = |address: &str, owner: &Option<Mailbox>| {
                    let owner = owner.as_ref();
                    let owner = owner.map_or(String::new(), |owner| format!("~{owner}"));
                    format!("{}{owner}", address.to_lowercase())
                };
                let here = one.here.iter();
                let here = here.map(|local| word(&local.address, &local.owner));
                let elsewhere = one.elsewhere.iter();
                let elsewhere =
                    elsewhere.map(|remote| word(&remote.mailbox.to_string(), &remote.owner));
                let all: Vec<_> = here.chain(elsewhere).collect();
                format!("{}{}", if one.stands { "= " } else { "" }, all.join(" "))
            }
        };
        assert_eq!(text, expected, "{address}");
    }
}

#[tokio::test]
async fn what_was_asked_for_an_alias_is_passed_on() {
    let service = service().await;
    let both = Notify::SUCCESS.with(Notify::FAILURE);
    // The address, NOTIFY as it came, as it is passed on, and what is reported here.
    for (address, asked, passed, reported) in [
        ("alice@a.test", Some(both), Some(both), None),
        ("one@a.test", Some(both), Some(both), None),
        ("one@a.test", None, None, None),
        (
            "two@a.test",
            Some(both),
            Some(Notify::FAILURE),
            Some(Became::Expanded),
        ),
        (
            "two@a.test",
            Some(Notify::SUCCESS),
            Some(Notify::NEVER),
            Some(Became::Expanded),
        ),
        ("two@a.test", Some(Notify::DELAY), Some(Notify::DELAY), None),
        ("two@a.test", None, None, None),
        ("list@a.test", Some(both), None, Some(Became::Redistributed)),
        ("list@a.test", Some(Notify::NEVER), None, None),
    ] {
        let mut parameters = RcptParameters::default();
        parameters.notify = asked;
        let Means::Known(found) = meant(&service, address, parameters).await else {
            panic!("{address}");
        };
        let local = &found.here[0].parameters;
        assert_eq!(local.notify, passed, "{address}");
        let original = local.orcpt.as_ref().map(OriginalRecipient::address);
        let is_alias = ["one@a.test", "two@a.test"].contains(&address);
        assert_eq!(original, is_alias.then(|| address.to_owned()), "{address}");
        let became: Vec<_> = found.reports.iter().map(|one| one.became).collect();
        assert_eq!(
            became,
            reported.into_iter().collect::<Vec<_>>(),
            "{address}"
        );
    }
}

#[tokio::test]
async fn one_full_mailbox_of_several_is_no_reason_to_refuse() {
    let service = service().await;
    let fill = async |name: &str| {
        let account = service.store.account(name).await.unwrap().unwrap();
        let full = Operation::SetQuota {
            octets: Some(0),
            messages: None,
        };
        let full = Transaction::new(account.id).with(full);
        service.store.commit(full).await.unwrap();
    };
    let has_room =
        async |address: &str| match meant(&service, address, RcptParameters::default()).await {
            Means::Known(found) => found.has_room(),
            _ => panic!("{address}"),
        };
    fill("alice@a.test").await;
    assert!(!has_room("one@a.test").await && has_room("two@a.test").await);
    fill("bob@a.test").await;
    assert!(!has_room("two@a.test").await && has_room("copy@a.test").await);
}

#[test]
fn an_address_for_notifications_takes_nothing_else() {
    use crate::smtp::refusal::known;
    use hikyaku_smtp_proto::ReversePath;
    let mailbox = |text: &str| Mailbox::parse(text.as_bytes()).unwrap();
    for (is_for_them, path, expected) in [
        (true, None, true),
        (true, Some(mailbox("x@b.test")), false),
        (false, Some(mailbox("x@b.test")), true),
    ] {
        let mut recipient = Recipient::elsewhere(&mailbox("y@b.test"), RcptParameters::default());
        recipient.notifications_only = is_for_them;
        let found = known(Means::Known(recipient), &ReversePath(path));
        assert_eq!(found.is_ok(), expected);
        if let Err(refusal) = found {
            assert!(refusal.to_string().starts_with("550 5.7.1 "), "{refusal}");
        }
    }
}
