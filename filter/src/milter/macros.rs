//! Macros: what a milter may know of a transaction beside the commands' arguments (`SMFIC_MACRO`).

use hikyaku_service::Arrival;

use super::command::Command;

/// The arguments of the macros that go before a command: names and values, each with its NUL. `to` is the recipient of
/// RCPT. Names of one letter have no braces.
pub(super) fn macros(
    before: Command,
    arrival: Arrival<'_>,
    mta_name: &str,
    to: Option<&str>,
) -> Vec<u8> {
    let client = arrival.client;
    let mut all = Macros(Vec::new());
    match before {
        Command::Connect => {
            all.add("j", mta_name);
            all.add("v", "Hikyaku");
            all.add("{daemon_name}", client.by);
            if let Some(address) = client.address {
                all.add("{client_addr}", &address.to_canonical().to_string());
            }
        }
        Command::Helo => {
            if let Some((version, cipher)) =
                client.tls.as_deref().and_then(|tls| tls.split_once(' '))
            {
                all.add("{tls_version}", version);
                all.add("{cipher}", cipher);
            }
        }
        Command::Mail => {
            all.add("i", arrival.id);
            if let Some(account) = &client.account {
                all.add("{auth_authen}", account);
            }
            let from = arrival.reverse_path.0.as_ref();
            all.add(
                "{mail_addr}",
                &from.map(ToString::to_string).unwrap_or_default(),
            );
        }
        Command::Recipient => {
            all.add("i", arrival.id);
            all.add("{rcpt_addr}", to.unwrap_or_default());
        }
        // Some ask for it only when all is there.
        Command::Data | Command::EndOfHeader | Command::EndOfBody => all.add("i", arrival.id),
        _ => {}
    }
    match all.0.is_empty() {
        true => all.0,
        false => [&[before.octet()][..], &all.0].concat(),
    }
}

struct Macros(Vec<u8>);

impl Macros {
    fn add(&mut self, name: &str, value: &str) {
        self.0.extend_from_slice(name.as_bytes());
        self.0.push(0);
        // A NUL would begin a macro of the client's.
        self.0.extend(value.bytes().filter(|octet| *octet != 0));
        self.0.push(0);
    }
}
