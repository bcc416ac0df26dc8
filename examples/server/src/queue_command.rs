//! `mailserver queue`: what an operator sees and does.

use clap::{Args, Subcommand};
use mailserver::control::{Control, Request};
use mailserver::{Config, Done, Listed, Ordered, Page, Picked, QueueRequest, queue_view};

/// The header section of a message is shown as far as it goes with this.
const HEADER: usize = 64 * 1024;

/// What is done with the queue.
#[derive(Debug, Subcommand)]
pub(crate) enum Queue {
    /// Lists the messages that wait, those first that have waited longest.
    List {
        /// Only messages to a recipient in this domain.
        #[arg(long, value_name = "DOMAIN")]
        to: Option<String>,
        /// Only messages from this sender: an address, "@" and a domain, or "<>" for notifications.
        #[arg(long, value_name = "ADDRESS")]
        from: Option<String>,
        /// Only messages that are held.
        #[arg(long)]
        held: bool,
        /// Lists no more than this many.
        #[arg(long, value_name = "N", default_value_t = 1000)]
        limit: usize,
        /// Prints one JSON object a line, with all that is known of each message.
        #[arg(long)]
        json: bool,
    },
    /// Shows everything known of a message: envelope, recipients with the last reply about each, header.
    Show {
        /// The ID, as in `queue list`, in the Received field and in the reply to the sender.
        id: String,
        /// Prints the message itself instead, octet by octet.
        #[arg(long)]
        message: bool,
    },
    /// Tries messages now, also where their hosts failed lately.
    Retry(Which),
    /// Holds messages back until they are released. They do not expire meanwhile.
    Hold(Which),
    /// Releases messages that are held, and tries them now. Their age counts from when they were queued.
    Release(Which),
    /// Gives messages up. Their senders are notified, unless --silent is given.
    Cancel {
        #[command(flatten)]
        which: Which,
        /// Notifies the senders; this is the default.
        #[arg(long, conflicts_with = "silent")]
        bounce: bool,
        /// Notifies nobody.
        #[arg(long)]
        silent: bool,
    },
    /// Sends messages to another host, now: `queue route ID URL` or `queue route --to DOMAIN URL`.
    ///
    /// The URL is smtps://host (TLS at once, port 465), smtp://host (STARTTLS, port 587), both with a checked certificate,
    /// smtp+any://host (STARTTLS if offered, any certificate, port 25), smtp+clear://host (no TLS, port 25), lmtp://host
    /// (port 24) or lmtp:/path. Each may name another port: smtp://host:2525.
    Route {
        /// The ID of a message, unless --to is given, and the URL of the host, unless --default is given.
        #[arg(value_name = "ID|URL", num_args = 0..=2)]
        words: Vec<String>,
        /// All messages to a recipient in this domain.
        #[arg(long, value_name = "DOMAIN")]
        to: Option<String>,
        /// Undoes it: the messages go again where rules and DNS say.
        #[arg(long)]
        default: bool,
    },
}

/// Which messages are meant.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub(crate) struct Which {
    /// The ID of a message.
    #[arg(conflicts_with = "all")]
    id: Option<String>,
    /// All messages to a recipient in this domain; with an ID, only these of it.
    #[arg(long, value_name = "DOMAIN", conflicts_with = "all")]
    to: Option<String>,
    /// All messages.
    #[arg(long)]
    all: bool,
}

impl Which {
    fn picked(self) -> Picked {
        Picked {
            id: self.id,
            to: self.to,
            ..Picked::default()
        }
    }
}

/// Does it.
pub(crate) async fn run(config: &Config, queue: Queue) -> Result<(), String> {
    let control = Control::open(config).await;
    let control = control.map_err(|error| error.to_string())?;
    match queue {
        Queue::List {
            to,
            from,
            held,
            limit,
            json,
        } => {
            let pick = Picked {
                id: None,
                to,
                from,
                held,
            };
            list(&control, pick, limit, json).await
        }
        Queue::Show { id, message } => show(&control, id, message).await,
        Queue::Retry(which) => operate(&control, which.picked(), Ordered::Retry).await,
        Queue::Hold(which) => operate(&control, which.picked(), Ordered::Hold).await,
        Queue::Release(which) => operate(&control, which.picked(), Ordered::Release).await,
        Queue::Cancel { which, silent, .. } => {
            let order = Ordered::Cancel { notify: !silent };
            operate(&control, which.picked(), order).await
        }
        Queue::Route { words, to, default } => {
            let (pick, order) = route(words, to, default)?;
            operate(&control, pick, order).await
        }
    }
}

fn route(
    mut words: Vec<String>,
    to: Option<String>,
    default: bool,
) -> Result<(Picked, Ordered), String> {
    let order = match default {
        true => Ordered::RouteByDefault,
        false => {
            let url = words
                .pop()
                .ok_or("name the host: smtp://host, or --default")?;
            let host = url.parse::<hikyaku_relay::NextHost>();
            host.map_err(|error| error.to_string())?;
            Ordered::Route(url)
        }
    };
    let id = words.pop();
    if !words.is_empty() {
        return Err("give one ID and one URL, or --default".into());
    }
    if id.is_none() && to.is_none() {
        return Err("name the messages: an ID, or --to DOMAIN".into());
    }
    let pick = Picked {
        id,
        to,
        ..Picked::default()
    };
    Ok((pick, order))
}

