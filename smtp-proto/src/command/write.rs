//! How a command line is written.

use hikyaku_wire::{Output, encode_sasl};

use crate::command::line::Command;
use crate::command::parse::VERB;
use crate::octets::{self, MECHANISM};
use crate::path::domain::write_greeting_name;

impl<T: AsRef<[u8]>> Command<T> {
    /// Appends the line with its CRLF. It is one line and this command whatever the arguments hold: what may not stand
    /// in one is replaced, and [`Output::has_replaced`] says so.
    pub fn encode(&self, output: &mut Output) {
        use core::fmt::Write as _;
        match self {
            Self::Ehlo(name) => greeting(b"EHLO ", name, output),
            Self::Helo(name) => greeting(b"HELO ", name, output),
            Self::Lhlo(name) => greeting(b"LHLO ", name, output),
            Self::Mail {
                reverse_path,
                parameters,
            } => {
                let _ = write!(output, "MAIL FROM:{reverse_path}");
                parameters.encode(output);
            }
            Self::Rcpt {
                forward_path,
                parameters,
            } => {
                let _ = write!(output, "RCPT TO:{forward_path}");
                parameters.encode(output);
            }
            Self::Data => output.write(b"DATA"),
            Self::Bdat { octets, last } => {
                output.write(b"BDAT ");
                output.write_number(*octets);
                output.write(if *last { b" LAST" } else { b"" });
            }
            Self::Burl { url, last } => {
                word(b"BURL ", url, b"imap:", output);
                output.write(if *last { b" LAST" } else { b"" });
            }
            Self::Rset => output.write(b"RSET"),
            Self::Noop(string) => optional(b"NOOP", string.as_ref(), output),
            Self::Quit => output.write(b"QUIT"),
            Self::Vrfy { string, smtputf8 } => {
                text(b"VRFY ", string, output);
                output.write(if *smtputf8 { b" SMTPUTF8" } else { b"" });
            }
            Self::Expn { string, smtputf8 } => {
                text(b"EXPN ", string, output);
                output.write(if *smtputf8 { b" SMTPUTF8" } else { b"" });
            }
            Self::Help(string) => optional(b"HELP", string.as_ref(), output),
            Self::StartTls => output.write(b"STARTTLS"),
            Self::Auth { mechanism, initial } => {
                output.write(b"AUTH ");
                output.write_only(mechanism, |octet| octets::is(octet, MECHANISM), b'-');
                match initial {
                    Some(secret) if secret.expose().is_empty() => output.write(b" ="),
                    Some(secret) => text(b" ", &encode_sasl(secret.expose()), output),
                    None => {}
                }
            }
            Self::Etrn { scope, node } => {
                output.write(b"ETRN ");
                word(scope.option(), node, b"localhost", output);
            }
            Self::XClient(all) => {
                output.write(b"XCLIENT");
                all.iter().for_each(|one| one.encode(output));
            }
            Self::XForward(all) => {
                output.write(b"XFORWARD");
                all.iter().for_each(|one| one.encode(output));
            }
            Self::Other { verb, arguments } => {
                let verb = verb.as_ref();
                let is_verb = |octet: u8| octets::is(octet, octets::KEYWORD);
                match verb.first().is_some_and(u8::is_ascii_alphabetic) && verb.len() <= VERB {
                    true => output.write_only(verb, is_verb, b'-'),
                    false => {
                        output.note_replaced();
                        output.write(b"X");
                    }
                }
                if !arguments.as_ref().is_empty() {
                    text(b" ", arguments, output);
                }
            }
        }
        output.write(b"\r\n");
    }
}

fn greeting(verb: &[u8], name: &impl AsRef<[u8]>, output: &mut Output) {
    output.write(verb);
    write_greeting_name(name.as_ref(), output);
}

fn text(verb: &[u8], argument: &(impl AsRef<[u8]> + ?Sized), output: &mut Output) {
    output.write(verb);
    output.write_only(argument.as_ref(), |octet| !octet.is_ascii_control(), b'?');
}

fn optional(verb: &[u8], argument: Option<&impl AsRef<[u8]>>, output: &mut Output) {
    output.write(verb);
    if let Some(argument) = argument {
        text(b" ", argument, output);
    }
}

/// An argument without blanks; `otherwise` where it is empty.
fn word(before: &[u8], argument: &impl AsRef<[u8]>, otherwise: &[u8], output: &mut Output) {
    output.write(before);
    match argument.as_ref() {
        [] => {
            output.note_replaced();
            output.write(otherwise);
        }
        argument => output.write_only(argument, |octet| octet.is_ascii_graphic(), b'-'),
    }
}
