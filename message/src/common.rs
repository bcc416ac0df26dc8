//! What short texts of East Asia are made of: two or three characters are too few for statistics of octets, but not for
//! whoever knows which characters are common.

use alloc::vec::Vec;
use encoding_rs::{BIG5, EUC_JP, EUC_KR, Encoding, GBK, SHIFT_JIS};

/// Texts with more octets above 127 are guessed better by how these follow each other.
const SHORT: usize = 24;

const JAPANESE: &str = "一二三四五六七八九十百千万日月火水木金土年時分秒今明昨本来週間前後午朝昼夕夜東西南北京都府県市区町村\
    山川田野原中島崎橋口井上下左右大小高低長新旧古名様殿氏会社員部課店業務営商品物販売買取引見積請求書発注文受納入額円税料\
    振込銀行座支払領収契約申確認連絡報告知重要緊急至件項事目録議場所席参加出欠開催案内招待予定変更止延期決完了済未返信送付\
    添資写真画像図表動電話番号住郵便手紙題宛先差人自私君彼女男子供家族友達生学校教育研究徒試験問解答合格結果成績健康病院医者\
    薬旅飛機車駅道空港宿泊約理食飲酒茶花鳥風雨雪天気春夏秋冬祝礼願致御無有可不能用意思考言聞読作使働休始終立帰回通過進退増減\
    多少安全情技術開計設製造検査質管責任担当企総経法律政治済国際世界地球環境化歴史音楽映芸運選第版例度限迄以的性方式力心体身\
    足耳頭顔持最近初公採面接募集特別割配登録除退脚書類次郎太郎鈴佐藤伊渡辺村林清斎";

const SIMPLIFIED: &str = "的一是不了在有人我他这中大来上国个到说们为子和你地出道也时年得就那要下以生会自着去之过家学对可她里后\
    小么心多天而能好都然没日于起还发成事只作当想看文无开手十用主行方又如前所本见经头面公同三已老从动两长知民样现分将外但身些\
    与高意进把法此实回二理美点月明其种声全工己话儿者向情部正名定女问力机给等几很业最间新什打便位因重被走电四第门相次东政海口\
    使教西再平真听世气信北少关并内加化由却代产入先山五太水万市体别处总场师书比住员九笑性通目华报立马命张活难数件安表原车白应\
    路期常提感金何更反合放做系计或司利受光王果亲界及今京务制解各任至清物台记边共风接它许八特望直服林题建南度统色字请爱让认算\
    论百吃义科元社术结六功指思非流每青管夫连远资带花快条院变联言权往展该领传近留红治决周保达办运半候七必城父强步完深区求品士\
    转量空技轻程告江语英基满式李写识极令黄德收钱未持取设始版双历商千片容研像找友站广改议形委早房音际则首单据导影网香专石谁校\
    读飞观究包组造视济喜离谢附价票查邮箱乐您订客户款确复";

const TRADITIONAL: &str = "的一是不了在有人我他這中大來上國個到說們為子和你地出道也時年得就那要下以生會自著去之過家學對可她里後\
    小麼心多天而能好都然沒日於起還發成事只作當想看文無開手十用主行方又如前所本見經頭面公同三已老從動兩長知民樣現分將外但身些\
    與高意進把法此實回二理美點月明其種聲全工己話兒者向情部正名定女問力機給等幾很業最間新什打便位因重被走電四第門相次東政海口\
    使教西再平真聽世氣信北少關並內加化由卻代產入先山五太水萬市體別處總場師書比住員九笑性通目華報立馬命張活難數件安表原車白應\
    路期常提感金何更反合放做系計或司利受光王果親界及今京務制解各任至清物台臺灣記邊共風接它許八特望直服林題建南度統色字請愛讓\
    認算論百吃義科元社術結六功指思非流每青管夫連遠資帶花快條院變聯言權往展該領傳近留紅治決周保達辦運半候七必城父強步完深區求\
    品士轉量空技輕程告江語英基滿式李寫識極令黃德收錢未持取設始版雙歷商千片容研像找友站廣改議形委早房音際則首單據導影網香專石\
    誰校讀飛觀究包組造視濟喜離謝附價票查郵箱樂您訂客戶款確覆";

