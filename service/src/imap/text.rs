//! The texts of a session in each language; a text without a translation does not compile.

use bytes::Bytes;
use hikyaku_imap_proto::server::Text as Machine;

macro_rules! texts {
    ($($key:ident $english:literal $japanese:literal)*) => {
        /// What a session says.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Text {
            $($key,)*
        }

        impl Text {
            pub(super) fn english(self) -> &'static str {
                match self {
                    $(Self::$key => $english,)*
                }
            }
        }

        /// A session's text in Japanese.
        fn of_session(english: &str) -> Option<&'static str> {
            match english {
                $($english => Some($japanese),)*
                _ => None,
            }
        }
    };
}

texts! {
    DiskFull "The server's disk is full, try again later" "サーバーのディスクがいっぱいです。後でもう一度お試しください"
    DiskFailed "The disk has failed, it is unknown whether this was done" "ディスクに障害があり、実行されたかどうかわかりません"
    Damaged "It is damaged on the server" "サーバー上で壊れています"
    ABatchHasAt "A batch has at least 500 messages" "1 組は 500 通以上です"
    AFilterIsUtF "A filter is UTF-8" "フィルターは UTF-8 で書きます"
    AMailboxStaysIn "A mailbox stays in its account: copy the messages" "メールボックスはほかのアカウントへ移せません。メッセージをコピーしてください"
    ATransferEncodingThat "Unknown transfer encoding" "この転送符号化には対応していません"
    AccessList "Access list" "アクセス権の一覧です"
    AllAndPartialAre "ALL and PARTIAL cannot be used in one search" "ALL と PARTIAL は一つの検索で同時に使えません"
    AnEmptyMessageIs "An empty message cannot be stored" "空のメッセージは保存できません"
    Annotations "Annotations" "注釈です"
    Appended "Appended" "追加しました"
    Batches "Batches" "組の一覧です"
    Closed "Closed" "閉じました"
    Compressing "Compressing" "圧縮を始めます"
    Copied "Copied" "コピーしました"
    Created "Created" "作成しました"
    CutOff "Cut off" "途中で切れました"
    Deleted "Deleted" "削除しました"
    Done "Done" "完了しました"
    DoneForTheHighest "Done for the highest UIDs only: one command may name no more messages" "一つのコマンドで扱える数だけ、大きい UID から処理しました"
    Expunged "Expunged" "消去しました"
    Fetched "Fetched" "取得しました"
    FirstUnseen "First unseen" "最初の未読です"
    Highest "Highest" "最大値です"
    Idled "Idled" "待機を終えました"
    ItExistsAlready "it exists already" "すでにあります"
    ItIsNotThere "Not found" "見つかりません"
    ItsIdentity "Its identity" "その識別子です"
    KeptFlags "Kept flags" "保存されるフラグです"
    Listed "Listed" "一覧です"
    MailboxFull "Mailbox full" "メールボックスがいっぱいです"
    MessageNewAndMessageExpungeGo "MessageNew and MessageExpunge go together" "MessageNew と MessageExpunge は一緒に指定します"
    MessageTooLarge "Message too large" "メッセージが大きすぎます"
    MessagesAreReportedIn "Messages are reported in the selected mailbox only" "メッセージの通知は選択中のメールボックスだけで使えます"
    MoreMessagesThanOne "More messages than one command may have" "一つのコマンドで扱えるメッセージの数を超えています"
    Moved "Moved" "移動しました"
    MovedTheMessagesOf "Moved the messages of INBOX" "INBOX のメッセージを移動しました"
    Namespaces "Namespaces" "名前空間です"
    NoMailboxIsSelected "No mailbox is selected" "メールボックスが選択されていません"
    NoSuchAccount "no such account" "そのアカウントはありません"
    NoSuchMailbox "no such mailbox" "そのメールボックスはありません"
    NobodyAgain "Logged out; you may log in again" "ログアウトしました。もう一度ログインできます"
    NoneOfTheseLanguages "None of these languages is supported" "これらの言語には対応していません"
    NotACharsetThat "This charset is not supported" "この文字コードには対応していません"
    NotACriterionThat "This sort criterion is not supported" "この並べ替え条件には対応していません"
    NotAFlagThat "This flag cannot be stored" "保存できないフラグです"
    NotARightThat "This right does not exist here" "この権利はありません"
    NotASearchKey "This search key cannot be used here" "ここでは使えない検索条件です"
    NotAUseThat "This special use is not supported" "ここではその用途を指定できません"
    NotAnAlgorithmThat "This algorithm is not supported" "このアルゴリズムには対応していません"
    NotAnEventThat "This event is not supported" "このイベントには対応していません"
    NotAnItemThat "This item is not supported" "この項目には対応していません"
    NotHere "Not here" "ここでは使えません"
    NotTheNameOf "Not the name of an entry" "項目の名前ではありません"
    Noted "Noted" "記録しました"
    NothingIsSentUnasked "Nothing is sent unasked" "自動の通知は行いません"
    NothingMayGoFrom "Messages cannot be removed from this mailbox" "このメールボックスからは削除できません"
    NothingToDo "Nothing to do" "変更するものはありません"
    NulStandsWhereNo "A NUL is in a place that no transfer encoding can encode" "転送符号化では表せない場所に NUL があります"
    OnlyMessagesAreReported "Only messages are reported of the selected mailbox" "選択中のメールボックスについて通知できるのはメッセージだけです"
    OverQuota "over quota" "容量制限を超えています"
    PleasedToMeetYou "Pleased to meet you" "はじめまして"
    PredictedNextUiD "Predicted next UID" "次の UID の予定です"
    Quota "Quota" "容量制限です"
    RelevancyIsOfFuzzY "RELEVANCY is for FUZZY searches only" "RELEVANCY は FUZZY と一緒に使います"
    Renamed "Renamed" "名前を変更しました"
    Replaced "Replaced" "置き換えました"
    ReportedFromNowOn "Reported from now on" "これから通知します"
    ReportedNoMore "Reported no more" "通知を停止しました"
    RightsThatThereAre "Rights" "権利の種類です"
    SaveIsOfThe "SAVE is for the selected mailbox only" "SAVE は選択中のメールボックスで使います"
    Searched "Searched" "検索しました"
    Searching "Searching" "検索中です"
    SelectedDelayedIsOf "selected-delayed is for NOTIFY only" "selected-delayed は NOTIFY で使います"
    SequenceNumbersAreOf "Sequence numbers are for the selected mailbox only" "通し番号は選択中のメールボックスで使います"
    Set "Set" "設定しました"
    SomeHadChanged "Some had changed" "変更済みのものがありました"
    Sorted "Sorted" "並べ替えました"
    Status "Status" "状態です"
    Stored "Stored" "変更しました"
    SubtreeOneIsOf "subtree-one is for ESEARCH only" "subtree-one は ESEARCH で使います"
    TakenOut "Removed" "取り除きました"
    ThatIsNotAllowed "That is not allowed here" "ここでは許可されていません"
    ThatIsNotAllowedThere "That is not allowed there" "そこでは許可されていません"
    ThatUrlLeadsNowhere "Nothing is found at that URL" "その URL の先には何もありません"
    TheClientIsGone "The client is gone" "クライアントは接続を終えました"
    TheListIsFull "The list is full" "一覧がいっぱいです"
    TheLowerBatchComes "The lower batch comes first" "小さい番号の組を先に書いてください"
    TheMailboxIsOpen "The mailbox is open for reading only" "メールボックスは読み取り専用で開かれています"
    TheNewOneIs "The new message is stored" "新しいメッセージを保存しました"
    TheOwnerHasAll "The owner has all rights, always" "所有者は常にすべての権利を持ちます"
    TheQuotaIsThe "Only the administrator can change the quota" "容量制限を変更できるのは管理者だけです"
    TheSelectedMailboxIs "The selected mailbox is no longer shared" "選択中のメールボックスの共有は終わりました"
    TheSelectedMailboxIsGone "The selected mailbox is gone" "選択中のメールボックスはなくなりました"
    TheSelectedMailboxWas "The selected mailbox was deleted" "選択中のメールボックスは削除されました"
    TheValueIsToo "The value is too long" "値が長すぎます"
    ThereIsNoSuch "There is no such mailbox" "そのメールボックスはありません"
    ThereIsNoSuchFilter "There is no such filter" "そのフィルターはありません"
    ThereIsNoSuchMessage "There is no such message" "そのメッセージはありません"
    ThereIsNoSuchQuota "There is no such quota root" "その容量制限の単位はありません"
    ThereIsNoSuchSequence "There is no such sequence number" "その通し番号はありません"
    ThereIsNobodyOf "There is no account of that name" "その名前のアカウントはありません"
    TheseLanguagesThereAre "Supported languages" "使える言語の一覧です"
    ThisLanguageFromNow "This language from now on" "これからは日本語でお答えします"
    ThoseFlagsAreNot "You may not change these flags" "それらのフラグを変更する権利がありません"
    Threaded "Threaded" "スレッドにまとめました"
    TooManyAnnotations "Too many annotations" "注釈が多すぎます"
    TooManyConnections "Too many connections" "接続が多すぎます"
    TooManyMailboxes "Too many mailboxes" "メールボックスが多すぎます"
    TooManyMessagesAt "Too many messages at once" "一度に扱うメッセージが多すぎます"
    TooManySearchKeys "Too many search keys" "検索条件が多すぎます"
    TooManySearchesTo "Too many searches to report" "通知する検索が多すぎます"
    TryAgainLater "Try again later" "しばらくしてからもう一度お試しください"
    UiDsAreValid "UIDs are valid" "UID は有効です"
    Unselected "Unselected" "選択を解除しました"
    UpdateIsOfThe "UPDATE is for the selected mailbox only" "UPDATE は選択中のメールボックスで使います"
    WhatAllShareIs "Only the administrator can set shared values" "全員で共有する値を設定できるのは管理者だけです"
    WhereIsTheMessage "The message is missing" "メッセージが見つかりません"
    WithUtF8AcceptThere "With UTF8=ACCEPT there is no CHARSET" "UTF8=ACCEPT では CHARSET を使えません"
    YourRights "Your rights" "あなたの権利です"
}

