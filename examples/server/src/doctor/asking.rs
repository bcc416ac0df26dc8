//! DNS as the checks of mail ask it.

use hikyaku_relay::dns::{Answer as Found, Dns, LookupError};
use hikyaku_trust::dns::{Answer, Ask, Asking as Reply, Family, Unanswered};
use std::net::IpAddr;

/// The resolver of the doctor, for the checks of mail.
pub(super) struct Asking(pub(super) Dns);

fn answer<T>(name: &str, found: Result<Found<T>, LookupError>) -> Result<Answer<T>, Unanswered> {
    let found = found.map_err(|_| Unanswered::new(name))?;
    Ok(Answer {
        records: found.records,
        exists: found.exists,
    })
}

impl Ask for Asking {
    fn txt<'a>(&'a self, name: &'a str) -> Reply<'a, Vec<u8>> {
        Box::pin(async move { answer(name, self.0.txt(name).await) })
    }

    fn addresses<'a>(&'a self, name: &'a str, family: Family) -> Reply<'a, IpAddr> {
        Box::pin(async move {
            let found = self.0.host(name).await;
            let found = found.map_err(|_| Unanswered::new(name))?;
            let all = found.addresses.into_iter();
            Ok(Answer {
                records: all.filter(|one| Family::of(*one) == family).collect(),
                exists: found.exists,
            })
        })
    }

    fn exchanges<'a>(&'a self, name: &'a str) -> Reply<'a, String> {
        Box::pin(async move {
            let mut found = answer(name, self.0.mx(name).await)?;
            found.records.sort_by_key(|mx| mx.preference);
            let hosts = found.records.into_iter().map(|mx| mx.exchange);
            Ok(Answer {
                records: hosts.collect(),
                exists: found.exists,
            })
        })
    }

    fn names(&self, address: IpAddr) -> Reply<'_, String> {
        Box::pin(async move {
            let name = address.to_string();
            answer(&name, self.0.names(address).await)
        })
    }
}
