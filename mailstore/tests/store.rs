//! The conformance suite on the two backends, and what only a durable one must bear.
#![cfg(all(feature = "conformance", feature = "disk"))]

mod disk;
mod faulty;

mod memory {
    use hikyaku_mailstore::{Memory, Store, conformance::Volatile};
    use std::sync::Arc;

    hikyaku_mailstore::conformance_suite!(Volatile(|| Arc::new(Memory::new()) as Arc<dyn Store>));
}

/// A store of plain `async fn`s: what a `Backend` promises is held to the same suite.
mod backend {
    use bytes::Bytes;
    use hikyaku_mailstore::*;
    use std::ops::Range;
    use std::sync::Arc;
    use std::time::SystemTime;

    struct Forward(Memory);

    impl Backend for Forward {
        fn capabilities(&self) -> Capabilities {
            Store::capabilities(&self.0)
        }
        fn watch(&self, scope: Scope) -> Box<dyn Watch> {
            Store::watch(&self.0, scope)
        }
        async fn account(&self, name: &str) -> Result<Option<Account>> {
            Store::account(&self.0, name).await
        }
        async fn account_by_id(&self, id: AccountId) -> Result<Option<Account>> {
            Store::account_by_id(&self.0, id).await
        }
        async fn accounts(&self, after: &str, limit: usize) -> Result<Vec<Account>> {
            Store::accounts(&self.0, after, limit).await
        }
        async fn create_account(&self, name: &str) -> Result<AccountId> {
            Store::create_account(&self.0, name).await
        }
        async fn remove_account(&self, id: AccountId) -> Result<()> {
            Store::remove_account(&self.0, id).await
        }
        async fn mailboxes(&self, account: AccountId, since: Option<ModSeq>) -> Result<Mailboxes> {
            Store::mailboxes(&self.0, account, since).await
        }
        async fn messages(
            &self,
            mailbox: MailboxId,
            which: &Which,
            want: Want,
            limit: usize,
        ) -> Result<Page<Row>> {
            Store::messages(&self.0, mailbox, which, want, limit).await
        }
        async fn changes(
            &self,
            mailbox: MailboxId,
            since: ModSeq,
            want: Want,
            limit: usize,
        ) -> Result<Changes> {
            Store::changes(&self.0, mailbox, since, want, limit).await
        }
        async fn read(&self, body: &BodyRef, range: Range<u64>) -> Result<Bytes> {
            Store::read(&self.0, body, range).await
        }
        async fn stage(&self) -> Result<Box<dyn Stage>> {
            Store::stage(&self.0).await
        }
        async fn commit(&self, transaction: Transaction) -> Result<Committed> {
            Store::commit(&self.0, transaction).await
        }
        async fn claim(&self, claim: &Claim) -> Result<Vec<QueueEntry>> {
            Store::claim(&self.0, claim).await
        }
        async fn release_claims(&self, owner: u32, now: SystemTime) -> Result<u64> {
            Store::release_claims(&self.0, owner, now).await
        }
        async fn clamp_due(&self, latest: SystemTime) -> Result<u64> {
            Store::clamp_due(&self.0, latest).await
        }
        async fn queue(&self, after: Option<QueueId>, limit: usize) -> Result<Vec<QueueEntry>> {
            Store::queue(&self.0, after, limit).await
        }
    }

    conformance_suite!(conformance::Volatile(
        || Arc::new(Forward(Memory::new())) as Arc<dyn Store>
    ));
}

/// The example of an engine that somebody else wrote.
#[path = "../examples/sorted.rs"]
#[allow(dead_code, unreachable_pub, reason = "it is a program of its own")]
mod sorted;

mod example {
    use super::sorted::Sorted;
    use hikyaku_mailstore::{Blocking, Store, conformance::Volatile};
    use std::sync::Arc;

    fn make() -> Arc<dyn Store> {
        Arc::new(Blocking::start(Sorted::default()).unwrap())
    }

    hikyaku_mailstore::conformance_suite!(Volatile(make));
}
