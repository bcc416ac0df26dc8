//! Charsets by the names that mail gives them: those of the web, and those the web does not know.

use alloc::string::String;
use encoding_rs::{
    BIG5, EUC_JP, EUC_KR, Encoding, GB18030, GBK, IBM866, ISO_8859_2, ISO_8859_3, ISO_8859_4,
    ISO_8859_5, ISO_8859_6, ISO_8859_7, ISO_8859_8, ISO_8859_10, ISO_8859_13, ISO_8859_14,
    ISO_8859_15, ISO_8859_16, KOI8_R, KOI8_U, MACINTOSH, SHIFT_JIS, UTF_8, UTF_16BE, UTF_16LE,
    WINDOWS_874, WINDOWS_1250, WINDOWS_1251, WINDOWS_1252, WINDOWS_1253, WINDOWS_1254,
    WINDOWS_1255, WINDOWS_1256, WINDOWS_1257, WINDOWS_1258, X_MAC_CYRILLIC,
};

/// A charset that can be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Charset {
    /// One that the web knows, too.
    Web(&'static Encoding),
    /// RFC 1468 and its relatives: half-width kana, JIS X 0212, vendors' characters.
    Iso2022Jp,
    /// RFC 1557
    Iso2022Kr,
    /// RFC 1843
    Hz,
    /// RFC 2152
    Utf7,
    /// RFC 2781, in the byte order of its mark, else in the one that looks right.
    Utf16,
    /// In the byte order of its mark, else of the network.
    Utf32,
    /// The little-endian one.
    Utf32Le,
    /// A code page of DOS, by what stands above 127.
    Dos(&'static str),
}

/// Longer names are of no charset.
const LONGEST_NAME: usize = 60;

impl Charset {
    /// The charset of that name, in any spelling. `None` for names that say nothing (`us-ascii`, which is mostly
    /// said of what it is not, `unknown-8bit`) and for those of no charset: then it is guessed.
    pub(crate) fn named(name: &[u8]) -> Option<Self> {
        if name.len() > LONGEST_NAME {
            return None;
        }
        let plain: String = name
            .iter()
            .filter(|octet| octet.is_ascii_alphanumeric())
            .map(|octet| char::from(octet.to_ascii_lowercase()))
            .collect();
        // `charset=charset=..`, and what quoted-printable makes of `=`.
        let plain = plain.trim_start_matches("charset");
        let plain = plain.strip_prefix("3d").unwrap_or(plain);
        let plain = plain.strip_prefix("cs").unwrap_or(plain);
        if says_nothing(plain) {
            return None;
        }
        by_name(plain)
            .or_else(|| by_name(plain.strip_prefix('x')?))
            .or_else(|| by_number(plain))
            .or_else(|| Encoding::for_label_no_replacement(name).map(Self::Web))
    }

    /// Whether what octets mean depends on octets before them in another way than within one character: an encoded
    /// word in it is decoded by itself (RFC 2047 §2).
    pub(crate) fn has_state(self) -> bool {
        match self {
            Self::Web(encoding) => encoding == UTF_16LE || encoding == UTF_16BE,
            Self::Dos(_) => false,
            _ => true,
        }
    }
}

fn says_nothing(plain: &str) -> bool {
    matches!(
        plain,
        "" | "ascii"
            | "usascii"
            | "us"
            | "ansix341968"
            | "ansix341986"
            | "iso646us"
            | "iso646irv1991"
            | "isoir6"
            | "646"
            | "cp367"
            | "ibm367"
            | "unknown"
            | "xunknown"
            | "unknown8bit"
            | "xunknown8bit"
            | "default"
            | "defaultcharset"
            | "none"
            | "8bit"
            | "7bit"
            | "binary"
            | "text"
            | "userdefined"
            | "xuserdefined"
    )
}

fn by_name(plain: &str) -> Option<Charset> {
    Some(match plain {
        "utf8" | "utf8mb4" | "utf8mb3" | "utf8n" | "utf8bom" | "utf8mac" | "utf" | "cesu8"
        | "unicode11utf8" | "unicode20utf8" | "al32utf8" => Charset::Web(UTF_8),
        "utf7" | "unicode11utf7" | "unicode20utf7" => Charset::Utf7,
        "utf16" | "ucs2" | "iso10646ucs2" | "unicode" | "iso10646" => Charset::Utf16,
        "utf16le" | "ucs2le" | "unicodefffe" => Charset::Web(UTF_16LE),
        "utf16be" | "ucs2be" | "unicodefeff" | "unicodebig" => Charset::Web(UTF_16BE),
        "utf32" | "ucs4" | "iso10646ucs4" | "utf32be" | "ucs4be" => Charset::Utf32,
        "utf32le" | "ucs4le" => Charset::Utf32Le,
        "iso2022jp" | "iso2022jp1" | "iso2022jp2" | "iso2022jp3" | "iso2022jp2004"
        | "iso2022jpms" | "iso2022jpext" | "iso2022jpesc" | "iso2022jpmobile" | "jis" | "jis7"
        | "jis8" | "jisencoding" | "cp5022x" => Charset::Iso2022Jp,
        "iso2022kr" => Charset::Iso2022Kr,
        "hzgb2312" | "hz" | "hzgb" => Charset::Hz,
        "shiftjis" | "sjis" | "mskanji" | "sjiswin" | "sjisopen" | "sjisjp" | "sjisms"
        | "shiftjis2004" | "shiftjisx0213" | "sjis2004" | "shiftjiswin" | "windows31j"
        | "mscp932" | "macjapanese" | "sjiscp932" | "pck" => Charset::Web(SHIFT_JIS),
        "eucjp" | "eucjpms" | "eucjpwin" | "eucjp2004" | "ujis" | "eucpkdfmtjapanese" | "ajec" => {
            Charset::Web(EUC_JP)
        }
        "euckr" | "ksc5601" | "ksc56011987" | "ksc56011989" | "ksc56011992" | "ksx1001"
        | "korean" | "uhc" | "isoir149" | "mackorean" => Charset::Web(EUC_KR),
        "gb2312" | "gb231280" | "euccn" | "gbk" | "chinese" | "isoir58" | "macchinesesimp"
        | "gb" => Charset::Web(GBK),
        "gb18030" | "gb180302000" | "gb180302005" | "gb180302022" => Charset::Web(GB18030),
        "big5" | "big5hkscs" | "big5hkscs2001" | "big5hkscs2004" | "big5hkscs2008" | "big5eten"
        | "cnbig5" | "bigfive" | "macchinesetrad" | "big5tw" => Charset::Web(BIG5),
        "macroman" | "mac" | "macintosh" | "macroman8" => Charset::Web(MACINTOSH),
        "maccyrillic" | "macukrainian" => Charset::Web(X_MAC_CYRILLIC),
        "koi8" | "koi8r" | "koi" => Charset::Web(KOI8_R),
        "koi8u" | "koi8ru" => Charset::Web(KOI8_U),
        "ansi" | "latin" | "windows" | "windowslatin1" | "l1" => Charset::Web(WINDOWS_1252),
        "tis620" | "tis6202533" | "thai" => Charset::Web(WINDOWS_874),
        _ => return None,
    })
}

/// `cp932`, `windows-1252`, `iso8859_1`, `8859-15`, `latin-2`, ..
fn by_number(plain: &str) -> Option<Charset> {
    let digits = plain.find(|c: char| c.is_ascii_digit())?;
    let (kind, number) = plain.split_at(digits);
    if kind == "latin" || kind == "isolatin" {
        let part = match number {
            "5" => "9",
            "6" => "10",
            "7" => "13",
            "8" => "14",
            "9" => "15",
            "10" => "16",
            "1" | "2" | "3" | "4" => number,
            _ => return None,
        };
        return iso_8859(part).map(Charset::Web);
    }
    if let "iso" | "" | "xiso" = kind
        && let Some(part) = number.strip_prefix("8859")
    {
        // With the year of the standard, or the direction of Hebrew, behind it.
        let years = ["1987", "1988", "1989", "1990", "1998", "1999", "e", "i"];
        let part = years
            .iter()
            .find_map(|year| part.strip_suffix(year))
            .unwrap_or(part);
        return iso_8859(part).map(Charset::Web);
    }
    let page = number.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    match kind {
        "cp" | "xcp" | "ms" | "xms" | "windows" | "xwindows" | "win" | "ibm" | "xibm" | "dos"
        | "codepage" | "page" | "mscp" | "ansi" | "ccsid" | "" => code_page(page.parse().ok()?),
        _ => None,
    }
}

fn iso_8859(part: &str) -> Option<&'static Encoding> {
    Some(match part {
        "1" => WINDOWS_1252,
        "2" => ISO_8859_2,
        "3" => ISO_8859_3,
        "4" => ISO_8859_4,
        "5" => ISO_8859_5,
        "6" => ISO_8859_6,
        "7" => ISO_8859_7,
        "8" => ISO_8859_8,
        "9" => WINDOWS_1254,
        "10" => ISO_8859_10,
        "11" => WINDOWS_874,
        "13" => ISO_8859_13,
        "14" => ISO_8859_14,
        "15" => ISO_8859_15,
        "16" => ISO_8859_16,
        _ => return None,
    })
}

