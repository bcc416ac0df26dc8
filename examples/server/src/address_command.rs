//! `mailserver alias`, `domain`, `identity` and `forward`: what an operator changes about addresses.

use clap::Subcommand;
use mailserver::control::{Request, perform};
use mailserver::{AddressRequest, Config};

/// What is done with aliases.
#[derive(Debug, Subcommand)]
pub(crate) enum Alias {
    /// Adds addresses to an alias, and makes the alias if there is none.
    Add {
        /// The alias, such as sales@example.org; "@example.org" for all addresses of a domain that nobody has.
        alias: String,
        /// The addresses that it stands for, here or at other servers.
        #[arg(required = true)]
        to: Vec<String>,
        /// Makes it a mailing list: this address is notified of failures, in place of the sender.
        #[arg(long, value_name = "ADDRESS")]
        owner: Option<String>,
    },
    /// Removes an alias, or addresses from it.
    Remove {
        /// The alias.
        alias: String,
        /// The addresses that it does not stand for any more; the alias is removed if none is given.
        to: Vec<String>,
    },
    /// Lists all aliases.
    List,
}

/// What is done with domains.
#[derive(Debug, Subcommand)]
pub(crate) enum Domain {
    /// Adds a domain: mail for it is delivered here.
    Add {
        /// The domain.
        name: String,
    },
    /// Removes a domain that has no accounts and aliases any more.
    Remove {
        /// The domain.
        name: String,
    },
    /// Makes a domain another name of one of this server: `domain alias example.net example.org`.
    Alias {
        /// The further name.
        name: String,
        /// The domain that it means.
        means: String,
    },
    /// Lists all domains.
    List,
}

/// What is done with identities.
#[derive(Debug, Subcommand)]
pub(crate) enum Identity {
    /// Lets an account write as another address.
    Add {
        /// The account.
        account: String,
        /// The address; "@example.org" for all of a domain.
        address: String,
    },
    /// Takes an identity from an account.
    Remove {
        /// The account.
        account: String,
        /// The address.
        address: String,
    },
    /// Lists the identities of an account, or of all.
    List {
        /// The account.
        account: Option<String>,
    },
}

/// What is done with forwards.
#[derive(Debug, Subcommand)]
pub(crate) enum Forward {
    /// Passes an account's mail on, in place of what was set before.
    Set {
        /// The account.
        account: String,
        /// The addresses that its mail goes to.
        #[arg(required = true)]
        to: Vec<String>,
        /// Keeps no copy in the account's mailbox.
        #[arg(long)]
        no_copy: bool,
    },
    /// Keeps an account's mail in its mailbox again.
    Remove {
        /// The account.
        account: String,
    },
    /// Shows where the mail of an account goes, or of all that are forwarded.
    Show {
        /// The account.
        account: Option<String>,
    },
}

impl From<Alias> for AddressRequest {
    fn from(alias: Alias) -> Self {
        match alias {
            Alias::Add { alias, to, owner } => Self::AddAlias { alias, to, owner },
            Alias::Remove { alias, to } => Self::RemoveAlias { alias, to },
            Alias::List => Self::ListAliases,
        }
    }
}

impl From<Domain> for AddressRequest {
    fn from(domain: Domain) -> Self {
        match domain {
            Domain::Add { name } => Self::AddDomain(name),
            Domain::Remove { name } => Self::RemoveDomain(name),
            Domain::Alias { name, means } => Self::AliasDomain { name, means },
            Domain::List => Self::ListDomains,
        }
    }
}

impl From<Identity> for AddressRequest {
    fn from(identity: Identity) -> Self {
        match identity {
            Identity::Add { account, address } => Self::AddIdentity { account, address },
            Identity::Remove { account, address } => Self::RemoveIdentity { account, address },
            Identity::List { account } => Self::ListIdentities(account),
        }
    }
}

impl From<Forward> for AddressRequest {
    fn from(forward: Forward) -> Self {
        match forward {
            Forward::Set {
                account,
                to,
                no_copy,
            } => Self::SetForward {
                account,
                to,
                copy: !no_copy,
            },
            Forward::Remove { account } => Self::RemoveForward(account),
            Forward::Show { account } => Self::ShowForwards(account),
        }
    }
}

/// Does it.
pub(crate) async fn run(config: &Config, request: AddressRequest) -> Result<(), String> {
    let answer = perform(config, &Request::Addresses(request)).await;
    print!("{}", answer.map_err(|error| error.to_string())?);
    Ok(())
}