/// What the machine says by itself, in Japanese.
const OF_MACHINE: &[(Machine, &str)] = &[
    (Machine::LoggedIn, "ログインしました"),
    (
        Machine::WrongNameOrPassword,
        "名前またはパスワードが違います",
    ),
    (
        Machine::TryAgainLater,
        "しばらくしてからもう一度お試しください",
    ),
    (
        Machine::AMailboxNameHoldsNo,
        "メールボックス名に制御文字は使えません",
    ),
    (
        Machine::AutologoutIdleForTooLong,
        "長い間操作がなかったため切断します",
    ),
    (Machine::BareCrOrLf, "CR または LF が単独で使われています"),
    (Machine::BeginTls, "TLS を開始してください"),
    (Machine::Bye, "さようなら"),
    (Machine::Cancelled, "取り消されました"),
    (Machine::CommandTooLong, "コマンドが長すぎます"),
    (Machine::CompressedAlready, "すでに圧縮されています"),
    (Machine::Enabled, "有効にしました"),
    (Machine::EncryptionRequired, "暗号化が必要です"),
    (Machine::ExpectedDone, "DONE が必要です"),
    (
        Machine::LiteralOfMoreThan63,
        "リテラルの長さが 63 ビットを超えています",
    ),
    (Machine::LiteralTooBig, "リテラルが大きすぎます"),
    (
        Machine::MechanismNotSupported,
        "その認証方式には対応していません",
    ),
    (Machine::NoIdleHere, "ここでは IDLE を使えません"),
    (Machine::NoStarttlsHere, "ここでは STARTTLS を使えません"),
    (
        Machine::NotAMailboxName,
        "修正 UTF-7 のメールボックス名ではありません",
    ),
    (
        Machine::NotAWayToCompress,
        "その圧縮方式には対応していません",
    ),
    (Machine::NotBase64, "Base64 ではありません"),
    (Machine::NotInThisState, "この状態では使えません"),
    (
        Machine::NothingMayFollowCompress,
        "COMPRESS の後には何も送れません",
    ),
    (
        Machine::NothingMayFollowStarttls,
        "STARTTLS の後には何も送れません",
    ),
    (Machine::NulInALiteral, "リテラルに NUL が含まれています"),
    (
        Machine::QresyncIsNotEnabled,
        "QRESYNC が有効になっていません",
    ),
    (Machine::ServerShuttingDown, "サーバーを停止します"),
    (Machine::StarttlsFirst, "先に STARTTLS を実行してください"),
    (Machine::ThatIsAll, "以上です"),
    (Machine::TooManyErrors, "エラーが多すぎます"),
    (Machine::UidsAreUsedOnly, "UID だけを使ってください"),
    (
        Machine::VanishedIsForUidFetch,
        "VANISHED は ENABLE QRESYNC の後の UID FETCH で使います",
    ),
    (
        Machine::WhereThisCommandEndsCannot,
        "コマンドの終わりがわかりません",
    ),
];

/// A text in Japanese.
pub(super) fn japanese(english: &str) -> Option<&'static str> {
    of_session(english).or_else(|| {
        let text = Machine::ALL.iter().find(|text| text.as_str() == english)?;
        let found = OF_MACHINE.iter().find(|(known, _)| known == text);
        found.map(|(_, japanese)| *japanese)
    })
}

impl From<Text> for String {
    fn from(text: Text) -> Self {
        text.english().into()
    }
}

impl From<Text> for Bytes {
    fn from(text: Text) -> Self {
        Self::from_static(text.english().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_of_the_machine_is_there_in_japanese() {
        for text in Machine::ALL {
            assert!(japanese(text.as_str()).is_some(), "{text:?}");
        }
        assert_eq!(japanese("Fetched"), Some("取得しました"));
        assert_eq!(japanese("no such text"), None);
    }
}
