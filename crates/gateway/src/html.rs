//! Markdown as HTML that is safe to show: made of an allow-list of elements, whatever was written.
//!
//! Two walls: HTML in the text is shown as text, not taken over; and what the Markdown became is cleaned against a list of elements,
//! attributes and schemes. Pictures become links, since one from elsewhere would tell its owner who reads the ticket.

use std::sync::LazyLock;

use ammonia::Builder;
use pulldown_cmark::{CowStr, Event, Options, Parser, Tag, TagEnd, html};

/// How deep elements may lie in each other. Deeper ones are no text that somebody wrote for a reader: it is shown as it was written.
const MAX_DEPTH: usize = 32;

/// The elements that come out. Of their attributes: `href` and `title` of links, `start` of lists.
const ELEMENTS: &[&str] = &[
    "a",
    "blockquote",
    "br",
    "code",
    "del",
    "em",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "li",
    "ol",
    "p",
    "pre",
    "strong",
    "table",
    "tbody",
    "td",
    "th",
    "thead",
    "tr",
    "ul",
];

/// Where links may lead.
const SCHEMES: &[&str] = &["http", "https", "mailto"];

static CLEANER: LazyLock<Builder<'static>> = LazyLock::new(|| {
    let mut cleaner = Builder::empty();
    cleaner
        .tags(ELEMENTS.iter().copied().collect())
        .add_tag_attributes("a", ["href", "title"])
        .add_tag_attributes("ol", ["start"])
        .url_schemes(SCHEMES.iter().copied().collect())
        .url_relative(ammonia::UrlRelative::Deny)
        .link_rel(Some("noopener noreferrer nofollow"));
    cleaner
});

/// A text in Markdown as HTML that may be put into a page as it is.
pub fn of_markdown(text: &str) -> String {
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH;
    if is_too_deep(Parser::new_ext(text, options)) {
        let mut shown = String::from("<pre>");
        shown.push_str(&ammonia::clean_text(text));
        shown.push_str("</pre>");
        return shown;
    }
    let mut written = String::with_capacity(text.len() + text.len() / 2);
    html::push_html(&mut written, Parser::new_ext(text, options).map(tamed));
    CLEANER.clean(&written).to_string()
}

/// What stands for an event of the text: HTML is text, and a picture a link.
fn tamed(event: Event<'_>) -> Event<'_> {
    match event {
        Event::Html(text) | Event::InlineHtml(text) => Event::Text(text),
        Event::Start(Tag::Image { link_type, dest_url, title, id }) => {
            Event::Start(Tag::Link { link_type, dest_url, title, id })
        }
        Event::End(TagEnd::Image) => Event::End(TagEnd::Link),
        Event::Start(Tag::HtmlBlock) => Event::Start(Tag::Paragraph),
        Event::End(TagEnd::HtmlBlock) => Event::End(TagEnd::Paragraph),
        // A name of a language becomes a class, which nobody has listed.
        Event::Start(Tag::CodeBlock(_)) => {
            Event::Start(Tag::CodeBlock(pulldown_cmark::CodeBlockKind::Fenced(CowStr::Borrowed(""))))
        }
        other => other,
    }
}

fn is_too_deep<'a>(mut events: impl Iterator<Item = Event<'a>>) -> bool {
    let mut depth = 0_usize;
    events.any(|event| {
        match event {
            Event::Start(_) => depth += 1,
            Event::End(_) => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth > MAX_DEPTH
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_markdown_says_is_shown() {
        assert_eq!(of_markdown("Reboot **now**, `ls`"), "<p>Reboot <strong>now</strong>, <code>ls</code></p>\n");
        let link =
            r#"<p><a href="https://acme.example/x?a=1&amp;b=2" title="T" rel="noopener noreferrer nofollow">x</a></p>"#;
        assert_eq!(of_markdown(r#"[x](https://acme.example/x?a=1&b=2 "T")"#).trim_end(), link);
        assert_eq!(of_markdown("3. a\n4. b").replace('\n', ""), r#"<ol start="3"><li>a</li><li>b</li></ol>"#);
        assert_eq!(of_markdown("```sh\nls <x>\n```").replace('\n', ""), "<pre><code>ls &lt;x&gt;</code></pre>");
        let table = of_markdown("|a|b|\n|:-:|-|\n|1|~~2~~|");
        assert!(table.contains("<th>a</th>") && table.contains("<td><del>2</del></td>"), "{table}");
    }

    #[test]
    fn html_is_text_and_pictures_are_links() {
        assert_eq!(of_markdown("<b onclick=x()>b</b>"), "<p>&lt;b onclick=x()&gt;b&lt;/b&gt;</p>\n");
        assert_eq!(of_markdown("<script>alert(1)</script>").matches("<script").count(), 0);
        let picture = of_markdown("![alt](https://elsewhere.example/p.png)");
        assert!(picture.contains(">alt</a>") && !picture.contains("<img"), "{picture}");
    }

    #[test]
    fn links_lead_to_the_web_or_to_mail() {
        for (target, kept) in [
            ("https://acme.example", true),
            ("HTTP://acme.example", true),
            ("mailto:lee@acme.example", true),
            ("javascript:alert(1)", false),
            ("JaVaScRiPt:alert(1)", false),
            ("&#106;avascript:alert(1)", false),
            ("data:text/html;base64,PHNjcmlwdD4=", false),
            ("vbscript:x", false),
            ("//acme.example", false),
            ("/admin", false),
            ("file:///etc/passwd", false),
        ] {
            assert_eq!(of_markdown(&format!("[x](<{target}>)")).contains("href"), kept, "{target}");
        }
    }

    #[test]
    fn what_is_nested_deeper_than_anybody_reads_is_shown_as_written() {
        let deep = format!("{}x", "> ".repeat(MAX_DEPTH + 1));
        assert!(of_markdown(&deep).starts_with("<pre>&gt;"));
        assert!(of_markdown(&format!("{}x", "> ".repeat(MAX_DEPTH - 1))).starts_with("<blockquote>"));
        // The longest text that there can be.
        for sign in [">", "*a ", "[", "![", "`", "- ", "|a", "<a", "&", "\\"] {
            of_markdown(&sign.repeat(ticket::MAX_TEXT / sign.len()));
        }
    }
}
