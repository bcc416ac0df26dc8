//! Who may get reports (RFC 7489 §7.1): a domain cannot have the reports about it sent to others who do not want them.

use crate::checker::Checker;
use crate::dns::Questions;
use crate::domain::{canonical, is_within, of_address};

impl Checker {
    /// Returns those addresses that may get reports about a domain: of the domain itself or one below it, and of others
    /// that say so in DNS. What DNS does not answer for is left out.
    pub async fn may_report_to(&self, domain: &str, addresses: &[String]) -> Vec<String> {
        let dns = self.questions();
        let mut allowed = Vec::new();
        for address in addresses {
            let Some(theirs) = of_address(address).and_then(canonical) else {
                continue;
            };
            let is_own = is_within(&theirs, domain);
            if is_own || says_so(&dns, domain, &theirs, self.limits.patience).await {
                allowed.push(address.clone());
            }
        }
        allowed
    }
}

async fn says_so(
    dns: &Questions<'_>,
    domain: &str,
    theirs: &str,
    patience: std::time::Duration,
) -> bool {
    let name = format!("{domain}._report._dmarc.{theirs}");
    let found = tokio::time::timeout(patience, dns.txt(&name)).await;
    let Ok(Ok(found)) = found else {
        return false;
    };
    let is_record = |text: &Vec<u8>| text.trim_ascii_start().starts_with(b"v=DMARC1");
    found.records.iter().any(is_record)
}
