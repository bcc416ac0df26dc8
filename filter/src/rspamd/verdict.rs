//! What comes of rspamd's answer.

use bytes::Bytes;
use hikyaku_service::Opinion;

use super::answer::{Action, Answer, Order};
use super::status::{self, SCORE, STATUS};
use crate::edited::Edited;
use crate::field::field;
use crate::text;

pub(super) fn verdict(answer: &Answer, message: &Bytes) -> Opinion {
    let said = answer.text.as_deref();
    let refusal = match answer.action {
        Action::Reject => text::reply(550, "5.7.1", said, "Spam message rejected"),
        Action::Discard => text::reply(550, "5.7.1", None, "Message not wanted"),
        Action::SoftReject => text::reply(451, "4.7.1", said, "Try again later"),
        Action::Accept | Action::Junk | Action::RewriteSubject => {
            let mut remarks = changed(answer, message).into_remarks();
            remarks.junk = answer.action == Action::Junk;
            return Opinion::Accept(remarks);
        }
    };
    Opinion::Refuse(refusal)
}

/// Removals come first, since they count what the message came with.
fn changed(answer: &Answer, message: &Bytes) -> Edited {
    let mut edited = Edited::of(message);
    // Whoever sends mail may write into it what he likes to be thought of it.
    edited.remove_all(SCORE.as_bytes());
    edited.remove_all(STATUS.as_bytes());
    for (name, place) in &answer.remove {
        remove(&mut edited, name.as_bytes(), *place);
    }
    for (name, value, order) in &answer.add {
        // Values may be folded already: the blank that a first line begins with is written here.
        if let Some(octets) = field(name.as_bytes(), value.trim_start().as_bytes(), true) {
            let at = place(*order, edited.fields().count());
            edited.insert(at, octets);
        }
    }
    if let (Action::RewriteSubject, Some(subject)) = (answer.action, &answer.subject) {
        let octets = field(b"Subject", subject.trim().as_bytes(), true);
        edited.change(b"Subject", 1, octets);
    }
    let is_spam = matches!(answer.action, Action::Junk | Action::RewriteSubject);
    let status = status::status(is_spam, answer.score, answer.required, &answer.symbols);
    for (name, value) in [(STATUS, status), (SCORE, status::score(answer.score))] {
        if let Some(octets) = field(name.as_bytes(), value.as_bytes(), true) {
            edited.insert(0, octets);
        }
    }
    edited
}

/// Where a field is put: 0 and 1 are above all others, since rspamd's order counts the server's own Received; -1 is behind
/// them.
fn place(order: Order, fields: usize) -> usize {
    let from_end =
        |back: u64| (fields + 1).saturating_sub(usize::try_from(back).unwrap_or(usize::MAX));
    match order {
        0.. => usize::try_from(order.saturating_sub(1).max(0)).unwrap_or(usize::MAX),
        _ => from_end(order.unsigned_abs()),
    }
}

fn remove(edited: &mut Edited, name: &[u8], place: i64) {
    let there = edited.count(name);
    let nth = match usize::try_from(place.unsigned_abs()).unwrap_or(usize::MAX) {
        0 => return edited.remove_all(name),
        nth if place > 0 => nth,
        back => (there + 1).saturating_sub(back),
    };
    if (1..=there).contains(&nth) {
        edited.change(name, nth, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: &str = "X-Spam-Status: No\r\nA: 1\r\nSubject: x\r\nA: 2\r\nA: 3\r\n\r\nbody\r\n";

    /// The fields of a message that is accepted, on one line each, and whether it is junk.
    fn accepted(json: &str) -> (Vec<String>, bool) {
        let answer = Answer::parse(json.as_bytes()).unwrap();
        let Opinion::Accept(remarks) = verdict(&answer, &MESSAGE.into()) else {
            panic!("refused");
        };
        let message = remarks.message.unwrap();
        let all = [&remarks.fields[..], &message[..]].concat();
        let all = String::from_utf8(all).unwrap();
        let (head, body) = all.split_once("\r\n\r\n").unwrap();
        assert_eq!(body, "body\r\n");
        (head.lines().map(str::to_owned).collect(), remarks.junk)
    }

    #[test]
    fn the_score_is_said_once_and_by_rspamd_alone() {
        let (fields, junk) =
            accepted(r#"{"action": "add header", "score": 8, "required_score": 15}"#);
        let expected = [
            "X-Spam-Score: 8.00",
            "X-Spam-Status: Yes, score=8.00 required=15.00",
            "A: 1",
            "Subject: x",
            "A: 2",
            "A: 3",
        ];
        assert_eq!((&fields[..], junk), (&expected.map(String::from)[..], true));
    }

    #[test]
    fn fields_are_removed_then_added_where_they_belong() {
        let json = r#"{"action": "rewrite subject", "score": 1, "subject": "[x]\r\n\r\ny",
            "milter": {"remove_headers": {"a": -1, "B": 0, "X": 5},
                       "add_headers": {"H": {"value": "above", "order": 2}, "I": "behind", "N o": "x",
                                       "J": {"value": "before the last", "order": -2}}}}"#;
        let (fields, junk) = accepted(json);
        let expected = [
            "X-Spam-Score: 1.00",
            "X-Spam-Status: Yes, score=1.00 required=0.00",
            "A: 1",
            "H: above",
            "Subject: [x]",
            "\ty",
            "A: 2",
            "J: before the last",
            "I: behind",
        ];
        assert_eq!(
            (&fields[..], junk),
            (&expected.map(String::from)[..], false)
        );
    }

    #[test]
    fn refusals_have_rspamds_text_on_one_line() {
        for (json, expected) in [
            (
                r#"{"action": "reject", "score": 1}"#,
                "550 5.7.1 Spam message rejected",
            ),
            (
                r#"{"action": "reject", "score": 1, "messages": {"smtp_message": "Gtube\r\n250 ok"}}"#,
                "550 5.7.1 Gtube  250 ok",
            ),
            (
                r#"{"action": "discard", "score": 1}"#,
                "550 5.7.1 Message not wanted",
            ),
            (
                r#"{"action": "soft reject", "score": 1}"#,
                "451 4.7.1 Try again later",
            ),
        ] {
            let answer = Answer::parse(json.as_bytes()).unwrap();
            let Opinion::Refuse(reply) = verdict(&answer, &MESSAGE.into()) else {
                panic!("{json}");
            };
            assert_eq!(reply.to_string(), expected);
        }
    }
}