async fn ask(control: &Control, request: QueueRequest) -> Result<Vec<u8>, String> {
    let answer = control.ask(&Request::Queue(request)).await;
    answer.map_err(|error| error.to_string())
}

fn read<T: serde::de::DeserializeOwned>(answer: &[u8]) -> Result<T, String> {
    serde_json::from_slice(answer)
        .map_err(|error| format!("the answer of the server cannot be read: {error}"))
}

async fn page(control: &Control, pick: &Picked, after: Option<u64>) -> Result<Page, String> {
    let pick = pick.clone();
    read(&ask(control, QueueRequest::List { pick, after }).await?)
}

async fn list(control: &Control, pick: Picked, limit: usize, json: bool) -> Result<(), String> {
    let (mut after, mut count) = (None, 0);
    loop {
        let page = page(control, &pick, after).await?;
        let mut text = String::new();
        for listed in page.messages.iter().take(limit - count) {
            if json {
                text += &serde_json::to_string(listed).map_err(|error| error.to_string())?;
                text.push('\n');
                continue;
            }
            if count == 0 && text.is_empty() {
                text = queue_view::head();
            }
            text += &queue_view::row(listed);
        }
        print(text.as_bytes())?;
        let is_more = page.messages.len() > limit - count;
        count += page.messages.len().min(limit - count);
        if is_more || (count == limit && page.next.is_some()) {
            eprintln!("There may be more: raise --limit.");
            return Ok(());
        }
        match page.next {
            Some(next) => after = Some(next),
            None if json => return Ok(()),
            None => {
                let text = match count {
                    0 => "The queue has no such message.\n".to_owned(),
                    1 => "1 message\n".to_owned(),
                    many => format!("{many} messages\n"),
                };
                return print(text.as_bytes());
            }
        }
    }
}

async fn show(control: &Control, id: String, message: bool) -> Result<(), String> {
    let pick = Picked {
        id: Some(id),
        ..Picked::default()
    };
    let (mut after, mut count) = (None, 0);
    loop {
        let page = page(control, &pick, after).await?;
        for listed in &page.messages {
            if message {
                return copy(control, listed).await;
            }
            let header = header(control, listed).await?;
            let gap = if count > 0 { "\n" } else { "" };
            print(format!("{gap}{}", queue_view::whole(listed, &header)).as_bytes())?;
            count += 1;
        }
        match page.next {
            Some(next) => after = Some(next),
            None if count > 0 => return Ok(()),
            None => return Err("no such message is in the queue".into()),
        }
    }
}

/// The header section of a message.
async fn header(control: &Control, listed: &Listed) -> Result<Vec<u8>, String> {
    let (entry, from) = (listed.entry, 0);
    let mut octets = ask(control, QueueRequest::Body { entry, from }).await?;
    octets.truncate(HEADER);
    let end = octets.windows(4).position(|octets| octets == b"\r\n\r\n");
    octets.truncate(end.unwrap_or(octets.len()));
    Ok(octets)
}

/// Prints the octets of a message.
async fn copy(control: &Control, listed: &Listed) -> Result<(), String> {
    let (entry, mut from) = (listed.entry, 0);
    loop {
        let octets = ask(control, QueueRequest::Body { entry, from }).await?;
        if octets.is_empty() {
            return Ok(());
        }
        print(&octets)?;
        from += octets.len() as u64;
    }
}

async fn operate(control: &Control, pick: Picked, order: Ordered) -> Result<(), String> {
    let (mut all, mut after) = (Done::default(), None);
    loop {
        let (pick, order) = (pick.clone(), order.clone());
        let request = QueueRequest::Operate { pick, order, after };
        let step: Done = read(&ask(control, request).await?)?;
        all.changed += step.changed;
        all.under_way += step.under_way;
        all.unchanged += step.unchanged;
        all.why = step.why.or(all.why);
        match step.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    print(queue_view::done(&all, &order)?.as_bytes())
}

/// Prints; an end of the reader ends the program, without a word.
pub(crate) fn print(octets: &[u8]) -> Result<(), String> {
    use std::io::Write as _;
    let mut output = std::io::stdout().lock();
    match output.write_all(octets).and_then(|()| output.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        done => done.map_err(|error| error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_names_messages_and_a_host() {
        let words = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
        let (pick, order) = route(words(&["5f.0", "smtp://a.test"]), None, false).unwrap();
        assert_eq!(pick.id.as_deref(), Some("5f.0"));
        assert_eq!(order, Ordered::Route("smtp://a.test".into()));
        let (pick, order) = route(words(&[]), Some("b.test".into()), true).unwrap();
        assert_eq!((pick.id, order), (None, Ordered::RouteByDefault));
        let to = Some("b.test".to_owned());
        assert!(route(words(&["smtp://a.test"]), to, false).is_ok());
        for bad in [&["smtp://a.test"][..], &["5f.0"], &[], &["5f.0", "a.test"]] {
            assert!(route(words(bad), None, false).is_err(), "{bad:?}");
        }
        assert!(route(words(&["1", "2"]), None, true).is_err());
    }
}
