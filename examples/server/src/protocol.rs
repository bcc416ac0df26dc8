//! The protocol of a port.

/// The protocol of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Mail from other servers.
    Smtp,
    /// Mail from users, with STARTTLS.
    Submission,
    /// Mail from users, with TLS at once.
    Submissions,
    /// Mail from a program that has checked it.
    Lmtp,
    /// POP3, with STLS.
    Pop3,
    /// POP3, with TLS at once.
    Pop3s,
    /// IMAP, with STARTTLS.
    Imap,
    /// IMAP, with TLS at once.
    Imaps,
    /// Metrics for Prometheus.
    Metrics,
    /// The webmail.
    Https,
    /// HTTP, which redirects to the webmail.
    Http,
}

impl Protocol {
    /// All of them.
    pub(crate) const ALL: [Self; 11] = [
        Self::Smtp,
        Self::Submission,
        Self::Submissions,
        Self::Lmtp,
        Self::Pop3,
        Self::Pop3s,
        Self::Imap,
        Self::Imaps,
        Self::Metrics,
        Self::Https,
        Self::Http,
    ];

    /// Its name in small letters, as in the configuration.
    pub(crate) fn label(self) -> String {
        format!("{self:?}").to_lowercase()
    }

    /// Whether TLS begins at once.
    pub(crate) fn is_implicit_tls(self) -> bool {
        matches!(
            self,
            Self::Submissions | Self::Pop3s | Self::Imaps | Self::Https
        )
    }
}
