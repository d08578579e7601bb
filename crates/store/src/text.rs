//! Words of a text, the same on both engines: what a text index holds and what is looked for in it.
//!
//! A word is a run of letters and digits, in lower case and without its diacritics (`Größe` is `grosse`, `Ａ１` is `a1`). Signs of
//! scripts that put no spaces between words are words of their own, so that a part of a sentence is found as a phrase.

use unicode_normalization::char::{decompose_compatible, is_combining_mark};

/// The longest word, in characters: of a longer one, the beginning counts.
pub const MAX_WORD: usize = 64;

/// A word, and where it stands in its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// As it is looked for.
    pub text: String,
    /// Its first byte.
    pub start: usize,
    /// The byte behind it.
    pub end: usize,
}

/// The words of a text, in their order.
pub fn words(text: &str) -> Vec<Word> {
    let mut found = Vec::new();
    let mut current: Option<Word> = None;
    for (start, sign) in text.char_indices() {
        let end = start + sign.len_utf8();
        let (mut folded, mut breaks) = (String::new(), false);
        fold_sign(sign, &mut folded, &mut breaks);
        if stands_alone(sign) && !folded.is_empty() {
            found.extend(current.take());
            found.push(Word { text: folded, start, end });
        } else if breaks {
            // What is written as one sign and reads as several (`½`, `℀`) is a word of what it reads as.
            found.extend(current.take());
            if !folded.is_empty() {
                found.push(Word { text: folded, start, end });
            }
        } else {
            match &mut current {
                Some(word) => {
                    word.end = end;
                    word.text.push_str(&folded);
                }
                // A mark without a letter before it is none.
                None if folded.is_empty() => {}
                None => current = Some(Word { text: folded, start, end }),
            }
        }
    }
    found.extend(current);
    for word in &mut found {
        if let Some((at, _)) = word.text.char_indices().nth(MAX_WORD) {
            word.text.truncate(at);
        }
    }
    found
}

/// The words of these texts with a space before, between and behind them, as far as they go into `most` bytes; empty for none.
pub fn folded<'t>(texts: impl IntoIterator<Item = &'t str>, most: usize) -> String {
    let mut folded = String::new();
    for text in texts {
        for word in words(text) {
            if folded.len() + word.text.len() + 2 > most {
                return folded;
            }
            if folded.is_empty() {
                folded.push(' ');
            }
            folded.push_str(&word.text);
            folded.push(' ');
        }
    }
    folded
}

/// Adds what a sign reads as; notes whether it is, or holds, what ends a word.
fn fold_sign(sign: char, folded: &mut String, breaks: &mut bool) {
    if sign.is_ascii() {
        match sign.is_ascii_alphanumeric() {
            true => folded.push(sign.to_ascii_lowercase()),
            false => *breaks = true,
        }
        return;
    }
    decompose_compatible(sign, |part| {
        if is_combining_mark(part) {
            return;
        }
        for lower in part.to_lowercase().filter(|lower| !is_combining_mark(*lower)) {
            match plain(lower) {
                Some(plain) => folded.push_str(plain),
                None if lower.is_alphanumeric() => folded.push(lower),
                None => *breaks = true,
            }
        }
    });
}

/// Letters that people write without their sign, and that have no decomposition.
fn plain(letter: char) -> Option<&'static str> {
    Some(match letter {
        'ß' => "ss",
        'æ' => "ae",
        'œ' => "oe",
        'ø' => "o",
        'ł' => "l",
        'đ' | 'ð' => "d",
        'þ' => "th",
        'ı' => "i",
        _ => return None,
    })
}

/// Kana, Chinese characters, Thai, Lao, Khmer and Burmese are written without spaces.
fn stands_alone(sign: char) -> bool {
    matches!(sign,
        '\u{0e01}'..='\u{0eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{3041}'..='\u{30ff}'
        | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(text: &str) -> Vec<String> {
        words(text).into_iter().map(|word| word.text).collect()
    }

    #[test]
    fn words_are_letters_and_digits_in_lower_case_without_their_signs() {
        assert_eq!(texts("VPN drops, INC-1042!"), ["vpn", "drops", "inc", "1042"]);
        assert_eq!(texts("Größe Ångström naïve Łódź"), ["grosse", "angstrom", "naive", "lodz"]);
        assert_eq!(texts("nai\u{308}ve ＶＰＮ１"), ["naive", "vpn1"]);
        assert_eq!(texts("…—!? ()"), Vec::<String>::new());
        assert_eq!(texts("接続 VPN"), ["接", "続", "vpn"]);
        assert_eq!(texts("\u{301}a"), ["a"]);
    }

    #[test]
    fn long_words_are_known_by_their_beginning() {
        let long = "é".repeat(MAX_WORD + 10);
        assert_eq!(texts(&long), ["e".repeat(MAX_WORD)]);
    }

    #[test]
    fn folded_texts_are_bounded_and_end_with_a_whole_word() {
        assert_eq!(folded(["VPN drops", "often"], 100), " vpn drops often ");
        assert_eq!(folded(["VPN drops", "often"], 12), " vpn drops ");
        assert_eq!(folded(["VPN drops"], 8), " vpn ");
        assert_eq!(folded(["…", ""], 100), "");
    }

    proptest! {
        #[test]
        fn words_stand_where_they_say_and_fold_to_themselves(text in "\\PC{0,40}") {
            for word in words(&text) {
                prop_assert!(text.is_char_boundary(word.start) && text.is_char_boundary(word.end) && word.start < word.end);
                prop_assert!(!word.text.is_empty() && word.text.chars().count() <= MAX_WORD);
                prop_assert!(word.text.chars().all(char::is_alphanumeric), "{:?}", word.text);
            }
        }
    }
}
