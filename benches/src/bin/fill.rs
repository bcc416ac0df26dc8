//! Fills the queue of a mailserver that is not running: `fill DATA DOMAINS MESSAGES`. Recipients are `friend@dN.test`, N
//! from 0 to DOMAINS; all messages are due at once.

use bytes::Bytes;
use hikyaku_mailstore::{AccountId, Disk, DiskOptions, Store as _, Transaction};
use hikyaku_relay::Entry;
use hikyaku_smtp_proto::{MailParameters, Mailbox, RcptParameters, ReversePath};
use std::error::Error;

/// Messages of one transaction.
const TOGETHER: usize = 1000;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [data, domains, messages] = arguments.as_slice() else {
        return Err("fill DATA DOMAINS MESSAGES".into());
    };
    let (domains, messages): (usize, usize) = (domains.parse()?, messages.parse()?);
    let folder = std::path::Path::new(data).join("store");
    let store = Disk::open_with(folder, &DiskOptions::default())?;
    let text = "All work and no play makes a courier a dull runner.\r\n".repeat(36);
    let sender = ReversePath(Some(Mailbox::parse(b"a@example.test")?));
    let mut all = (0..messages).peekable();
    while all.peek().is_some() {
        let mut transaction = Transaction::new(AccountId::SYSTEM);
        for number in all.by_ref().take(TOGETHER) {
            let mut stage = store.stage().await?;
            let head = format!("From: <a@example.test>\r\nSubject: {number}\r\n\r\n");
            stage.write(Bytes::from(head + &text)).await?;
            let domain = format!("d{}.test", number % domains);
            let to = [(format!("friend@{domain}"), RcptParameters::default())];
            let id = format!("{number:x}");
            let entry = Entry::asking(id, sender.clone(), MailParameters::default(), to);
            transaction = transaction.with(entry.enqueue(&domain, stage.finish().await?));
        }
        store.commit(transaction).await?;
    }
    println!("{messages} messages for {domains} domains");
    Ok(())
}
