//! Who may get reports (RFC 7489 §7.1): a domain cannot have the reports about it sent to others who do not want them.

use tokio::time::timeout;

use crate::checker::Checker;
use crate::checks::dmarc;
use crate::dns::{Questions, Unanswered};
use crate::domain::{canonical, is_within, of_address};
use crate::verdicts::Destination;

impl Checker {
    /// Returns those destinations that may get reports about a domain: of the domain itself or one below it, and of others
    /// that say so in DNS.
    ///
    /// # Errors
    /// DNS does not answer for one now, and there is no other: the report may be sent later.
    pub async fn may_report_to(
        &self,
        domain: &str,
        destinations: &[Destination],
    ) -> Result<Vec<Destination>, Unanswered> {
        let dns = self.questions();
        let (mut allowed, mut late) = (Vec::new(), None);
        for destination in destinations {
            let Some(theirs) = of_address(&destination.address).and_then(canonical) else {
                continue;
            };
            if is_within(&theirs, domain) {
                allowed.push(destination.clone());
                continue;
            }
            let asking = says_so(&dns, domain, &theirs);
            match timeout(self.limits.patience, asking).await {
                Ok(Ok(true)) => allowed.push(destination.clone()),
                Ok(Ok(false)) => {}
                Ok(Err(error)) => late = Some(error),
                Err(_) => late = Some(Unanswered::new("it took too long")),
            }
        }
        match late {
            Some(error) if allowed.is_empty() => Err(error),
            _ => Ok(allowed),
        }
    }

    /// Finds where a domain wants reports about it, as its DMARC record says, or that of the nearest domain above.
    pub async fn reported_to(&self, domain: &str) -> Vec<Destination> {
        let dns = self.questions();
        let Some(domain) = canonical(domain) else {
            return Vec::new();
        };
        let finding = dmarc::destinations(&dns, &domain);
        timeout(self.limits.patience, finding)
            .await
            .unwrap_or_default()
    }
}

async fn says_so(dns: &Questions<'_>, domain: &str, theirs: &str) -> Result<bool, Unanswered> {
    let name = format!("{domain}._report._dmarc.{theirs}");
    let found = dns.txt(&name).await?;
    let is_record = |text: &Vec<u8>| text.trim_ascii_start().starts_with(b"v=DMARC1");
    Ok(found.records.iter().any(is_record))
}
