use super::*;
use hikyaku_mailstore::{Memory, Store};
use std::sync::Arc;

async fn addresses() -> AddressBook {
    let store: Arc<dyn Store> = Arc::new(Memory::new());
    store.create_account("alice@a.test").await.unwrap();
    AddressBook::open(store, &["a.test".to_owned()], "+")
        .await
        .unwrap()
}

fn strings(all: &[&str]) -> Vec<String> {
    all.iter().map(|&one| one.to_owned()).collect()
}

fn said(done: Result<(), AddressError>) -> String {
    done.map_or_else(|error| error.to_string(), |()| "done".into())
}

#[tokio::test]
async fn an_alias_is_made_widened_narrowed_and_removed() {
    let known = addresses().await;
    let to = |all: &[&str]| {
        let (known, all) = (known.clone(), strings(all));
        async move { said(known.add_alias("Sales@A.test", &all, None).await) }
    };
    assert_eq!(to(&["alice@a.test"]).await, "done");
    assert_eq!(to(&["x@else.test", "ALICE@a.test"]).await, "done");
    let (members, _) = known.book().alias("sales@a.test").unwrap();
    assert_eq!(members.len(), 2);
    assert!(to(&["nobody"]).await.contains("is not an address"));
    assert!(
        to(&["sales@a.test"])
            .await
            .contains("cannot lead to itself")
    );
    let some = strings(&["alice@a.test"]);
    for (alias, expected) in [
        ("alice@a.test", "is an account"),
        (
            "x@else.test",
            "is not of this server: its domains are a.test",
        ),
        ("@else.test", "is not of this server"),
        ("@a.test", "done"),
    ] {
        let said = said(known.add_alias(alias, &some, None).await);
        assert!(said.contains(expected), "{alias}: {said}");
    }
    known.remove_alias("sales@a.test", &some).await.unwrap();
    assert_eq!(known.book().alias("sales@a.test").unwrap().0.len(), 1);
    let again = said(known.remove_alias("sales@a.test", &some).await);
    assert!(again.contains("alice@a.test"), "{again}");
    known.remove_alias("sales@a.test", &[]).await.unwrap();
    assert!(!known.book().is_alias("sales@a.test"));
    let many: Vec<_> = (0..=MEMBERS).map(|nth| format!("x{nth}@b.test")).collect();
    let said = said(known.add_alias("many@a.test", &many, None).await);
    assert!(
        said.contains("more than 1000 addresses of an alias"),
        "{said}"
    );
}

#[tokio::test]
async fn domains_are_added_and_removed_when_nothing_is_of_them() {
    let known = addresses().await;
    known.add_domain("B.test").await.unwrap();
    assert!(known.is_local("b.TEST"));
    known.alias_domain("c.test", "b.test").await.unwrap();
    for (done, expected) in [
        (known.add_domain("b.test").await, "already exists"),
        (known.add_domain("a.test").await, "already exists"),
        (known.add_domain("a b").await, "is not a domain"),
        (known.add_domain("[127.0.0.1]").await, "is not a domain"),
        (
            known.alias_domain("d.test", "c.test").await,
            "c.test means b.test",
        ),
        (
            known.alias_domain("d.test", "e.test").await,
            "is not of this server",
        ),
        (
            known.alias_domain("a.test", "b.test").await,
            "is in the configuration",
        ),
        (
            known.alias_domain("b.test", "a.test").await,
            "already exists",
        ),
        (
            known.remove_domain("a.test").await,
            "is in the configuration",
        ),
        (known.remove_domain("b.test").await, "c.test is of it"),
        (
            known.remove_domain("e.test").await,
            "there is no domain e.test",
        ),
    ] {
        let said = said(done);
        assert!(said.contains(expected), "{said}");
    }
    known.remove_domain("c.test").await.unwrap();
    known.store().create_account("x@b.test").await.unwrap();
    let done = said(known.remove_domain("b.test").await);
    assert!(done.contains("x@b.test is of it"), "{done}");
}

#[tokio::test]
async fn changes_are_there_after_a_restart_and_a_damaged_record_hides_no_other() {
    let known = addresses().await;
    let to = strings(&["x@else.test"]);
    known
        .add_alias("sales@a.test", &to, Some("alice@a.test"))
        .await
        .unwrap();
    known.add_domain("b.test").await.unwrap();
    known.set_forward("alice@a.test", &to, true).await.unwrap();
    known.add_identity("alice@a.test", "@d.test").await.unwrap();
    let set = hikyaku_mailstore::Operation::SetProperty {
        key: "address/alias/bad@a.test".into(),
        value: Some("{".into()),
    };
    let system = hikyaku_mailstore::AccountId::SYSTEM;
    let damage = hikyaku_mailstore::Transaction::new(system).with(set);
    known.store().commit(damage).await.unwrap();
    let domains = ["a.test".to_owned()];
    let again = AddressBook::open(Arc::clone(known.store()), &domains, "+");
    let again = again.await.unwrap();
    let book = again.book();
    let alice = again
        .store()
        .account("alice@a.test")
        .await
        .unwrap()
        .unwrap();
    assert!(book.is_alias("sales@a.test") && book.alias("sales@a.test").unwrap().1.is_some());
    assert!(again.is_local("b.test") && !book.is_alias("bad@a.test"));
    assert!(book.forward("alice@a.test", alice.id).is_some());
    assert_eq!(book.identities("alice@a.test", alice.id, true), ["@d.test"]);
    again.forget("alice@a.test").await.unwrap();
    assert!(again.book().forward("alice@a.test", alice.id).is_none());
}

#[tokio::test]
async fn forwards_and_identities_are_of_accounts() {
    let known = addresses().await;
    let to = strings(&["x@else.test"]);
    let own = strings(&["alice+x@a.test"]);
    for (done, expected) in [
        (
            known.set_forward("bob@a.test", &to, true).await,
            "no account bob@a.test",
        ),
        (
            known.set_forward("alice@a.test", &own, true).await,
            "lead to itself",
        ),
        (
            known.remove_forward("alice@a.test").await,
            "there is no forward of",
        ),
        (
            known.add_identity("alice@a.test", "sales").await,
            "neither an address",
        ),
        (
            known.add_identity("alice@a.test", "Sales@a.test").await,
            "done",
        ),
        (
            known.add_identity("alice@a.test", "sales@a.test").await,
            "already exists",
        ),
        (
            known.remove_identity("alice@a.test", "@b.test").await,
            "there is no identity",
        ),
        (
            known.remove_identity("alice@a.test", "sales@a.test").await,
            "done",
        ),
    ] {
        let said = said(done);
        assert!(said.contains(expected), "{said}");
    }
}
