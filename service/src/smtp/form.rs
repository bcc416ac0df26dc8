//! The forms of a message: the fields before it that differ from copy to copy.

use hikyaku_smtp_proto::{Mailbox, ReversePath};

use super::recipient::Recipient;

/// Forms that differ by the recipient. Each is staged while the message comes, so they are few; what is beyond shares the
/// plain ones, and a loop of it ends by its Received fields.
const MOST: usize = 8;

/// The fields that a copy of a message begins with. Copies with the same ones share a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Form {
    /// For mailboxes here.
    return_path: Option<String>,
    /// The address that stands for the one that the copy goes to.
    delivered_to: Option<String>,
}

impl Form {
    pub(super) fn is_here(&self) -> bool {
        self.return_path.is_some()
    }

    /// The fields as they are written.
    pub(super) fn fields(&self) -> String {
        let field = |name: &str, value: &Option<String>| {
            let value = value.as_ref();
            value.map_or(String::new(), |value| format!("{name}: {value}\r\n"))
        };
        field("Return-Path", &self.return_path) + &field("Delivered-To", &self.delivered_to)
    }
}

/// Gives each copy the number of its form; returns the forms.
pub(super) fn shape(recipients: &mut [Recipient], reverse_path: &ReversePath) -> Vec<Form> {
    let mut forms: Vec<Form> = Vec::new();
    let plain = reverse_path.to_string();
    let path = |owner: &Option<Mailbox>| match owner {
        Some(owner) => format!("<{owner}>"),
        None => plain.clone(),
    };
    let mut number = |form: Form| {
        let form = match forms.contains(&form) || forms.len() < MOST {
            true => form,
            false => Form {
                return_path: form.return_path.map(|_| plain.clone()),
                delivered_to: None,
            },
        };
        let known = forms.iter().position(|one| *one == form);
        known.unwrap_or_else(|| {
            forms.push(form);
            forms.len() - 1
        })
    };
    for recipient in recipients {
        let delivered_to = recipient.stands.then(|| recipient.address.clone());
        for local in &mut recipient.here {
            local.form = number(Form {
                return_path: Some(path(&local.owner)),
                delivered_to: delivered_to.clone(),
            });
        }
        for remote in &mut recipient.elsewhere {
            remote.form = number(Form {
                return_path: None,
                delivered_to: delivered_to.clone(),
            });
        }
    }
    forms
}

#[cfg(test)]
mod tests {
    use super::*;
    use hikyaku_smtp_proto::RcptParameters;

    fn elsewhere(address: &str, stands: bool) -> Recipient {
        let mailbox = Mailbox::parse(address.as_bytes()).unwrap();
        let recipient = Recipient::elsewhere(&mailbox, RcptParameters::default());
        Recipient {
            stands,
            ..recipient
        }
    }

    #[test]
    fn an_address_that_stands_for_others_is_named_and_a_plain_one_is_not() {
        let mut all = [
            elsewhere("a@b.test", false),
            elsewhere("alias@b.test", true),
            elsewhere("c@b.test", false),
        ];
        let forms = shape(&mut all, &ReversePath(None));
        let numbers: Vec<_> = all.iter().map(|one| one.elsewhere[0].form).collect();
        assert_eq!(numbers, [0, 1, 0]);
        let fields: Vec<_> = forms.iter().map(Form::fields).collect();
        assert_eq!(fields, ["", "Delivered-To: alias@b.test\r\n"]);
    }

    #[test]
    fn forms_are_few_however_many_recipients_there_are() {
        let mut all: Vec<_> = (0..500)
            .map(|nth| elsewhere(&format!("a{nth}@b.test"), true))
            .collect();
        let forms = shape(&mut all, &ReversePath(None));
        assert_eq!(forms.len(), MOST + 1);
        assert_eq!(all[499].elsewhere[0].form, MOST);
        assert_eq!(forms[MOST].fields(), "");
    }
}
