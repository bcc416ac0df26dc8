//! What `mailserver alias`, `domain`, `identity` and `forward` ask for: JSON, over the control socket or in one process.

use serde::{Deserialize, Serialize};

use crate::addresses::{AddressBook, AddressError};

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "the names are those of the commands")]
pub enum AddressRequest {
    AddAlias {
        alias: String,
        to: Vec<String>,
        owner: Option<String>,
    },
    RemoveAlias {
        alias: String,
        to: Vec<String>,
    },
    ListAliases,
    AddDomain(String),
    RemoveDomain(String),
    AliasDomain {
        name: String,
        means: String,
    },
    ListDomains,
    AddIdentity {
        account: String,
        address: String,
    },
    RemoveIdentity {
        account: String,
        address: String,
    },
    ListIdentities(Option<String>),
    SetForward {
        account: String,
        to: Vec<String>,
        copy: bool,
    },
    RemoveForward(String),
    ShowForwards(Option<String>),
}

impl AddressRequest {
    pub(crate) async fn perform(&self, addresses: &AddressBook) -> Result<String, AddressError> {
        Ok(match self {
            Self::AddAlias { alias, to, owner } => {
                addresses.add_alias(alias, to, owner.as_deref()).await?;
                format!("{alias} stands for {}\n", to.join(", "))
            }
            Self::RemoveAlias { alias, to } => {
                addresses.remove_alias(alias, to).await?;
                match to.is_empty() {
                    true => format!("the alias {alias} was removed\n"),
                    false => format!("{alias} stands no more for {}\n", to.join(", ")),
                }
            }
            Self::ListAliases => addresses.list_aliases(),
            Self::AddDomain(name) => {
                addresses.add_domain(name).await?;
                format!("mail for {name} is delivered here\n")
            }
            Self::RemoveDomain(name) => {
                addresses.remove_domain(name).await?;
                format!("the domain {name} was removed\n")
            }
            Self::AliasDomain { name, means } => {
                addresses.alias_domain(name, means).await?;
                format!("{name} means {means}\n")
            }
            Self::ListDomains => addresses.list_domains(),
            Self::AddIdentity { account, address } => {
                addresses.add_identity(account, address).await?;
                format!("{account} may write as {address}\n")
            }
            Self::RemoveIdentity { account, address } => {
                addresses.remove_identity(account, address).await?;
                format!("{account} may not write as {address} any more\n")
            }
            Self::ListIdentities(account) => addresses.list_identities(account.as_deref()),
            Self::SetForward { account, to, copy } => {
                addresses.set_forward(account, to, *copy).await?;
                let copy = if *copy { "with" } else { "without" };
                let to = to.join(", ");
                format!("mail of {account} goes to {to}, {copy} a copy in its mailbox\n")
            }
            Self::RemoveForward(account) => {
                addresses.remove_forward(account).await?;
                format!("mail of {account} stays in its mailbox\n")
            }
            Self::ShowForwards(account) => addresses.list_forwards(account.as_deref()),
        })
    }
}
