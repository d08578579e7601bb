//! The lines of an iCalendar file: unfolded, and taken apart into name and value.

/// A line with those that continue it.
pub struct Unfolded {
    /// The place of its first line in the file, from 1 on.
    pub number: usize,
    /// Its text, without line breaks.
    pub text: String,
}

/// The lines of a file, each joined with those after it that begin with a space or a tab. Empty lines are left out.
pub fn unfolded(text: &str) -> Vec<Unfolded> {
    let mut lines: Vec<Unfolded> = Vec::new();
    // Some programs begin with a mark of the byte order.
    for (place, line) in text.trim_start_matches('\u{feff}').split('\n').enumerate() {
        let line = line.strip_suffix('\r').unwrap_or(line);
        match (line.strip_prefix([' ', '\t']), lines.last_mut()) {
            (Some(rest), Some(last)) => last.text.push_str(rest),
            _ if line.is_empty() => {}
            _ => lines.push(Unfolded { number: place + 1, text: line.to_owned() }),
        }
    }
    lines
}

/// The name and the value of a property. What parameters say (the zone, the language) does not matter for whole days.
pub struct Line {
    /// In capitals.
    pub name: String,
    /// As it is written.
    pub value: String,
}

impl Line {
    /// Takes a line apart. None when it is no property; such lines come from programs that break texts without folding.
    pub fn read(text: &str) -> Option<Line> {
        let mut quoted = false;
        // A colon in quotes belongs to a parameter.
        let colon = text.find(|character| {
            quoted ^= character == '"';
            character == ':' && !quoted
        })?;
        let (head, value) = (&text[..colon], &text[colon + 1..]);
        let name = head.split(';').next().unwrap_or(head).trim();
        Some(Line { name: name.to_ascii_uppercase(), value: value.to_owned() })
    }
}

/// The text that an escaped one stands for.
pub fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some('n' | 'N') => plain.push('\n'),
                Some(other) => plain.push(other),
                None => {}
            },
            other => plain.push(other),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folded_lines_are_joined() {
        let lines = unfolded("\u{feff}A:1\r\n 2\r\n\t3\r\n\r\nB:4\n  5\n");
        let texts: Vec<(usize, &str)> = lines.iter().map(|line| (line.number, line.text.as_str())).collect();
        assert_eq!(texts, [(1, "A:123"), (5, "B:4 5")]);
    }

    #[test]
    fn a_colon_in_quotes_belongs_to_the_parameter() {
        let line = Line::read(r#"attendee;CN="A: B";X=1:mailto:a@example.com"#).unwrap();
        assert_eq!((line.name.as_str(), line.value.as_str()), ("ATTENDEE", "mailto:a@example.com"));
        assert!(Line::read("no property").is_none());
        assert!(Line::read(r#"A="never closed: 1"#).is_none());
    }

    #[test]
    fn escapes_are_undone() {
        assert_eq!(unescaped(r"St. Stephen\, a\;b\\n\nc\"), "St. Stephen, a;b\\n\nc");
    }
}
