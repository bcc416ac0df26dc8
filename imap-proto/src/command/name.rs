//! What commands are called.

use super::Command;

impl Command {
    /// The word it begins with, behind UID where that stands before it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Capability => "CAPABILITY",
            Self::Noop => "NOOP",
            Self::Logout => "LOGOUT",
            Self::Id(_) => "ID",
            Self::StartTls => "STARTTLS",
            Self::Login { .. } => "LOGIN",
            Self::Authenticate(_) => "AUTHENTICATE",
            Self::Enable(_) => "ENABLE",
            Self::Select {
                read_only: false, ..
            } => "SELECT",
            Self::Select { .. } => "EXAMINE",
            Self::Create { .. } => "CREATE",
            Self::Delete(_) => "DELETE",
            Self::Rename { .. } => "RENAME",
            Self::Subscribe(_) => "SUBSCRIBE",
            Self::Unsubscribe(_) => "UNSUBSCRIBE",
            Self::List(_) => "LIST",
            Self::Lsub { .. } => "LSUB",
            Self::Namespace => "NAMESPACE",
            Self::Status { .. } => "STATUS",
            Self::Idle => "IDLE",
            Self::GetQuota(_) => "GETQUOTA",
            Self::GetQuotaRoot(_) => "GETQUOTAROOT",
            Self::SetQuota { .. } => "SETQUOTA",
            Self::Check => "CHECK",
            Self::Close => "CLOSE",
            Self::Unselect => "UNSELECT",
            Self::Expunge(_) => "EXPUNGE",
            Self::Search { .. } => "SEARCH",
            Self::Sort { .. } => "SORT",
            Self::Thread { .. } => "THREAD",
            Self::Fetch { .. } => "FETCH",
            Self::Store { .. } | Self::StoreLabels { .. } => "STORE",
            Self::Copy { .. } => "COPY",
            Self::Move { .. } => "MOVE",
            other => other.name_of_extension(),
        }
    }

    fn name_of_extension(&self) -> &'static str {
        match self {
            Self::Unauthenticate => "UNAUTHENTICATE",
            Self::Compress(_) => "COMPRESS",
            Self::Language(_) => "LANGUAGE",
            Self::Comparator(_) => "COMPARATOR",
            Self::GetAcl(_) => "GETACL",
            Self::SetAcl(_) => "SETACL",
            Self::DeleteAcl { .. } => "DELETEACL",
            Self::ListRights { .. } => "LISTRIGHTS",
            Self::MyRights(_) => "MYRIGHTS",
            Self::GetMetadata(_) => "GETMETADATA",
            Self::SetMetadata { .. } => "SETMETADATA",
            Self::Notify(_) => "NOTIFY",
            Self::CancelUpdate(_) => "CANCELUPDATE",
            Self::ESearch { .. } => "ESEARCH",
            Self::UidBatches(_) => "UIDBATCHES",
            Self::GetJmapAccess => "GETJMAPACCESS",
            Self::RList { .. } => "RLIST",
            Self::RLsub { .. } => "RLSUB",
            Self::XList { .. } => "XLIST",
            Self::GenUrlAuth(_) => "GENURLAUTH",
            Self::ResetKey(_) => "RESETKEY",
            Self::UrlFetch(_) => "URLFETCH",
            Self::Convert { .. } => "CONVERT",
            Self::Conversions { .. } => "CONVERSIONS",
            _ => "",
        }
    }
}
