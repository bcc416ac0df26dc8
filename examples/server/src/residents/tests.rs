use super::*;
use crate::Server;
use crate::addresses::AddressBook;
use bytes::Bytes;
use hikyaku_mailstore::{Want, Which};
use hikyaku_smtp_proto::ReversePath;

/// What is answered to a message of alice's for bob, with that header section.
async fn sent(server: &Server, head: &str) -> String {
    let mailbox = |address: &str| hikyaku_smtp_proto::Mailbox::parse(address.as_bytes()).unwrap();
    let alice = "alice@example.test";
    let account = server.accounts().find(alice).await.unwrap().unwrap();
    let shared = server.shared();
    let authors = shared
        .residents
        .authors(Some(&account), IpAddr::from([127, 0, 0, 1]));
    let replies = shared.service.submit(
        &account,
        authors,
        ReversePath(Some(mailbox(alice))),
        vec![ForwardPath::Mailbox(mailbox("bob@example.test"))],
        Bytes::from(format!("{head}\r\n\r\nHello.\r\n")),
    );
    let replies = replies.await.unwrap();
    assert_eq!(replies.len(), 1);
    replies[0].to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_webmail_writes_as_the_one_who_has_logged_in() {
    let data = tempfile::tempdir().unwrap();
    let text = format!(
        "hostname = \"mx.test\"\ndata = \"{}\"\ndomains = [\"example.test\"]\n[listen]\n\
         imap = \"127.0.0.1:0\"\n[store]\nkind = \"memory\"\n\
         [senders.aliases]\n\"alice@example.test\" = [\"sales@example.test\"]\n",
        data.path().display()
    );
    let config = Config::parse(&text).unwrap();
    let server = Server::start(config).await.unwrap();
    for name in ["alice", "bob"] {
        let address = format!("{name}@example.test");
        server.accounts().add(&address, "a secret").await.unwrap();
    }
    for (head, expected) in [
        ("From: Alice <alice@example.test>", "250 "),
        ("From: sales@example.test", "250 "),
        ("Subject: none", "250 "),
        ("From: bob@example.test", "550 5.7.1 "),
        ("From: alice@elsewhere.test", "550 5.7.1 "),
        (
            "From: alice@example.test\r\nSender: bob@example.test",
            "550 5.7.1 ",
        ),
        (
            "Subject: x\r\nFrom: bob@example.test\r\nFrom: alice@example.test",
            "550 5.7.1 ",
        ),
    ] {
        let said = sent(&server, head).await;
        assert!(said.starts_with(expected), "{head}: {said}");
    }
    // What is refused is nowhere, and From is added where it is missing.
    let bob = server.accounts().find("bob").await.unwrap().unwrap().id;
    let store = server.store();
    let all = store.mailboxes(bob, None).await.unwrap().mailboxes;
    let inbox = all.iter().find(|one| one.name == "INBOX").unwrap().id;
    let page = store.messages(inbox, &Which::After(None), Want::ROW, 9);
    let rows = page.await.unwrap().rows;
    assert_eq!(rows.len(), 3);
    let body = &rows[2].body;
    let octets = store.read(body, 0..body.octets).await.unwrap();
    let text = String::from_utf8_lossy(&octets);
    assert!(
        text.contains("\r\nFrom: <alice@example.test>\r\n"),
        "{text}"
    );
    server.stop().await;
}

fn residents(more: &str) -> Residents {
    let text = "hostname = \"mx.test\"\ndomains = [\"example.test\"]\n";
    let store: Arc<dyn Store> = Arc::new(hikyaku_mailstore::Memory::new());
    let config = Config::parse(&format!("{text}{more}")).unwrap();
    let separators = &config.addresses.separators;
    let addresses = AddressBook::configured(Arc::clone(&store), &config.domains, separators);
    Residents {
        srs: None,
        accounts: Accounts::new(Arc::clone(&store), &config.domains, 0).at(addresses),
        store,
        throttle: Arc::default(),
        config: Arc::new(config),
    }
}

fn path(text: &str) -> ForwardPath {
    let mailbox = hikyaku_smtp_proto::Mailbox::parse(text.as_bytes()).unwrap();
    ForwardPath::Mailbox(mailbox)
}

/// What an address means, in words.
async fn meant(residents: &Residents, address: &str) -> String {
    match residents.whose(&path(address)).await.unwrap() {
        Whose::Account(name) => name,
        Whose::Elsewhere => "elsewhere".into(),
        Whose::Stands(stands) => {
            let to = stands.to.iter().map(ToString::to_string);
            let owner = stands.owner.map(|owner| format!("owner {owner}"));
            let all = stands.account.into_iter().chain(to).chain(owner);
            format!("= {}", all.collect::<Vec<_>>().join(" "))
        }
        other => format!("{other:?}"),
    }
}

/// Addresses, and what they mean.
async fn all_mean(residents: &Residents, rows: &[(&str, &str)]) {
    for (address, expected) in rows {
        assert_eq!(meant(residents, address).await, *expected, "{address}");
    }
}

#[tokio::test]
async fn what_addresses_mean() {
    let residents = residents("");
    for name in ["alice@example.test", "bob@example.test"] {
        residents.store.create_account(name).await.unwrap();
    }
    let known = residents.accounts.addresses();
    known.alias_domain("b.test", "example.test").await.unwrap();
    known.add_domain("c.test").await.unwrap();
    let one = |address: &str| vec![address.to_owned()];
    for (alias, to, owner) in [
        ("sales@example.test", "alice@example.test", None),
        ("sales+eu@example.test", "bob@example.test", None),
        ("list@example.test", "x@else.test", Some("bob@example.test")),
        ("@c.test", "bob@example.test", None),
    ] {
        known.add_alias(alias, &one(to), owner).await.unwrap();
    }
    let to = one("bob@else.test");
    known
        .set_forward("bob@example.test", &to, true)
        .await
        .unwrap();
    let both = "= bob@example.test bob@else.test";
    let rows = [
        ("Alice@Example.test", "alice@example.test"),
        ("alice+x@example.test", "alice@example.test"),
        ("alice@b.test", "alice@example.test"),
        ("alice+x@B.test", "alice@example.test"),
        ("alice@c.test", "= bob@example.test"),
        ("nobody@example.test", "nobody@example.test"),
        ("alice-x@example.test", "alice-x@example.test"),
        ("alice@else.test", "elsewhere"),
        ("bob@example.test", both),
        ("bob+x@b.test", both),
        ("Sales@example.test", "= alice@example.test"),
        ("sales+us@example.test", "= alice@example.test"),
        ("sales+EU@example.test", "= bob@example.test"),
        ("list@b.test", "= x@else.test owner bob@example.test"),
        ("abuse@c.test", "alice@example.test"),
        ("postmaster+x@example.test", "alice@example.test"),
    ];
    all_mean(&residents, &rows).await;
    let abuse = known.add_alias("abuse@c.test", &to, None);
    abuse.await.unwrap();
    known
        .set_forward("bob@example.test", &to, false)
        .await
        .unwrap();
    let rows = [
        ("abuse@c.test", "= bob@else.test"),
        ("bob@example.test", "= bob@else.test"),
    ];
    all_mean(&residents, &rows).await;
    // An account is itself, whatever was said of another one of its name, or of its name.
    let bob = residents.accounts.find("bob@example.test").await.unwrap();
    residents
        .store
        .remove_account(bob.unwrap().id)
        .await
        .unwrap();
    residents
        .store
        .create_account("bob@example.test")
        .await
        .unwrap();
    residents
        .store
        .create_account("sales@example.test")
        .await
        .unwrap();
    let rows = [
        ("bob@example.test", "bob@example.test"),
        ("sales@example.test", "sales@example.test"),
    ];
    all_mean(&residents, &rows).await;
}

#[tokio::test]
async fn details_are_separated_as_configured() {
    for (separators, rows) in [
        (
            "-",
            [
                ("mary-ann@example.test", "mary-ann@example.test"),
                ("mary-ann-x@example.test", "mary-ann@example.test"),
                ("mary-x@example.test", "mary@example.test"),
                ("mary+x@example.test", "mary+x@example.test"),
            ],
        ),
        (
            "+-",
            [
                ("mary-ann+x@example.test", "mary-ann@example.test"),
                ("mary-ann-x+y@example.test", "mary-ann@example.test"),
                ("mary+x@example.test", "mary@example.test"),
                ("mary-x@example.test", "mary@example.test"),
            ],
        ),
        (
            "",
            [
                ("mary-ann@example.test", "mary-ann@example.test"),
                ("mary-x@example.test", "mary-x@example.test"),
                ("mary+x@example.test", "mary+x@example.test"),
                ("Mary@example.test", "mary@example.test"),
            ],
        ),
    ] {
        let residents = residents(&format!("[addresses]\nseparators = \"{separators}\"\n"));
        for name in ["mary@example.test", "mary-ann@example.test"] {
            residents.store.create_account(name).await.unwrap();
        }
        all_mean(&residents, &rows).await;
    }
}

#[tokio::test]
async fn accounts_write_as_their_identities_and_as_the_aliases_that_stand_for_them() {
    let here = IpAddr::from([192, 0, 2, 1]);
    for (more, expected) in [
        (
            "",
            &[
                "alice@example.test",
                "a@else.test",
                "sales@example.test",
                "alice@b.test",
                "sales@b.test",
            ][..],
        ),
        (
            "[senders]\nas_member = false\n",
            &["alice@example.test", "a@else.test", "alice@b.test"][..],
        ),
    ] {
        let residents = residents(more);
        let alice = residents.store.create_account("alice@example.test");
        let id = alice.await.unwrap();
        let known = residents.accounts.addresses();
        let to = vec!["alice+x@example.test".to_owned()];
        for (alias, owner) in [
            ("sales@example.test", None),
            ("list@example.test", Some("bob@example.test")),
            ("@example.test", None),
        ] {
            known.add_alias(alias, &to, owner).await.unwrap();
        }
        let identity = known.add_identity("alice@example.test", "a@else.test");
        identity.await.unwrap();
        known.alias_domain("b.test", "example.test").await.unwrap();
        let alice = residents.store.account_by_id(id).await.unwrap().unwrap();
        let own = Authors::only(expected);
        assert_eq!(residents.authors(Some(&alice), here), own, "{more}");
        let outside = Authors::none_of(["example.test", "b.test"]);
        assert_eq!(residents.authors(None, here), outside);
    }
    let residents = residents("[addresses]\nseparators = \"-\"\n");
    let alice = residents.store.create_account("alice@example.test");
    let id = alice.await.unwrap();
    let alice = residents.store.account_by_id(id).await.unwrap().unwrap();
    let own = Authors::exactly(["alice@example.test"]);
    assert_eq!(residents.authors(Some(&alice), here), own);
}

#[tokio::test]
async fn people_write_as_configured_and_nobody_from_outside_as_them() {
    let here = IpAddr::from([192, 0, 2, 1]);
    let configured = residents(
        "[senders]\nexempt = [\"192.0.2.7\"]\n[senders.aliases]\n\"Alice@example.test\" = [\"sales@example.test\"]\n",
    );
    let id = configured
        .store
        .create_account("alice@example.test")
        .await
        .unwrap();
    let alice = configured.store.account_by_id(id).await.unwrap().unwrap();
    let own = Authors::only(["alice@example.test", "sales@example.test"]);
    assert_eq!(configured.authors(Some(&alice), here), own);
    let outside = Authors::none_of(["example.test"]);
    assert_eq!(configured.authors(None, here), outside);
    let exempt = IpAddr::from([192, 0, 2, 7]);
    assert_eq!(configured.authors(None, exempt), Authors::anybody());
    let off = residents("[senders]\nown_only = false\nprotect = false\n");
    assert_eq!(off.authors(Some(&alice), here), Authors::anybody());
    assert_eq!(off.authors(None, here), Authors::anybody());
}

#[tokio::test]
async fn there_is_always_a_postmaster() {
    let residents = residents("");
    let account = |name: &str| Whose::Account(name.into());
    for name in ["zoe@example.test", "bob@example.test"] {
        residents.store.create_account(name).await.unwrap();
    }
    let postmaster = path("PostMaster@EXAMPLE.test");
    for path in [&postmaster, &ForwardPath::Postmaster] {
        let whose = residents.whose(path).await.unwrap();
        assert_eq!(whose, account("bob@example.test"));
    }
    residents
        .store
        .create_account("postmaster@example.test")
        .await
        .unwrap();
    let whose = residents.whose(&postmaster).await.unwrap();
    assert_eq!(whose, account("postmaster@example.test"));
    let whose = residents.whose(&path("Zoe+x@example.test")).await.unwrap();
    assert_eq!(whose, account("zoe@example.test"));
    let whose = residents.whose(&path("zoe@elsewhere.test")).await.unwrap();
    assert_eq!(whose, Whose::Elsewhere);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_webmail_counts_for_what_an_account_may_send() {
    let data = tempfile::tempdir().unwrap();
    let text = format!(
        "hostname = \"mx.test\"\ndata = \"{}\"\ndomains = [\"example.test\"]\n[listen]\n\
         imap = \"127.0.0.1:0\"\n[store]\nkind = \"memory\"\n[limits.account]\nrecipients_per_day = 2\n",
        data.path().display()
    );
    let config = Config::parse(&text).unwrap();
    let server = Server::start(config).await.unwrap();
    for name in ["alice", "bob"] {
        let address = format!("{name}@example.test");
        server.accounts().add(&address, "a secret").await.unwrap();
    }
    let head = "From: Alice <alice@example.test>";
    for expected in [
        "250 ",
        "250 ",
        "450 4.7.1 This account sends unusually much",
    ] {
        let said = sent(&server, head).await;
        assert!(said.starts_with(expected), "{said}");
    }
    let alice = "alice@example.test";
    server.accounts().set_sending(alice, Some(3)).await.unwrap();
    for expected in ["250 ", "450 "] {
        let said = sent(&server, head).await;
        assert!(said.starts_with(expected), "{said}");
    }
    server.stop().await;
}
