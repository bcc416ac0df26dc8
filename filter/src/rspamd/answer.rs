//! What rspamd answers to `/checkv2`: JSON of which the parts that concern a server are read.

use serde_json::{Map, Value};

use crate::fault::Fault;

/// How many fields are added or removed at most.
const CHANGES: usize = 1000;

/// What rspamd wants done with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Accept,
    Junk,
    RewriteSubject,
    SoftReject,
    Reject,
    /// It is to vanish: nothing that was accepted does, so it is refused.
    Discard,
}

/// Where an added field is put: counted from the top, with the server's own Received as 0, or from the end with -1.
pub(super) type Order = i64;

#[derive(Debug, PartialEq)]
pub(super) struct Answer {
    pub(super) action: Action,
    pub(super) score: f64,
    pub(super) required: f64,
    /// Names and scores of the rules that matched.
    pub(super) symbols: Vec<(String, f64)>,
    pub(super) subject: Option<String>,
    /// What a refused client is sent.
    pub(super) text: Option<String>,
    pub(super) add: Vec<(String, String, Order)>,
    /// Names, and which of that name: 0 for all, counted from the end when negative.
    pub(super) remove: Vec<(String, i64)>,
}

impl Answer {
    /// Reads an answer. Parts of another type than expected are passed over, but for the action and the score.
    pub(super) fn parse(octets: &[u8]) -> Result<Self, Fault> {
        // Nesting ends at 128 levels there.
        let all: Value = serde_json::from_slice(octets).map_err(Fault::Json)?;
        let name = all.get("action").and_then(Value::as_str);
        let name = name.ok_or(Fault::Lacks("action"))?;
        let score = all.get("score").and_then(Value::as_f64);
        let milter = all.get("milter");
        let part = |name: &str| milter.and_then(|milter| milter.get(name));
        let mut add = part("add_headers")
            .and_then(Value::as_object)
            .map(added)
            .unwrap_or_default();
        let signatures = all.get("dkim-signature").map(each).unwrap_or_default();
        let signatures = signatures.iter().filter_map(Value::as_str);
        add.extend(signatures.map(|value| ("DKIM-Signature".to_owned(), value.to_owned(), 0)));
        add.truncate(CHANGES);
        let remove = part("remove_headers").and_then(Value::as_object);
        Ok(Self {
            action: action(name, milter),
            score: score.ok_or(Fault::Lacks("score"))?,
            required: all
                .get("required_score")
                .and_then(Value::as_f64)
                .unwrap_or(0.0),
            symbols: all
                .get("symbols")
                .and_then(Value::as_object)
                .map(symbols)
                .unwrap_or_default(),
            subject: text(all.get("subject")),
            text: text(all.get("messages").and_then(|all| all.get("smtp_message"))),
            add,
            remove: remove.map(removed).unwrap_or_default(),
        })
    }
}

/// The action by that name, and what the part for milters makes of it.
fn action(name: &str, milter: Option<&Value>) -> Action {
    let part = |name: &str| milter.and_then(|milter| milter.get(name));
    if part("no_action").and_then(Value::as_bool) == Some(true) {
        return Action::Accept;
    }
    match (name, part("reject").and_then(Value::as_str)) {
        ("reject", Some("quarantine")) => Action::Junk,
        ("reject", Some("discard")) => Action::Discard,
        ("reject", _) => Action::Reject,
        ("soft reject", _) => Action::SoftReject,
        ("rewrite subject", _) => Action::RewriteSubject,
        ("add header" | "quarantine", _) => Action::Junk,
        ("discard", _) => Action::Discard,
        // `greylist` is a score, not a demand; others are of the operator's own making, and mean nothing here.
        _ => Action::Accept,
    }
}

fn text(value: Option<&Value>) -> Option<String> {
    value.and_then(Value::as_str).map(str::to_owned)
}

/// rspamd writes one value as itself, and several as an array.
fn each(value: &Value) -> &[Value] {
    match value {
        Value::Array(values) => values,
        one => std::slice::from_ref(one),
    }
}

fn symbols(all: &Map<String, Value>) -> Vec<(String, f64)> {
    let score = |value: &Value| value.get("score").and_then(Value::as_f64);
    let all = all
        .iter()
        .map(|(name, value)| (name.clone(), score(value).unwrap_or(0.0)));
    all.collect()
}

fn added(all: &Map<String, Value>) -> Vec<(String, String, Order)> {
    let fields = all.iter().flat_map(|(name, values)| {
        each(values).iter().filter_map(move |value| {
            let (text, order) = match value {
                // Without an order it stands behind all others.
                Value::String(text) => (text.as_str(), None),
                value => (
                    value.get("value")?.as_str()?,
                    value.get("order").or_else(|| value.get("index")),
                ),
            };
            let order = order.and_then(Value::as_i64).unwrap_or(-1);
            Some((name.clone(), text.to_owned(), order))
        })
    });
    fields.take(CHANGES).collect()
}

