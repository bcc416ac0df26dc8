//! Giving up root's rights once all ports are open: what strangers send is then read by a user who may do little.

use nix::unistd::{Gid, Group, Uid, User, geteuid, setgroups, setresgid, setresuid};
use serde::Deserialize;
use std::path::Path;

use crate::private;

/// `[run]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Run {
    /// The user to become, when started as root.
    pub user: Option<String>,
    /// The group to become; the user's own if left out.
    pub group: Option<String>,
}

/// Why root's rights cannot be given up, in one line with the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrivilegesError {
    /// There is no such user.
    #[error(
        "[run] user: there is no user \"{0}\": make one, with \"adduser --system --group {0}\""
    )]
    NoUser(String),
    /// There is no such group.
    #[error("[run] group: there is no group \"{0}\": make one, with \"addgroup --system {0}\"")]
    NoGroup(String),
    /// Only root can become somebody else.
    #[error("[run] user: only root can become \"{0}\": start it as root, or as that user")]
    NotRoot(String),
    /// The system refuses.
    #[error("[run]: cannot become \"{0}\": {1}")]
    System(String, std::io::Error),
}

/// Becomes the configured user, in all threads and for good. Without one, or as that user already, nothing happens. A data
/// folder that is not there yet is made before, and is that user's. Returns whether rights were given up.
///
/// # Errors
/// One line, with the remedy.
pub fn drop_privileges(run: &Run, data: &Path) -> Result<bool, PrivilegesError> {
    use PrivilegesError as E;
    let Some((name, user, group)) = found(run)? else {
        return Ok(false);
    };
    let refused = |error: nix::Error| E::System(name.into(), error.into());
    if geteuid() == user {
        return Ok(false);
    }
    if !geteuid().is_root() {
        return Err(E::NotRoot(name.into()));
    }
    let own = || match private::folder(data)? {
        true => std::os::unix::fs::chown(data, Some(user.as_raw()), Some(group.as_raw())),
        false => Ok(()),
    };
    own().map_err(|error| E::System(name.into(), error))?;
    // In this order: who is not root any more cannot change groups. The saved IDs too, so that there is no way back.
    setgroups(&[group]).map_err(refused)?;
    setresgid(group, group, group).map_err(refused)?;
    setresuid(user, user, user).map_err(refused)?;
    Ok(true)
}

/// The configured user: its name, its ID, and the group to be in.
fn found(run: &Run) -> Result<Option<(&str, Uid, Gid)>, PrivilegesError> {
    use PrivilegesError as E;
    let Some(name) = &run.user else {
        return Ok(None);
    };
    let refused = |error: nix::Error| E::System(name.clone(), error.into());
    let user = User::from_name(name).map_err(refused)?;
    let user = user.ok_or_else(|| E::NoUser(name.clone()))?;
    let group = match &run.group {
        None => user.gid,
        Some(group) => {
            let found = Group::from_name(group).map_err(refused)?;
            found.ok_or_else(|| E::NoGroup(group.clone()))?.gid
        }
    };
    Ok(Some((name, user.uid, group)))
}

/// Whose the server's files are to be, where root makes them: the IDs of the configured user and of its group.
///
/// # Errors
/// One line, with the remedy.
pub(crate) fn owner(run: &Run) -> Result<Option<(u32, u32)>, PrivilegesError> {
    let owner = found(run)?.filter(|_| geteuid().is_root());
    Ok(owner.map(|(_, user, group)| (user.as_raw(), group.as_raw())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        assert!(!drop_privileges(&Run::default(), &data).unwrap());
        let nobody = Run {
            user: Some("no-such-user-here".into()),
            group: None,
        };
        let error = drop_privileges(&nobody, &data).unwrap_err();
        assert!(error.to_string().contains("adduser --system"), "{error}");
        let group = Run {
            user: Some("nobody".into()),
            group: Some("no-such-group-here".into()),
        };
        assert!(drop_privileges(&group, &data).is_err());
        assert!(!data.exists());
    }
}