/// The numbers that Windows and others give them.
fn code_page(number: u32) -> Option<Charset> {
    Some(Charset::Web(match number {
        866 => IBM866,
        874 | 20_620 | 28_601 => WINDOWS_874,
        932 | 942 | 943 => SHIFT_JIS,
        936 | 1386 | 51_936 | 20_936 => GBK,
        949 | 1363 | 51_949 | 970 | 20_949 => EUC_KR,
        950 | 1370 => BIG5,
        1200 => UTF_16LE,
        1201 => UTF_16BE,
        1250 => WINDOWS_1250,
        1251 => WINDOWS_1251,
        1252 | 28_591 | 819 => WINDOWS_1252,
        1253 => WINDOWS_1253,
        1254 | 28_599 => WINDOWS_1254,
        1255 => WINDOWS_1255,
        1256 => WINDOWS_1256,
        1257 => WINDOWS_1257,
        1258 => WINDOWS_1258,
        10_000 => MACINTOSH,
        10_007 | 10_017 => X_MAC_CYRILLIC,
        20_866 | 878 => KOI8_R,
        21_866 => KOI8_U,
        20_932 | 51_932 | 954 => EUC_JP,
        28_592 | 912 => ISO_8859_2,
        28_593 => ISO_8859_3,
        28_594 => ISO_8859_4,
        28_595 | 915 => ISO_8859_5,
        28_596 => ISO_8859_6,
        28_597 => ISO_8859_7,
        28_598 | 38_598 => ISO_8859_8,
        28_603 => ISO_8859_13,
        28_605 | 923 => ISO_8859_15,
        54_936 | 1392 => GB18030,
        65_001 | 1208 => UTF_8,
        50_220 | 50_221 | 50_222 | 50_932 => return Some(Charset::Iso2022Jp),
        50_225 | 50_949 => return Some(Charset::Iso2022Kr),
        52_936 => return Some(Charset::Hz),
        65_000 => return Some(Charset::Utf7),
        12_000 => return Some(Charset::Utf32Le),
        12_001 => return Some(Charset::Utf32),
        page => return super::code_page::upper_half(page).map(Charset::Dos),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_charsets() {
        use Charset::{Hz, Iso2022Jp, Iso2022Kr, Utf7, Utf16, Utf32, Utf32Le, Web};
        let rows: [(Charset, &[&str]); 31] = [
            (
                Web(SHIFT_JIS),
                &[
                    "cp932",
                    "CP-932",
                    "windows-31j",
                    "windows31j",
                    "ms932",
                    "MS_Kanji",
                    "x-sjis",
                    "sjis",
                    "Shift_JIS",
                    "x-ms-cp932",
                    "csShiftJIS",
                    "ibm-943",
                    "cp943c",
                    "csWindows31J",
                    "sjis-win",
                ],
            ),
            (
                Web(EUC_KR),
                &[
                    "ms949",
                    "cp949",
                    "ks_c_5601-1987",
                    "KSC5601",
                    "euc-kr",
                    "windows-949",
                    "uhc",
                    "x-windows-949",
                ],
            ),
            (
                Web(GBK),
                &[
                    "cp936",
                    "gb2312",
                    "GB_2312-80",
                    "x-gbk",
                    "euc-cn",
                    "ms936",
                    "windows-936",
                    "csGB2312",
                ],
            ),
            (Web(GB18030), &["gb18030", "GB18030-2022", "cp54936"]),
            (
                Web(BIG5),
                &[
                    "cp950",
                    "big5",
                    "cn-big5",
                    "Big5-HKSCS",
                    "x-x-big5",
                    "ms950",
                ],
            ),
            (
                Iso2022Jp,
                &[
                    "iso-2022-jp",
                    "ISO-2022-JP-MS",
                    "iso-2022-jp-1",
                    "cp50220",
                    "cp50221",
                    "cp50222",
                    "CP5022x",
                    "_iso-2022-jp$ESC",
                    "csISO2022JP",
                    "iso2022jp",
                    "windows-50221",
                    "x-iso-2022-jp",
                ],
            ),
            (
                Iso2022Kr,
                &["iso-2022-kr", "ISO2022KR", "csISO2022KR", "cp50225"],
            ),
            (Hz, &["hz-gb-2312", "HZ", "cp52936"]),
            (
                Utf7,
                &[
                    "utf-7",
                    "UTF7",
                    "unicode-1-1-utf-7",
                    "csUnicode11UTF7",
                    "x-unicode-2-0-utf-7",
                    "cp65000",
                ],
            ),
            (
                Utf16,
                &["utf-16", "UTF16", "iso-10646-ucs-2", "unicode", "ucs-2"],
            ),
            (Web(UTF_16LE), &["utf-16le", "UTF-16-LE", "cp1200"]),
            (Web(UTF_16BE), &["utf-16be", "cp1201"]),
            (Utf32, &["utf-32", "ucs-4", "utf-32be"]),
            (Utf32Le, &["utf-32le"]),
            (
                Web(UTF_8),
                &[
                    "utf-8",
                    "utf8",
                    "UTF_8",
                    "'utf-8'",
                    "\"utf-8\"",
                    "utf-8;",
                    "charset=utf-8",
                    "3Dutf-8",
                    "utf8mb4",
                    "cp65001",
                    "x-utf-8",
                    "unicode-1-1-utf-8",
                    " utf 8 ",
                ],
            ),
            (
                Web(WINDOWS_1252),
                &[
                    "iso-8859-1",
                    "8859-1",
                    "88591",
                    "iso8859_1",
                    "ISO_8859-1:1987",
                    "latin1",
                    "Latin-1",
                    "iso-latin-1",
                    "x-iso-8859-1",
                    "windows-1252",
                    "cp1252",
                    "win1252",
                    "ansi",
                    "l1",
                    "ibm819",
                    "csISOLatin1",
                ],
            ),
            (
                Web(ISO_8859_2),
                &["iso-8859-2", "8859_2", "latin2", "ISO8859-2"],
            ),
            (
                Web(ISO_8859_5),
                &["iso-8859-5", "ISO_8859-5:1988", "8859-5"],
            ),
            (Web(ISO_8859_8), &["iso-8859-8", "iso-8859-8-e"]),
            (Web(WINDOWS_1254), &["iso-8859-9", "latin5", "windows-1254"]),
            (
                Web(ISO_8859_15),
                &["iso-8859-15", "8859-15", "latin9", "ISO8859_15"],
            ),
            (
                Web(WINDOWS_1251),
                &["windows-1251", "cp1251", "win-1251", "cp-1251", "x-cp1251"],
            ),
            (Web(WINDOWS_1250), &["cp1250", "windows1250"]),
            (Web(KOI8_R), &["koi8-r", "koi8r", "KOI8"]),
            (Web(KOI8_U), &["koi8-u"]),
            (Web(IBM866), &["cp866", "ibm866", "866"]),
            (
                Web(EUC_JP),
                &["euc-jp", "x-euc-jp", "eucJP-ms", "cp51932", "ujis"],
            ),
            (Web(MACINTOSH), &["macintosh", "x-mac-roman", "mac"]),
            (Web(WINDOWS_874), &["tis-620", "windows-874", "iso-8859-11"]),
            (Web(WINDOWS_1255), &["windows-1255"]),
            (Web(WINDOWS_1256), &["cp1256"]),
        ];
        for (charset, names) in rows {
            for name in names {
                assert_eq!(Charset::named(name.as_bytes()), Some(charset), "{name}");
            }
        }
        for nothing in [
            "",
            "us-ascii",
            "ANSI_X3.4-1968",
            "ascii",
            "unknown-8bit",
            "x-unknown",
            "default",
            "x-user-defined",
            "nonsense",
            "utf-9",
            "iso-8859-17",
            "cp0",
            "iso-2022-cn",
        ] {
            assert_eq!(Charset::named(nothing.as_bytes()), None, "{nothing}");
        }
        assert_eq!(Charset::named(&b"utf-8".repeat(1000)), None);
    }

    #[test]
    fn what_the_web_knows_is_known() {
        for name in [
            "utf-8",
            "iso-8859-8-i",
            "x-mac-cyrillic",
            "windows-1258",
            "gb_2312",
            "big5-hkscs",
            "dos-874",
        ] {
            assert!(Charset::named(name.as_bytes()).is_some(), "{name}");
        }
    }
}
