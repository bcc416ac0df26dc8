//! Messages: appended, then looked at by IMAP, by `mailclient` and in the webmail.