fn removed(all: &Map<String, Value>) -> Vec<(String, i64)> {
    let fields = all.iter().flat_map(|(name, places)| {
        let places = each(places).iter().filter_map(Value::as_i64);
        places.map(move |place| (name.clone(), place))
    });
    fields.take(CHANGES).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(json: &str) -> Result<Answer, Fault> {
        Answer::parse(json.as_bytes())
    }

    #[test]
    fn an_answer_is_read_whole() {
        let answer = of(
            r#"{"is_skipped": false, "score": 7.5, "required_score": 15, "action": "rewrite subject",
                "symbols": {"A": {"name": "A", "score": 7.0}, "B": {"score": 0.5, "options": ["x"]}},
                "messages": {"smtp_message": "Try again"}, "subject": "[SPAM] x",
                "milter": {"add_headers": {"X-One": "1", "X-Two": {"value": "2", "order": 0},
                                           "X-More": ["a", {"value": "b", "order": -2}]},
                           "remove_headers": {"X-Old": 0, "X-Some": [3, -1]}},
                "dkim-signature": ["v=1", "v=2"], "unknown": [[]]}"#,
        );
        let answer = answer.unwrap();
        assert_eq!(answer.action, Action::RewriteSubject);
        assert_eq!((answer.score, answer.required), (7.5, 15.0));
        assert_eq!(answer.symbols, [("A".into(), 7.0), ("B".into(), 0.5)]);
        assert_eq!(answer.subject.as_deref(), Some("[SPAM] x"));
        assert_eq!(answer.text.as_deref(), Some("Try again"));
        let add = answer
            .add
            .iter()
            .map(|(name, value, order)| format!("{name}={value}@{order}"));
        let mut add: Vec<_> = add.collect();
        add.sort();
        let expected = "DKIM-Signature=v=1@0 DKIM-Signature=v=2@0 X-More=a@-1 X-More=b@-2 X-One=1@-1 X-Two=2@0";
        assert_eq!(add.join(" "), expected);
        let mut remove = answer.remove;
        remove.sort();
        let expected = [
            ("X-Old".into(), 0),
            ("X-Some".into(), -1),
            ("X-Some".into(), 3),
        ];
        assert_eq!(remove, expected);
    }

    #[test]
    fn each_action_has_its_meaning() {
        for (name, milter, expected) in [
            ("no action", "{}", Action::Accept),
            ("greylist", "{}", Action::Accept),
            ("an operator's own", "[]", Action::Accept),
            ("add header", "{}", Action::Junk),
            ("quarantine", "{}", Action::Junk),
            ("rewrite subject", "{}", Action::RewriteSubject),
            ("soft reject", "{}", Action::SoftReject),
            ("reject", "{}", Action::Reject),
            ("discard", "{}", Action::Discard),
            ("reject", r#"{"reject": "discard"}"#, Action::Discard),
            ("reject", r#"{"reject": "quarantine"}"#, Action::Junk),
            ("reject", r#"{"no_action": true}"#, Action::Accept),
        ] {
            let json = format!(r#"{{"action": "{name}", "score": 1, "milter": {milter}}}"#);
            assert_eq!(of(&json).unwrap().action, expected, "{json}");
        }
    }

    #[test]
    fn what_is_no_answer_is_a_fault_and_parts_that_are_none_are_passed_over() {
        let deep = "[".repeat(100_000);
        for none in [
            "",
            "{}",
            "[]",
            "nonsense",
            r#"{"action": "reject"}"#,
            r#"{"score": 1}"#,
            &deep,
        ] {
            assert!(of(none).is_err(), "{none}");
        }
        let odd = r#"{"action": "reject", "score": 1, "symbols": 1, "subject": [], "messages": "x",
                      "milter": {"add_headers": [1], "remove_headers": {"A": "x"}}, "dkim-signature": 3}"#;
        let answer = of(odd).unwrap();
        assert!(answer.symbols.is_empty() && answer.add.is_empty() && answer.remove.is_empty());
        let many: Vec<_> = (0..5000).map(|nth| format!(r#""X{nth}": "1""#)).collect();
        let many = many.join(",");
        let json = format!(
            r#"{{"action": "reject", "score": 1, "milter": {{"add_headers": {{{many}}}}}}}"#
        );
        assert_eq!(of(&json).unwrap().add.len(), CHANGES);
    }
}
