//! LANGUAGE: texts in English or Japanese (RFC 5255 §3).

use bytes::Bytes;
use imap_proto::{MailboxName, Response, ResponseCode};

use super::{End, Session, access};

/// English comes first: it is what i-default and default mean.
const LANGUAGES: [&str; 3] = ["en", "ja", "i-default"];

impl Session<'_> {
    pub(super) fn language(&mut self, ranges: &[Bytes]) -> Result<End, End> {
        if ranges.is_empty() {
            let all = LANGUAGES.map(Into::into).into();
            self.respond(&Response::Language(all));
            return Ok(End::ok("These languages there are"));
        }
        let language = ranges.iter().find_map(|range| lookup(range));
        let Some(language) = language else {
            let text = "None of these languages is spoken here";
            return Err(End::no(ResponseCode::Cannot, text));
        };
        self.respond(&Response::Language([language.into()].into()));
        self.japanese = language == "ja";
        let texts: Option<imap_proto::server::Translation> = match self.japanese {
            true => Some(japanese),
            false => None,
        };
        self.driver.machine.speak(texts);
        // RFC 5255 §3.4: what namespaces are called changes with it.
        self.tell_namespaces();
        Ok(End::ok("This language from now on"))
    }

    /// TRANSLATION of a namespace's prefix (RFC 5255 §3.4).
    pub(super) fn translations(&self, prefix: &str) -> Vec<(Bytes, Bytes)> {
        if !self.japanese || prefix != access::OTHERS {
            return Vec::new();
        }
        let name = MailboxName::new("ほかのユーザー/");
        let value = format!("(\"{}\")", name.wire());
        vec![("TRANSLATION".into(), value.into())]
    }
}

/// The language that a range means, if there is such a one: what is more special than what there is leads
/// to that (RFC 4647 §3.4).
fn lookup(range: &[u8]) -> Option<&'static str> {
    let range = std::str::from_utf8(range).ok()?.to_ascii_lowercase();
    if matches!(range.as_str(), "default" | "*") {
        return Some(LANGUAGES[0]);
    }
    let mut range = range.as_str();
    loop {
        if let Some(found) = LANGUAGES.into_iter().find(|one| *one == range) {
            return Some(found);
        }
        (range, _) = range.rsplit_once('-')?;
    }
}

/// What the session and its machine say, in Japanese.
pub(super) fn japanese(text: &str) -> Option<&'static str> {
    let found = JAPANESE.binary_search_by_key(&text, |(english, _)| english);
    found
        .ok()
        .and_then(|at| JAPANESE.get(at))
        .map(|(_, japanese)| *japanese)
}

