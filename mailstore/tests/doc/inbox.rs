// What examples in the documentation begin with: an account, its INBOX, and a message in it.
use hikyaku_mailstore::*;

#[allow(dead_code)]
pub async fn inbox() -> Result<(Memory, AccountId, Mailbox, Row)> {
    let store = Memory::new();
    let alice = store.create_account("alice@example.org").await?;
    let inbox = store.mailbox(alice, "INBOX").await?.ok_or(Error::NoSuchMailbox(About::Nothing))?;
    let mut stage = store.stage().await?;
    stage.write("Subject: tea\r\n\r\nAt four.\r\n".into()).await?;
    let append = Append::new(inbox.id, stage.finish().await?, (1_700_000_000, 0));
    store.commit(Transaction::new(alice).with(Operation::Append(Box::new(append)))).await?;
    let inbox = store.mailbox(alice, "INBOX").await?.ok_or(Error::NoSuchMailbox(About::Nothing))?;
    let page = store.messages(inbox.id, &Which::After(None), Want::SUMMARY, 1);
    let row = page.await?.rows.remove(0);
    Ok((store, alice, inbox, row))
}
