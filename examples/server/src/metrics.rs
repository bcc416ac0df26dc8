//! The metrics.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::timings::Timings;

macro_rules! counters {
    ($($name:ident $kind:literal $help:literal),* $(,)?) => {
        /// Counters of the whole server.
        #[derive(Debug, Default)]
        pub(crate) struct Metrics {
            $(pub(crate) $name: AtomicU64,)*
            pub(crate) timings: Timings,
        }

        impl Metrics {
            /// In Prometheus' text format.
            pub(crate) fn page(&self) -> String {
                let mut page = String::new();
                $({
                    let name = concat!("mailserver_", stringify!($name));
                    let value = self.$name.load(Ordering::Relaxed);
                    let _ = write!(page, concat!("# HELP {} ", $help, "\n# TYPE {} ", $kind, "\n{} {}\n"), name, name, name, value);
                })*
                self.timings.write(&mut page);
                page
            }
        }
    };
}

counters! {
    connections_total "counter" "Connections accepted.",
    connections_refused_total "counter" "Connections over a limit, at a time or in a minute.",
    connections_displaced_total "counter" "Connections that were silent and made room for others at a limit.",
    connections "gauge" "Connections open now.",
    logins_total "counter" "Logins that succeeded.",
    logins_failed_total "counter" "Logins that failed.",
    logins_delayed_total "counter" "Logins that waited for their turn.",
    logins_turned_away_total "counter" "Logins that were not looked at, since too many waited.",
    tls_reloads_total "counter" "Certificates loaded while the server ran.",
    tls_reloads_failed_total "counter" "Certificates that could not be used; the old one stayed.",
    tls_certificate_expires_timestamp_seconds "gauge" "When the certificate ends that ends first, in seconds since 1970.",
    acme_certificates_total "counter" "Certificates that the ACME server gave.",
    acme_failures_total "counter" "Attempts to get a certificate from the ACME server that failed, or that left out names.",
    messages_received_total "counter" "Messages accepted by SMTP, submission and LMTP.",
    messages_delivered_total "counter" "Deliveries into mailboxes.",
    clients_deferred_total "counter" "Messages and recipients of clients without a login that were deferred, since their network sends too many.",
    searchers_deferred_total "counter" "Recipients that were deferred, since the client had named too many that are not here.",
    strangers_refused_total "counter" "Recipients that were refused for the name or the address of the client, or a list that it is on.",
    greylisted_total "counter" "Recipients that were greylisted.",
    messages_scored_junk_total "counter" "Messages that were junk or refused by their score.",
    accounts_deferred_total "counter" "Messages and recipients of accounts that were deferred, since the account sends unusually much.",
    messages_relayed_total "counter" "Recipients handed on to other servers.",
    messages_deferred_total "counter" "Attempts to hand on that are to be repeated.",
    messages_bounced_total "counter" "Recipients that were given up.",
    tls_policies_failed_total "counter" "Hosts of other domains that failed their MTA-STS policy or their TLSA records.",
    notifications_dropped_total "counter" "Times that recipients were given up and no sender could be notified.",
    trace_records_dropped_total "counter" "Records that the trace log could not take.",
}

/// Adds one.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Something that is open now; counted out when dropped, however its task ends.
pub(crate) struct Gauge<'a>(&'a AtomicU64);

impl<'a> Gauge<'a> {
    pub(crate) fn raise(gauge: &'a AtomicU64) -> Self {
        gauge.fetch_add(1, Ordering::Relaxed);
        Self(gauge)
    }
}

impl Drop for Gauge<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
