//! How it is written.

use hikyaku_wire::Output;

use super::view::{Body, BodyFields, BodyPart, Parameters};
use crate::plumbing::text::{write_list, write_nstring, write_string};

impl Body<'_> {
    pub(super) fn encode(&self, extended: bool, output: &mut Output) {
        output.write(b"(");
        match self {
            Self::Multipart(multipart) => {
                for part in multipart.parts.iter() {
                    part.encode(extended, output);
                }
                if multipart.parts.is_empty() {
                    output.write(b"NIL");
                }
                output.write(b" ");
                write_string(multipart.subtype, output);
                if extended {
                    output.write(b" ");
                    write_parameters(multipart.parameters, output);
                    multipart.fields.encode(output);
                }
            }
            Self::Part(part) => part.encode(extended, output),
        }
        output.write(b")");
    }
}

impl BodyPart<'_> {
    fn encode(&self, extended: bool, output: &mut Output) {
        write_string(self.kind, output);
        output.write(b" ");
        write_string(self.subtype, output);
        output.write(b" ");
        write_parameters(self.parameters, output);
        for text in [self.id, self.description] {
            output.write(b" ");
            write_nstring(text, output);
        }
        output.write(b" ");
        write_string(self.encoding, output);
        output.write(b" ");
        output.write_number(self.octets);
        if let Some(message) = &self.message {
            output.write(b" ");
            message.envelope.encode(output);
            output.write(b" ");
            message.body().encode(extended, output);
        }
        if self.message.is_some() || self.kind.eq_ignore_ascii_case(b"text") {
            output.write(b" ");
            output.write_number(self.lines);
        }
        if extended {
            output.write(b" ");
            write_nstring(self.md5, output);
            self.fields.encode(output);
        }
    }
}

impl BodyFields<'_> {
    /// ` disposition language location`
    fn encode(&self, output: &mut Output) {
        match &self.disposition {
            Some(disposition) => {
                output.write(b" (");
                write_string(disposition.kind, output);
                output.write(b" ");
                write_parameters(disposition.parameters, output);
                output.write(b")");
            }
            None => output.write(b" NIL"),
        }
        output.write(b" ");
        match (self.language.len(), self.language.iter().next()) {
            (1, Some(one)) => write_string(one, output),
            (0, _) => output.write(b"NIL"),
            _ => write_list(self.language.iter(), output, write_string),
        }
        output.write(b" ");
        write_nstring(self.location, output);
    }
}

fn write_parameters(parameters: Parameters<'_>, output: &mut Output) {
    if parameters.is_empty() {
        return output.write(b"NIL");
    }
    write_list(parameters.iter(), output, |(name, value), output| {
        write_string(name, output);
        output.write(b" ");
        write_string(value, output);
    });
}
