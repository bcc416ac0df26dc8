//! What the pages say, in English and in Japanese.

use axum::http::{HeaderMap, header};

/// The language of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// English.
    English,
    /// 日本語
    Japanese,
}

impl Language {
    /// The one the browser asks for first of those there are.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        let accepted = headers
            .get(header::ACCEPT_LANGUAGE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or("");
        let mut languages = accepted
            .split(',')
            .map(|one| one.trim().to_ascii_lowercase());
        let known = languages.find(|one| one.starts_with("en") || one.starts_with("ja"));
        match known {
            Some(one) if one.starts_with("ja") => Self::Japanese,
            _ => Self::English,
        }
    }

    /// The language of that code.
    #[must_use]
    pub fn named(code: &str) -> Self {
        if code == "ja" {
            Self::Japanese
        } else {
            Self::English
        }
    }

    pub(crate) fn words(self) -> &'static Words {
        match self {
            Self::English => &ENGLISH,
            Self::Japanese => &JAPANESE,
        }
    }
}

macro_rules! words {
    ($($name:ident: $english:literal, $japanese:literal;)*) => {
        /// What the pages say.
        #[derive(Debug)]
        pub(crate) struct Words {
            /// As HTML names the language.
            pub(crate) code: &'static str,
            $(pub(crate) $name: &'static str,)*
        }
        const ENGLISH: Words = Words { code: "en", $($name: $english,)* };
        const JAPANESE: Words = Words { code: "ja", $($name: $japanese,)* };
    };
}

words! {
    log_in: "Log in", "ログイン";
    log_out: "Log out", "ログアウト";
    address: "Address", "メールアドレス";
    password: "Password", "パスワード";
    wrong: "Address or password is wrong.", "メールアドレスまたはパスワードが違います。";
    too_often: "Too many attempts. Try again in a minute.", "試行回数が多すぎます。1分後にもう一度お試しください。";
    unreachable: "The mail server cannot be reached. Try again later.", "メールサーバーに接続できません。後でもう一度お試しください。";
    other_language: "日本語", "English";
    folders: "Folders", "フォルダー";
    inbox: "Inbox", "受信トレイ";
    sent: "Sent", "送信済み";
    drafts: "Drafts", "下書き";
    trash: "Trash", "ごみ箱";
    archive: "Archive", "アーカイブ";
    junk: "Junk", "迷惑メール";
    unread: "unread", "未読";
    write: "Write", "作成";
    search: "Search", "検索";
    search_in: "Search this folder", "このフォルダーを検索";
    nothing: "Nothing here.", "ここには何もありません。";
    older: "Older", "前のメール";
    newest: "Newest", "最新";
    refresh: "Check for mail", "新着を確認";
    mark_read: "Read", "既読にする";
    mark_unread: "Unread", "未読にする";
    flag: "Flag", "フラグ";
    unflag: "Unflag", "フラグを外す";
    move_to: "Move to", "移動先";
    move_: "Move", "移動";
    delete: "Delete", "削除";
    for_good: "Delete for good", "完全に削除";
    all: "All", "すべて";
    selected: "Selected messages", "選択したメール";
    reply: "Reply", "返信";
    reply_all: "Reply to all", "全員に返信";
    forward: "Forward", "転送";
    edit: "Go on writing", "編集を続ける";
    from: "From", "差出人";
    to: "To", "宛先";
    cc: "Cc", "Cc";
    bcc: "Bcc", "Bcc";
    date: "Date", "日付";
    subject: "Subject", "件名";
    no_subject: "(no subject)", "(件名なし)";
    text: "Text", "本文";
    attachments: "Attachments", "添付ファイル";
    attach: "Attach files", "ファイルを添付";
    send: "Send", "送信";
    keep: "Keep as draft", "下書きに保存";
    sent_to_all: "Sent.", "送信しました。";
    kept: "Kept among the drafts.", "下書きに保存しました。";
    not_sent: "Not sent to:", "次の宛先に送信できませんでした:";
    no_recipient: "To whom? An address is missing.", "宛先を入力してください。";
    as_text: "Show as text", "テキストで表示";
    images: "Show images from elsewhere", "外部の画像を表示";
    as_html: "Show as HTML", "HTMLで表示";
    html_message: "The message, without what could harm", "メール本文 (安全な表示)";
    quota_full: "The mailbox is nearly full. Delete something, or mail will be refused.", "メールボックスの空きが残りわずかです。削除しないとメールを受信できなくなります。";
    used: "used", "使用中";
    not_found: "This is not here any more.", "見つかりません。";
    failed: "That did not work:", "エラーが発生しました:";
    expired: "This form is out of date. Go back, and try again.", "フォームの有効期限が切れました。戻ってやり直してください。";
    back: "Back", "戻る";
    outside: "Other accounts", "他のアカウント";
    outside_add: "Add an account at another provider", "他社のアカウントを追加";
    outside_kind: "Type", "種類";
    outside_in: "Incoming server (host:port)", "受信サーバー (ホスト:ポート)";
    outside_out: "Outgoing server (host:port)", "送信サーバー (ホスト:ポート)";
    outside_fingerprint: "Trusted certificate (sha256 fingerprint, if the server has one of its own)", "信頼する証明書 (サーバー独自の証明書の sha256 フィンガープリント)";
    outside_folder: "Into the folder", "保存先フォルダー";
    outside_delete: "Delete there what was fetched (POP)", "取得後にサーバーから削除 (POP)";
    outside_kept: "The password is kept on this server, so that it can fetch by itself.", "自動取得のため、パスワードはこのサーバーに保存されます。";
    outside_fetch: "Fetch now", "今すぐ取得";
    outside_remove: "Remove", "削除する";
    outside_new: "new messages", "件の新着";
    outside_many: "There are too many accounts already.", "アカウントが多すぎます。";
    add: "Add", "追加";
    skip: "Skip to the mail", "メールへ移動";
    flagged: "flagged", "フラグ付き";
    answered: "answered", "返信済み";
    not_now: "Not sent yet; the mail server asks to try again later:", "メールサーバーの都合でまだ送信できていません。後でもう一度送信してください:";
    unknown_fate: "The connection was lost, so it is not known whether these recipients have the message. Sending again may deliver it twice:", "接続が切れたため、次の宛先に届いたかどうか分かりません。もう一度送信すると二重に届くことがあります:";
    no_answer: "no answer", "応答がありません";
    has_it: "Already sent, and not sent again, to:", "次の宛先には送信済みです (再送されません):";
    all_have_it: "Everyone named here already has this message.", "ここにある宛先にはすべて送信済みです。";
    sent_before: "This message was already sent. To send what is written here now as a new message, press Send again.", "このメールは送信済みです。ここに書かれている内容を新しいメールとして送るには、もう一度「送信」を押してください。";
    tried_before: "Sending this was already tried. To try again, press Send.", "このメールは一度送信を試みました。再試行するには「送信」を押してください。";
    no_address: "This is not an e-mail address:", "メールアドレスとして正しくありません:";
    draft_kept: "Everything below is saved as a draft.", "以下の内容は下書きに保存されています。";
    not_kept: "This could not be saved as a draft:", "下書きに保存できませんでした:";
    attach_again: "Please attach these files again:", "次のファイルを添付し直してください:";
    attachments_gone: "Some attachments of this draft are no longer there. Please check before sending.", "この下書きの添付ファイルの一部が見つかりません。送信前に確認してください。";
    no_copy: "No copy could be saved in Sent.", "送信済みフォルダーに控えを保存できませんでした。";
    sent_without_copy: "Sent, but no copy could be saved in Sent.", "送信しましたが、送信済みフォルダーに控えを保存できませんでした。";
    discarded: "The draft is in the trash.", "下書きをごみ箱に移動しました。";
    discard: "Discard", "破棄";
    detach: "Remove", "削除";
    too_large: "Too large to attach:", "大きすぎて添付できません:";
    at_most: "all attachments together may have", "添付ファイルの合計の上限:";
    broken_off: "The upload ended before everything had arrived. Please check before sending.", "アップロードが途中で終わりました。送信前に確認してください。";
    not_sent_yet: "You have logged in again since this page was opened, so nothing was sent. Please check and send again.", "このページを開いた後にログインし直したため、まだ送信していません。内容を確認して、もう一度送信してください。";
    over: "Your session is over. Log in to continue writing.", "セッションが終了しました。続きを書くにはログインしてください。";
    over_kept: "What you wrote is saved in your drafts.", "書いた内容は下書きに保存されています。";
    over_carried: "What you wrote is kept on this page until you log in.", "書いた内容は、ログインするまでこのページに保持されています。";
    written_as: "You are logged in as someone else by now. To continue with what was written here, log in as", "別のアカウントでログインしています。ここに書かれた内容の続きを書くには、次のアカウントでログインしてください:";
    without: "Log in without it", "この内容を破棄してログイン";
    autosaved: "Saved as a draft", "下書きに保存しました";
    not_autosaved: "Not saved", "保存できていません";
    without_scripts: "Without scripts nothing is saved while you type: save the draft before you leave this page.", "スクリプトが無効なため、入力中の内容は自動保存されません。このページを離れる前に下書きを保存してください。";
    image: "Image", "画像";
    images_hidden: "Images from elsewhere are not shown.", "外部の画像は表示していません。";
    images_always: "Always show images from this sender", "この差出人の画像を常に表示";
    images_trusted: "Images from this sender are always shown.", "この差出人の画像は常に表示されます。";
    images_stop: "Do not show them any more", "今後は表示しない";
    image_failed: "Image could not be fetched", "画像を取得できません";
    image_refused: "Image is too large, or none", "画像が大きすぎるか、画像ではありません";
    leads_to: "This link leads to:", "リンク先:";
    reply_to: "Replies go to", "返信先";
    misleads: "The name looks like another address.", "名前が別のアドレスに見えます。";
    is_cut: "This message is very long. Only its beginning is shown.", "このメールは非常に長いため、先頭だけを表示しています。";
    save_message: "Save the whole message", "メール全体を保存";
    too_slow: "This could not be shown in time. Try again, or save the message.", "時間内に表示できませんでした。再度お試しいただくか、メールを保存してください。";
}

impl Words {
    /// What people call a folder.
    pub(crate) fn folder<'a>(&self, name: &'a str, special_use: Option<&str>) -> &'a str
    where
        Self: 'a,
        'static: 'a,
    {
        match (name, special_use) {
            ("INBOX", _) => self.inbox,
            (_, Some("\\Sent")) => self.sent,
            (_, Some("\\Drafts")) => self.drafts,
            (_, Some("\\Trash")) => self.trash,
            (_, Some("\\Archive")) => self.archive,
            (_, Some("\\Junk")) => self.junk,
            _ => name,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_language_that_there_is() {
        for (accepted, expected) in [
            ("ja,en;q=0.5", Language::Japanese),
            ("fr, ja;q=0.8, en;q=0.5", Language::Japanese),
            ("en-GB,ja", Language::English),
            ("", Language::English),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_LANGUAGE, accepted.parse().unwrap());
            assert_eq!(Language::of(&headers), expected, "{accepted}");
        }
    }
}
