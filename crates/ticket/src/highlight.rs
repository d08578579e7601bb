//! Where what is looked for stands in a text: a short piece of it, with the hits marked.

use std::ops::Range;

use store::query::Term;
use store::text::{Word, words};

/// The longest piece of a text that is shown, in characters.
pub const MAX_PIECE: usize = 240;
/// How much of it stands before the first hit, in characters.
const BEFORE: usize = 60;

/// A part of the piece.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// As it is written.
    pub text: String,
    /// Whether it is what was looked for.
    pub is_match: bool,
}

/// A piece of the text around the first hit, in fragments; `None` for a text without any. `…` stands where it was cut.
pub fn highlight(text: &str, terms: &[Term]) -> Option<Vec<Fragment>> {
    let words = words(text);
    let mut hits: Vec<Range<usize>> = terms.iter().flat_map(|term| hits_of(term, &words)).collect();
    hits.sort_by_key(|hit| hit.start);
    let first = hits.first()?.start;
    let start = text[..first].char_indices().rev().take(BEFORE).last().map_or(first, |(at, _)| at);
    let end = text[start..].char_indices().nth(MAX_PIECE).map_or(text.len(), |(at, _)| start + at);
    let mut fragments = Vec::new();
    let mut push = |text: &str, is_match: bool| {
        if !text.is_empty() {
            fragments.push(Fragment { text: text.to_owned(), is_match });
        }
    };
    if start > 0 {
        push("…", false);
    }
    let mut at = start;
    for hit in hits.into_iter().filter(|hit| hit.end <= end) {
        // One that lies in another, or overlaps it, goes on from there.
        if hit.end > at {
            push(&text[at..hit.start.max(at)], false);
            push(&text[hit.start.max(at)..hit.end], true);
            at = hit.end;
        }
    }
    push(&text[at..end], false);
    if end < text.len() {
        push("…", false);
    }
    Some(fragments)
}

/// Where a term stands: from its first word to its last.
fn hits_of(term: &Term, words: &[Word]) -> Vec<Range<usize>> {
    let last = term.words.len().saturating_sub(1);
    let is_hit = |window: &&[Word]| {
        window.iter().zip(&term.words).enumerate().all(|(place, (word, asked))| match term.prefix && place == last {
            true => word.text.starts_with(asked.as_str()),
            false => word.text == *asked,
        })
    };
    let windows = words.windows(term.words.len().max(1)).filter(is_hit);
    windows.filter_map(|window| Some(window.first()?.start..window.last()?.end)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::search::parse;

    fn shown(text: &str, query: &str) -> Option<String> {
        let fragments = highlight(text, &parse(query).unwrap())?;
        let mark = |fragment: &Fragment| match fragment.is_match {
            true => format!("[{}]", fragment.text),
            false => fragment.text.clone(),
        };
        Some(fragments.iter().map(mark).collect())
    }

    #[test]
    fn hits_are_marked_as_they_are_written() {
        assert_eq!(shown("The VPN drops.", "vpn").unwrap(), "The [VPN] drops.");
        assert_eq!(shown("Über Köln: VPN-Zugang", "koln vpn-zug*").unwrap(), "Über [Köln]: [VPN-Zugang]");
        assert_eq!(shown("VPN drops, VPN dies", "\"vpn dies\"").unwrap(), "VPN drops, [VPN dies]");
        assert_eq!(shown("Nothing of it", "vpn"), None);
    }

    #[test]
    fn overlapping_hits_are_marked_once() {
        assert_eq!(shown("slow vpn client", "\"slow vpn\" \"vpn client\"").unwrap(), "[slow vpn][ client]");
    }

    #[test]
    fn long_texts_are_cut_around_the_first_hit() {
        let text = format!("{} VPN {}", "a ".repeat(200), "b ".repeat(400));
        let shown = shown(&text, "vpn").unwrap();
        assert!(shown.starts_with('…') && shown.ends_with('…') && shown.contains("[VPN]"), "{shown}");
        assert!(shown.chars().count() <= MAX_PIECE + 4);
    }

    proptest! {
        #[test]
        fn a_piece_is_a_part_of_the_text(text in "[a-cÄß ,.]{0,400}", query in "[a-c]{1,2}( [a-c]{1,2})?") {
            let terms = parse(&query).unwrap();
            if let Some(fragments) = highlight(&text, &terms) {
                let whole: String = fragments.iter().map(|fragment| fragment.text.as_str()).collect();
                // No text of these has the sign of a cut.
                let inner = whole.trim_matches('…');
                prop_assert!(text.contains(inner), "{whole:?}");
                prop_assert!(fragments.iter().any(|fragment| fragment.is_match) || text.chars().count() > MAX_PIECE);
            }
        }
    }
}