/// In the order of the English texts.
const JAPANESE: &[(&str, &str)] = &[
    ("A batch has at least 500 messages", "1 組は 500 通以上です"),
    ("A filter is UTF-8", "フィルターは UTF-8 で書きます"),
    (
        "A mailbox name holds no control characters",
        "メールボックス名に制御文字は使えません",
    ),
    (
        "A mailbox stays in its account: copy the messages",
        "メールボックスはほかのアカウントへ移せません。メッセージをコピーしてください",
    ),
    (
        "A transfer encoding that is not known",
        "知らない転送符号化です",
    ),
    (
        "ALL and PARTIAL are not for one search",
        "ALL と PARTIAL は一つの検索で同時に使えません",
    ),
    ("Access list", "アクセス権の一覧です"),
    ("An empty message is none", "空のメッセージは保存できません"),
    ("Annotations", "注釈です"),
    ("Appended", "追加しました"),
    (
        "Autologout; idle for too long",
        "長い間操作がなかったため切断します",
    ),
    ("Bare CR or LF", "CR または LF が単独で使われています"),
    ("Batches", "組の一覧です"),
    ("Begin TLS", "TLS を開始してください"),
    ("Bye", "さようなら"),
    ("Cancelled", "取り消されました"),
    ("Closed", "閉じました"),
    ("Command too long", "コマンドが長すぎます"),
    ("Compressed already", "すでに圧縮されています"),
    ("Compressing", "圧縮を始めます"),
    ("Copied", "コピーしました"),
    ("Cut off", "途中で切れました"),
    ("Deleted", "削除しました"),
    ("Done", "完了しました"),
    (
        "Done for the highest UIDs, as many as one command may have",
        "一つのコマンドで扱える数だけ、大きい UID から処理しました",
    ),
    ("Enabled", "有効にしました"),
    ("Expected DONE", "DONE が必要です"),
    ("Expunged", "消去しました"),
    ("Fetched", "取得しました"),
    ("First unseen", "最初の未読です"),
    ("Highest", "最大値です"),
    ("Idled", "待機を終えました"),
    ("It is not there", "ありません"),
    ("Its identity", "その識別子です"),
    ("Kept flags", "保存されるフラグです"),
    ("Listed", "一覧です"),
    (
        "Literal of more than 63 bits",
        "リテラルの長さが 63 ビットを超えています",
    ),
    ("Literal too big", "リテラルが大きすぎます"),
    ("Logged in", "ログインしました"),
    ("Mailbox full", "メールボックスがいっぱいです"),
    (
        "Mechanism not supported",
        "その認証方式には対応していません",
    ),
    ("Message too large", "メッセージが大きすぎます"),
    (
        "MessageNew and MessageExpunge go together",
        "MessageNew と MessageExpunge は一緒に指定します",
    ),
    (
        "Messages are told of in the selected mailbox only",
        "メッセージは選択中のメールボックスのものだけが知らされます",
    ),
    (
        "More messages than one command may have",
        "一つのコマンドで扱えるメッセージの数を超えています",
    ),
    ("Moved", "移動しました"),
    (
        "Moved the messages of INBOX",
        "INBOX のメッセージを移動しました",
    ),
    ("NUL in a literal", "リテラルに NUL が含まれています"),
    (
        "NUL stands where no transfer encoding can hide it",
        "転送符号化では表せない場所に NUL があります",
    ),
    ("Namespaces", "名前空間です"),
    ("No IDLE here", "ここでは IDLE を使えません"),
    ("No STARTTLS here", "ここでは STARTTLS を使えません"),
    (
        "No mailbox is selected",
        "メールボックスが選択されていません",
    ),
    ("Nobody again", "ログイン前の状態に戻りました"),
    (
        "None of these languages is spoken here",
        "これらの言語には対応していません",
    ),
    ("Not a charset that is known here", "知らない文字コードです"),
    (
        "Not a criterion that is known here",
        "知らない並べ替え条件です",
    ),
    ("Not a flag that can be kept", "保存できないフラグです"),
    ("Not a right that there is here", "ここにはない権利です"),
    ("Not a search key here", "ここでは使えない検索条件です"),
    (
        "Not a use that a mailbox can have here",
        "ここではその用途を指定できません",
    ),
    (
        "Not a way to compress here",
        "その圧縮方式には対応していません",
    ),
    (
        "Not an algorithm that is known here",
        "知らないアルゴリズムです",
    ),
    (
        "Not an event that there is here",
        "ここにはないイベントです",
    ),
    ("Not an item that is known here", "知らない項目です"),
    ("Not base64", "Base64 ではありません"),
    ("Not here", "ここでは使えません"),
    ("Not in this state", "この状態では使えません"),
    ("Not the name of an entry", "項目の名前ではありません"),
    ("Not told any more", "もう知らせません"),
    ("Noted", "記録しました"),
    ("Nothing is told unasked", "求められないことは知らせません"),
    (
        "Nothing may follow COMPRESS",
        "COMPRESS の後には何も送れません",
    ),
    (
        "Nothing may follow STARTTLS",
        "STARTTLS の後には何も送れません",
    ),
    ("Nothing may go from here", "ここからは何も消せません"),
    ("Nothing to do", "することはありません"),
    (
        "Only messages are told of the selected mailbox",
        "選択中のメールボックスについてはメッセージだけが知らされます",
    ),
    ("Pleased to meet you", "はじめまして"),
    ("Predicted next UID", "次の UID の予定です"),
    ("QRESYNC is not enabled", "QRESYNC が有効になっていません"),
    ("Quota", "容量制限です"),
    (
        "RELEVANCY is of FUZZY",
        "RELEVANCY は FUZZY と一緒に使います",
    ),
    ("Renamed", "名前を変更しました"),
    ("Replaced", "置き換えました"),
    ("Rights that there are", "権利の種類です"),
    (
        "SAVE is of the selected mailbox",
        "SAVE は選択中のメールボックスで使います",
    ),
    ("STARTTLS first", "先に STARTTLS を実行してください"),
    ("Searched", "検索しました"),
    ("Searching", "検索中です"),
    (
        "Sequence numbers are of the selected mailbox",
        "通し番号は選択中のメールボックスで使います",
    ),
    ("Server shutting down", "サーバーを停止します"),
    ("Set", "設定しました"),
    ("Some had changed", "変更済みのものがありました"),
    ("Sorted", "並べ替えました"),
    ("Status", "状態です"),
    ("Stored", "変更しました"),
    ("Taken out", "取り除きました"),
    ("That URL leads nowhere", "その URL の先には何もありません"),
    ("That is all", "以上です"),
    ("That is not allowed here", "ここでは許可されていません"),
    ("That is not allowed there", "そこでは許可されていません"),
    ("The client is gone", "クライアントは接続を終えました"),
    ("The list is full", "一覧がいっぱいです"),
    (
        "The lower batch comes first",
        "小さい番号の組を先に書いてください",
    ),
    (
        "The mailbox is open for reading only",
        "メールボックスは読み取り専用で開かれています",
    ),
    ("The new one is here", "新しいものが届きました"),
    (
        "The owner has all rights, always",
        "所有者は常にすべての権利を持ちます",
    ),
    (
        "The quota is the administrator's",
        "容量制限を変更できるのは管理者だけです",
    ),
    (
        "The selected mailbox is gone",
        "選択中のメールボックスはなくなりました",
    ),
    (
        "The selected mailbox is shared no more",
        "選択中のメールボックスの共有は終わりました",
    ),
    (
        "The selected mailbox was deleted",
        "選択中のメールボックスは削除されました",
    ),
    ("The value is too long", "値が長すぎます"),
    ("There is no such filter", "そのフィルターはありません"),
    ("There is no such mailbox", "そのメールボックスはありません"),
    ("There is no such message", "そのメッセージはありません"),
    (
        "There is no such quota root",
        "その容量制限の単位はありません",
    ),
    (
        "There is no such sequence number",
        "その通し番号はありません",
    ),
    ("There is nobody of that name", "その名前の人はいません"),
    ("These languages there are", "使える言語の一覧です"),
    (
        "This language from now on",
        "これからは日本語でお答えします",
    ),
    (
        "Those flags are not yours to change",
        "それらのフラグを変更する権利がありません",
    ),
    ("Threaded", "スレッドにまとめました"),
    ("Told from now on", "これから知らせます"),
    ("Too many annotations", "注釈が多すぎます"),
    ("Too many connections", "接続が多すぎます"),
    ("Too many errors", "エラーが多すぎます"),
    ("Too many mailboxes", "メールボックスが多すぎます"),
    (
        "Too many messages at once",
        "一度に扱うメッセージが多すぎます",
    ),
    ("Too many search keys", "検索条件が多すぎます"),
    ("Too many searches to tell of", "知らせる検索が多すぎます"),
    ("Try again later", "しばらくしてからもう一度お試しください"),
    ("UIDs are used only", "UID だけを使ってください"),
    ("UIDs are valid", "UID は有効です"),
    (
        "UPDATE is of the selected mailbox",
        "UPDATE は選択中のメールボックスで使います",
    ),
    ("Unselected", "選択を解除しました"),
    (
        "VANISHED is for UID FETCH after ENABLE QRESYNC",
        "VANISHED は ENABLE QRESYNC の後の UID FETCH で使います",
    ),
    (
        "What all share is the administrator's to set",
        "全員で共有する値を設定できるのは管理者だけです",
    ),
    ("Where is the message?", "メッセージが見つかりません"),
    (
        "Where this command ends cannot be known",
        "コマンドの終わりがわかりません",
    ),
    (
        "With UTF8=ACCEPT there is no CHARSET",
        "UTF8=ACCEPT では CHARSET を使えません",
    ),
    ("Wrong name or password", "名前またはパスワードが違います"),
    ("Your rights", "あなたの権利です"),
    ("it exists already", "すでにあります"),
    ("no such account", "そのアカウントはありません"),
    ("no such mailbox", "そのメールボックスはありません"),
    ("over quota", "容量制限を超えています"),
    (
        "selected-delayed is of NOTIFY",
        "selected-delayed は NOTIFY で使います",
    ),
    (
        "subtree-one is of ESEARCH",
        "subtree-one は ESEARCH で使います",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_more_special_leads_to_what_there_is() {
        for (range, language) in [
            ("ja", Some("ja")),
            ("JA-jp", Some("ja")),
            ("en-US-x-twain", Some("en")),
            ("i-default", Some("i-default")),
            ("default", Some("en")),
            ("jap", None),
            ("de", None),
            ("", None),
        ] {
            assert_eq!(lookup(range.as_bytes()), language, "{range}");
        }
    }

    #[test]
    fn texts_are_in_order() {
        assert!(JAPANESE.is_sorted_by(|a, b| a.0 < b.0));
    }

    /// What stands between quotes in the calls that say something, in this module and in the machine.
    fn texts() -> Vec<String> {
        let mut texts = Vec::new();
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/");
        let said = [
            "End::ok(",
            "End::bad(",
            "End::no(",
            "untagged_ok(",
            "End(",
            "let text = ",
            ".bye(",
            ".say(",
        ];
        for folder in ["src/imap", "../../imap-proto/src/server"] {
            for file in std::fs::read_dir(format!("{root}{folder}")).unwrap() {
                let path = file.unwrap().path();
                let source = std::fs::read_to_string(&path).unwrap();
                let source = source.split("#[cfg(test)]").next().unwrap();
                if path.ends_with("tests.rs") {
                    continue;
                }
                for (at, begin) in said.iter().flat_map(|begin| source.match_indices(begin)) {
                    let rest = &source[at + begin.len()..];
                    let call = rest.split([';', '}']).next().unwrap_or("");
                    if !call.contains("warn!") {
                        texts.extend(call.split('"').nth(1).map(str::to_owned));
                    }
                }
            }
        }
        texts
    }

    #[test]
    fn every_text_is_there_in_japanese() {
        let texts = texts();
        assert!(texts.len() > 100, "{}", texts.len());
        let missing: Vec<&String> = texts
            .iter()
            .filter(|text| text.contains(' ') && !text.contains('{') && japanese(text).is_none())
            .collect();
        assert!(missing.is_empty(), "{missing:#?}");
    }
}
