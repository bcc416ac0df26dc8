//! What the machine says by itself.

macro_rules! texts {
    ($($key:ident $english:literal)*) => {
        /// What the machine says by itself, for whoever translates it
        /// (see [`Connection::speak`](super::Connection::speak)).
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Text {
            $(
                #[doc = $english]
                $key,
            )*
        }

        impl Text {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$key,)*];

            /// As it is sent.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$key => $english,)*
                }
            }
        }
    };
}

texts! {
    LoggedIn "Logged in"
    WrongNameOrPassword "Wrong name or password"
    TryAgainLater "Try again later"
    AMailboxNameHoldsNo "A mailbox name holds no control characters"
    AutologoutIdleForTooLong "Autologout; idle for too long"
    BareCrOrLf "Bare CR or LF"
    BeginTls "Begin TLS"
    Bye "Bye"
    Cancelled "Cancelled"
    CommandTooLong "Command too long"
    CompressedAlready "Compressed already"
    Enabled "Enabled"
    EncryptionRequired "Encryption required"
    ExpectedDone "Expected DONE"
    LiteralOfMoreThan63 "Literal of more than 63 bits"
    LiteralTooBig "Literal too big"
    MechanismNotSupported "Mechanism not supported"
    NoIdleHere "No IDLE here"
    NoStarttlsHere "No STARTTLS here"
    NotAMailboxName "Not a mailbox name in modified UTF-7"
    NotAWayToCompress "Not a way to compress here"
    NotBase64 "Not base64"
    NotInThisState "Not in this state"
    NothingMayFollowCompress "Nothing may follow COMPRESS"
    NothingMayFollowStarttls "Nothing may follow STARTTLS"
    NulInALiteral "NUL in a literal"
    QresyncIsNotEnabled "QRESYNC is not enabled"
    ServerShuttingDown "Server shutting down"
    StarttlsFirst "STARTTLS first"
    ThatIsAll "That is all"
    TooManyErrors "Too many errors"
    UidsAreUsedOnly "UIDs are used only"
    VanishedIsForUidFetch "VANISHED is for UID FETCH after ENABLE QRESYNC"
    WhereThisCommandEndsCannot "Where this command ends cannot be known"
}
