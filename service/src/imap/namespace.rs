//! NAMESPACE (RFC 2342).

use hikyaku_imap_proto::{MailboxName, Namespace, Namespaces, Response};

use super::names::{DELIMITER, OTHERS};
use super::session::Session;

impl Session<'_> {
    /// `* NAMESPACE`
    pub(super) fn send_namespaces(&mut self) {
        let mut namespaces = Namespaces::personal("", DELIMITER);
        namespaces.other_users.push(Namespace {
            prefix: MailboxName::new(OTHERS),
            delimiter: Some(DELIMITER),
            extensions: self.translations(OTHERS),
        });
        self.respond(&Response::Namespace(namespaces));
    }
}