const KOREAN: &str = "이다의는에을가를은로한고하지도어나자사서기리시해대있일인들으것과정그보아부수여게전제주만면안라스구공장세상\
    관성조연원비오습니까요합회내년월신소문미우유동방경개국민학생선물산업계획중결모두번호확감말씀드립께님메첨파견적배송금통울영\
    화음악간늘저희당때처럼많잘못없었던였했바랍녕";

/// The charset in which nearly all characters of a short text are common ones, where in no other nearly as many are.
pub(super) fn guess(octets: &[u8]) -> Option<&'static Encoding> {
    let high = octets.iter().filter(|octet| **octet >= 0x80).count();
    if high > SHORT {
        return None;
    }
    let mut best: Option<(usize, &'static Encoding)> = None;
    let mut next = 0;
    for (encoding, common) in [
        (SHIFT_JIS, JAPANESE),
        (EUC_JP, JAPANESE),
        (GBK, SIMPLIFIED),
        (BIG5, TRADITIONAL),
        (EUC_KR, KOREAN),
    ] {
        let per_cent = share(encoding, common, octets);
        match best {
            Some((most, _)) if most >= per_cent => next = next.max(per_cent),
            _ => {
                next = next.max(best.map_or(0, |(most, _)| most));
                best = Some((per_cent, encoding));
            }
        }
    }
    let (most, encoding) = best?;
    (most >= 65 && most >= next + 30).then_some(encoding)
}

/// Returns how many of the characters that are not ASCII are common, in per cent.
fn share(encoding: &'static Encoding, common: &str, octets: &[u8]) -> usize {
    let (text, damaged) = encoding.decode_without_bom_handling(octets);
    let others: Vec<char> = text.chars().filter(|c| !c.is_ascii()).collect();
    if damaged || others.len() < 2 {
        return 0;
    }
    let is_japanese = encoding == SHIFT_JIS || encoding == EUC_JP;
    let is_common = |c: &&char| match **c {
        'ぁ'..='ん' | 'ァ'..='ヶ' | 'ー' => is_japanese,
        '\u{3001}'..='\u{3017}' | '\u{ff01}'..='\u{ff5e}' => true,
        c => common.contains(c),
    };
    others.iter().filter(is_common).count() * 100 / others.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_characters_may_be_enough() {
        for (encoding, texts) in [
            (
                SHIFT_JIS,
                &[
                    "会議",
                    "請求書",
                    "飛脚",
                    "東京",
                    "見積書 2026",
                    "お知らせ",
                    "テスト",
                    "Re: 写真",
                ][..],
            ),
            (
                EUC_JP,
                &[
                    "会議",
                    "請求書",
                    "飛脚",
                    "東京",
                    "見積書 2026",
                    "お知らせ",
                    "山田太郎",
                ],
            ),
            (
                GBK,
                &[
                    "你好",
                    "通知",
                    "会议通知",
                    "报价单",
                    "谢谢",
                    "Re: 你好",
                    "李明",
                ],
            ),
            (BIG5, &["你好", "通知", "會議通知", "謝謝", "報價單"]),
            (EUC_KR, &["안녕하세요", "회의 안내", "감사합니다"]),
        ] {
            for text in texts {
                let (octets, ..) = encoding.encode(text);
                assert_eq!(guess(&octets), Some(encoding), "{text}");
            }
        }
    }

    #[test]
    fn letters_with_accents_are_none_of_them() {
        for text in [
            "é",
            "Ärger",
            "ÀÉÈÙ",
            "ÖÄÜ",
            "ÄÖÜ äöü ß",
            "été",
            "SÃO",
            "“hi”",
            "Þórður",
            "¿Qué? ¡Sí!",
            "½ £",
        ] {
            let (octets, ..) = encoding_rs::WINDOWS_1252.encode(text);
            assert_eq!(guess(&octets), None, "{text}");
        }
    }
}
