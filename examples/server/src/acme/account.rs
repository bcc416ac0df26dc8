//! The account at the ACME server (RFC 8555 §7.3): made once, then kept in the data folder.

use instant_acme::{Account, AccountCredentials, NewAccount};
use std::path::Path;

use super::failure::AcmeError;
use super::files;
use super::http::Https;
use super::settings::Acme;
use crate::private;

/// Opens the account at a server, or makes one.
pub(crate) async fn open(
    folder: &Path,
    directory: &str,
    settings: &Acme,
) -> Result<Account, AcmeError> {
    let https = Https::new(settings.root.as_deref());
    let https =
        https.map_err(|error| AcmeError::File(settings.root.clone().unwrap_or_default(), error))?;
    let builder = Account::builder_with_http(Box::new(https));
    let name = files::account(directory);
    let path = folder.join(&name);
    match std::fs::read(&path) {
        // One that cannot be read any more is replaced: an account holds nothing but its key.
        Ok(octets) => {
            if let Ok(known) = serde_json::from_slice::<AccountCredentials>(&octets) {
                return Ok(builder.from_credentials(known).await?);
            }
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(AcmeError::File(path, error)),
    }
    let contact = settings.contact.as_ref();
    let contact = contact.map(|address| format!("mailto:{address}"));
    let contact: Vec<_> = contact.as_deref().into_iter().collect();
    let new = NewAccount {
        contact: &contact,
        terms_of_service_agreed: true,
        only_return_existing: false,
    };
    let made = builder.create(&new, directory.to_owned(), None).await;
    let (account, credentials) = made?;
    let octets = serde_json::to_vec(&credentials).map_err(instant_acme::Error::from)?;
    private::write(folder, &name, &octets).map_err(|error| AcmeError::File(path, error))?;
    Ok(account)
}

/// Forgets the account, if the server says that it knows none of that key. Returns whether it does.
pub(crate) fn forget(folder: &Path, directory: &str, error: &AcmeError) -> bool {
    let AcmeError::Server(instant_acme::Error::Api(problem)) = error else {
        return false;
    };
    let kind = problem.r#type.as_deref().unwrap_or("");
    let path = folder.join(files::account(directory));
    kind == "urn:ietf:params:acme:error:accountDoesNotExist" && std::fs::remove_file(path).is_ok()
}
