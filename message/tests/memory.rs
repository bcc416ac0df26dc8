//! What is held of a message while it passes.

use hikyaku_message::{SevenBit, SevenBitSurvey};

const PIECE: usize = 64 * 1024;
const MIB: usize = 1024 * 1024;
/// What is allocated at a time at most: a few pieces, however long the message is.
const MOST: u64 = 256 * 1024;

/// A head, `body` again and again, and an end: they are never in memory together.
struct Message {
    octets: usize,
    head: &'static str,
    body: Vec<u8>,
    end: &'static str,
}

impl Message {
    fn each(&self, mut take: impl FnMut(&[u8])) {
        take(self.head.as_bytes());
        for _ in 0..self.octets / self.body.len() {
            take(&self.body);
        }
        take(self.end.as_bytes());
    }

    fn survey(&self) -> SevenBit {
        let mut survey = SevenBitSurvey::new();
        self.each(|piece| survey.feed(piece));
        survey.finish().unwrap()
    }
}

fn repeated(text: &str) -> Vec<u8> {
    text.repeat(PIECE / text.len()).into_bytes()
}

#[test]
fn a_message_of_64_mib_passes_in_a_few_kib() {
    for (what, message) in [
        (
            "text",
            Message {
                octets: 4 * MIB,
                head: "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n",
                body: repeated("Gr\u{fc}\u{df}e aus Wien\r\n"),
                end: "--b--\r\n",
            },
        ),
        (
            "one line of octets",
            Message {
                octets: 64 * MIB,
                head: "Content-Type: application/x\r\nContent-Transfer-Encoding: binary\r\n\r\n",
                body: repeated("\u{98db}\u{811a}"),
                end: "",
            },
        ),
        (
            "a header section",
            Message {
                octets: 4 * MIB,
                head: "Content-Transfer-Encoding: 8bit\r\n",
                body: repeated("X-Other: x\r\n"),
                end: "\r\n\u{e9}\r\n",
            },
        ),
        (
            "one field",
            Message {
                octets: 4 * MIB,
                head: "Content-Transfer-Encoding: 8bit\r\nX-Long: ",
                body: repeated("x"),
                end: "\r\n\r\n\u{e9}\r\n",
            },
        ),
    ] {
        let mut sent = 0;
        let mut seven_bit = None;
        let survey = allocation_counter::measure(|| seven_bit = Some(message.survey()));
        let mut seven_bit = seven_bit.unwrap();
        let pass = allocation_counter::measure(|| {
            message.each(|piece| {
                let octets = seven_bit.push(piece);
                assert!(octets.is_ascii());
                sent += octets.len();
            });
        });
        assert!(sent + 1000 > message.octets, "{what}: {sent}");
        for info in [survey, pass] {
            assert!(info.bytes_max < MOST, "{what}: {info:?}");
        }
    }
}
