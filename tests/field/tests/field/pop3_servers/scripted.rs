//! The server: it answers as a good one does, but for what its row says.

use hikyaku_client::{Dial, Server, Wire};
use hikyaku_mailstore::BoxFuture;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream};

use super::Mail;
use super::Say::{self, Close, Cut, DoneAndClose, First, Raw, Text};

/// A message in the maildrop, and which one of all it is.
#[derive(Clone, Copy)]
pub(super) struct Kept {
    pub(super) mail: Mail,
    pub(super) nth: usize,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) maildrop: Vec<Kept>,
    pub(super) arrived: usize,
    sessions: usize,
    pub(super) say: &'static [(&'static str, Say)],
    pub(super) log: Vec<String>,
}

/// A server that answers well, but for what its row says.
#[derive(Clone, Default)]
pub(super) struct Scripted(pub(super) Arc<Mutex<State>>);

impl Dial for Scripted {
    fn dial<'a>(&'a self, _: &'a Server) -> BoxFuture<'a, hikyaku_client::Result<Box<dyn Wire>>> {
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        tokio::spawn(self.clone().serve(theirs));
        Box::pin(async { Ok(Box::new(ours) as Box<dyn Wire>) })
    }

    fn encrypt<'a>(
        &'a self,
        stream: Box<dyn Wire>,
        _: &'a Server,
    ) -> BoxFuture<'a, hikyaku_client::Result<Box<dyn Wire>>> {
        Box::pin(async { Ok(stream) })
    }
}

/// Lines with CRLF.
fn lines(text: &str) -> String {
    format!("{}\r\n", text.replace('\n', "\r\n"))
}

impl Scripted {
    fn said(&self, line: &str) -> Option<Say> {
        let state = self.0.lock().unwrap();
        let verb = line.split(' ').next().unwrap_or("");
        let find = |key: &str| state.say.iter().find(|(of, _)| *of == key);
        find(line).or_else(|| find(verb)).map(|(_, say)| *say)
    }

    async fn serve(self, stream: DuplexStream) {
        let mut stream = BufReader::new(stream);
        let (session, maildrop) = {
            let mut state = self.0.lock().unwrap();
            state.sessions += 1;
            (state.sessions, state.maildrop.clone())
        };
        let mut deleted: Vec<usize> = Vec::new();
        let mut line = String::from("!");
        loop {
            let say = self.said(&line);
            let does = matches!(say, None | Some(First(_) | DoneAndClose));
            let good = match line.as_str() {
                "!" => "+OK ready\r\n".to_owned(),
                _ if does => self.answer(&line, session, &maildrop, &mut deleted),
                _ => String::new(),
            };
            let (answer, closes) = match say {
                None if line == "QUIT" => {
                    self.update(&maildrop, &deleted);
                    (good, true)
                }
                None => (good, false),
                Some(Text(text)) => (lines(text), line == "QUIT"),
                Some(First(text)) => (lines(text) + &good, false),
                Some(Raw(text)) => (text.to_owned(), false),
                Some(Cut(text)) => (text.to_owned(), true),
                Some(Close) => (String::new(), true),
                Some(DoneAndClose) => {
                    self.update(&maildrop, &deleted);
                    (String::new(), true)
                }
            };
            if stream.get_mut().write_all(answer.as_bytes()).await.is_err() || closes {
                return;
            }
            if !stream.buffer().is_empty() && self.said("*").is_some() {
                return;
            }
            line.clear();
            match stream.read_line(&mut line).await {
                Ok(count) if count > 0 => {}
                _ => return,
            }
            line.truncate(line.trim_end().len());
            self.0.lock().unwrap().log.push(line.clone());
        }
    }

    /// RFC 1939 §6
    fn update(&self, maildrop: &[Kept], deleted: &[usize]) {
        let gone: Vec<usize> = deleted.iter().map(|&at| maildrop[at].nth).collect();
        self.0
            .lock()
            .unwrap()
            .maildrop
            .retain(|kept| !gone.contains(&kept.nth));
    }

    fn answer(
        &self,
        line: &str,
        session: usize,
        maildrop: &[Kept],
        deleted: &mut Vec<usize>,
    ) -> String {
        let mut words = line.split(' ');
        let verb = words.next().unwrap_or("").to_ascii_uppercase();
        let numbers: Vec<usize> = words.filter_map(|word| word.parse().ok()).collect();
        let at = numbers.first().and_then(|number| number.checked_sub(1));
        let one = at.filter(|at| *at < maildrop.len() && !deleted.contains(at));
        let live: Vec<usize> = (0..maildrop.len())
            .filter(|at| !deleted.contains(at))
            .collect();
        let id = |at: usize| {
            let id = maildrop[at].mail.id.replace('#', &(at + 1).to_string());
            id.replace('~', &session.to_string())
        };
        let body = |at: usize| maildrop[at].mail.octets().replace("\r\n.", "\r\n..");
        let listing = |of: &dyn Fn(usize) -> String| {
            let all = live.iter().map(|&at| format!("{} {}\r\n", at + 1, of(at)));
            format!("+OK\r\n{}.\r\n", all.collect::<String>())
        };
        let none = || "-ERR no such message\r\n".to_owned();
        match verb.as_str() {
            "CAPA" => lines("+OK\nUSER\nTOP\nUIDL\n."),
            "STAT" => format!("+OK {} {}\r\n", live.len(), 1),
            "LIST" => listing(&|at| maildrop[at].mail.octets().len().to_string()),
            "UIDL" => listing(&id),
            "RETR" => one.map_or_else(none, |at| format!("+OK\r\n{}.\r\n", body(at))),
            "TOP" => one.map_or_else(none, |at| {
                let all = body(at);
                let end = all.find("\r\n\r\n").map_or(all.len(), |end| end + 4);
                format!("+OK\r\n{}.\r\n", &all[..end])
            }),
            "DELE" => one.map_or_else(none, |at| {
                deleted.push(at);
                "+OK\r\n".into()
            }),
            "USER" | "PASS" | "NOOP" | "QUIT" | "RSET" | "AUTH" => "+OK\r\n".into(),
            // A response to a challenge.
            _ if line.len() > 8 && !line.contains(' ') => "+OK\r\n".into(),
            _ => "-ERR unknown command\r\n".into(),
        }
    }
}
