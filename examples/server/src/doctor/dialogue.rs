//! The first words with a server of mail, up to TLS: SMTP (RFC 5321 §3.1, RFC 3207), IMAP (RFC 9051 §6.2.1), POP3 (RFC 2595 §4).

use tokio::io::{self, BufReader};
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _,
};

/// The longest line, in octets.
const LINE: u64 = 4096;
/// Lines of one answer.
const LINES: usize = 128;

/// How a server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Speech {
    Smtp,
    Imap,
    Pop3,
}

/// A connection on which lines go back and forth.
pub(super) struct Dialogue<S> {
    stream: BufReader<S>,
    speech: Speech,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Dialogue<S> {
    pub(super) fn new(stream: S, speech: Speech) -> Self {
        Self {
            stream: BufReader::new(stream),
            speech,
        }
    }

    /// Reads what the server says first; an error when it is not of that protocol, or refuses.
    pub(super) async fn greeting(&mut self) -> io::Result<String> {
        let lines = self.answer().await?;
        let first = lines.first().cloned().unwrap_or_default();
        let is_greeting = match self.speech {
            Speech::Smtp => first.starts_with("220"),
            Speech::Imap => first.starts_with("* OK") || first.starts_with("* PREAUTH"),
            Speech::Pop3 => first.starts_with("+OK"),
        };
        match is_greeting {
            true => Ok(first),
            false => Err(io::Error::other(format!("it says \"{first}\""))),
        }
    }

    /// Asks for TLS. Returns whether it may begin, and the stream.
    pub(super) async fn starttls(mut self, hello: &str) -> io::Result<(bool, S)> {
        let is_willing = match self.speech {
            Speech::Smtp => {
                let extensions = self.ask(&format!("EHLO {hello}")).await?;
                let is_offered = extensions.iter().any(|line| {
                    let word = line.get(4..).unwrap_or("").trim();
                    word.eq_ignore_ascii_case("STARTTLS")
                });
                is_offered && says(&self.ask("STARTTLS").await?, "220")
            }
            Speech::Imap => says(&self.ask("a STARTTLS").await?, "a OK"),
            Speech::Pop3 => says(&self.ask("STLS").await?, "+OK"),
        };
        // What came in clear behind the answer is not to be read as if TLS had begun (RFC 3207 §6).
        match self.stream.buffer().is_empty() {
            true => Ok((is_willing, self.stream.into_inner())),
            false => Err(io::Error::other("it says more before TLS has begun")),
        }
    }

    async fn ask(&mut self, command: &str) -> io::Result<Vec<String>> {
        let line = format!("{command}\r\n");
        self.stream.get_mut().write_all(line.as_bytes()).await?;
        self.stream.get_mut().flush().await?;
        self.answer().await
    }

    /// Reads lines up to the last one of an answer.
    async fn answer(&mut self) -> io::Result<Vec<String>> {
        let mut lines = Vec::new();
        while lines.len() < LINES {
            let line = self.line().await?;
            let goes_on = match self.speech {
                Speech::Smtp => line.as_bytes().get(3) == Some(&b'-'),
                // What no command asked for comes before the tagged line; the greeting is one line.
                Speech::Imap => line.starts_with("* ") && !is_imap_greeting(&line),
                Speech::Pop3 => false,
            };
            lines.push(line);
            if !goes_on {
                return Ok(lines);
            }
        }
        Err(io::Error::other("its answer does not end"))
    }

    async fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        let mut limited = (&mut self.stream).take(LINE);
        limited.read_until(b'\n', &mut line).await?;
        match line.last() {
            Some(b'\n') => Ok(String::from_utf8_lossy(&line).trim_end().to_owned()),
            Some(_) => Err(io::Error::other("its line does not end")),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

/// Whether a line may be an IMAP server's first, welcome or not (RFC 9051 §7.1).
fn is_imap_greeting(line: &str) -> bool {
    let word = line.split_whitespace().nth(1).unwrap_or("");
    ["OK", "PREAUTH", "BYE", "NO", "BAD"].contains(&word)
}

fn says(lines: &[String], begin: &str) -> bool {
    let last = lines.last().map_or("", String::as_str);
    let begin_of = last.get(..begin.len()).unwrap_or("");
    begin_of.eq_ignore_ascii_case(begin)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A dialogue with a server that has said all it will say.
    async fn with(speech: Speech, said: &str) -> Dialogue<io::DuplexStream> {
        let (near, mut far) = io::duplex(1 << 20);
        far.write_all(said.as_bytes()).await.unwrap();
        // What is asked is not to fail for want of somebody who listens.
        tokio::spawn(async move {
            let mut asked = Vec::new();
            let _ = far.read_to_end(&mut asked).await;
        });
        Dialogue::new(near, speech)
    }

    #[tokio::test]
    async fn greetings_are_those_of_the_protocol() {
        for (speech, said, is_one) in [
            (Speech::Smtp, "220-mx.test one\r\n220 two\r\n", true),
            (Speech::Smtp, "554 go away\r\n", false),
            (Speech::Smtp, "* OK IMAP\r\n", false),
            (Speech::Imap, "* OK ready\r\n", true),
            (Speech::Imap, "+OK POP3\r\n", false),
            (Speech::Imap, "* BYE full\r\n", false),
            (Speech::Pop3, "+OK ready\r\n", true),
        ] {
            let greeting = with(speech, said).await.greeting().await;
            assert_eq!(greeting.is_ok(), is_one, "{said}");
        }
    }

    #[tokio::test]
    async fn what_does_not_end_is_not_read_to_its_end() {
        let long = "x".repeat(10_000);
        assert!(with(Speech::Smtp, &long).await.greeting().await.is_err());
        let many = "220-mx.test\r\n".repeat(1000);
        assert!(with(Speech::Smtp, &many).await.greeting().await.is_err());
        let many = "* 1 EXISTS\r\n".repeat(1000);
        assert!(with(Speech::Imap, &many).await.greeting().await.is_err());
    }
}
