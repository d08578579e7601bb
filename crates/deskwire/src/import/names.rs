//! From the names of another system to keys: slugs, addresses.

use ticket::MAX_KEY;

use super::mapping::Users;

/// The longest slug of a team, in bytes.
const MAX_SLUG: usize = access::commands::MAX_SLUG;

/// A record that a row names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Named {
    /// A user.
    User {
        /// The address that they are found by.
        email: String,
        /// The name, for those who are made.
        name: String,
    },
    /// A team.
    Team {
        /// The slug that it is found by.
        slug: String,
        /// The name, for one that is made.
        name: String,
    },
    /// A category.
    Category {
        /// The key that it is found by.
        key: String,
        /// The name, for one that is made.
        name: String,
        /// The category above it.
        parent: Option<Box<Named>>,
    },
}

impl Named {
    /// The user that a text stands for.
    pub fn user(text: &str, users: &Users) -> Self {
        let email = match text.contains('@') {
            true => text.to_owned(),
            false => users.email.replace("{slug}", &slug(text, MAX_SLUG)),
        };
        Named::User { email: email.to_lowercase(), name: text.to_owned() }
    }

    /// The team that a text stands for.
    pub fn team(text: &str) -> Self {
        Named::Team { slug: slug(text, MAX_SLUG), name: text.to_owned() }
    }

    /// The category that a text stands for, or the one below it.
    pub fn category(text: &str, child: Option<&str>) -> Self {
        let parent = Named::Category { key: slug(text, MAX_KEY), name: text.to_owned(), parent: None };
        match child {
            None => parent,
            Some(child) => Named::Category {
                // The same name may stand below several.
                key: slug(&format!("{text} {child}"), MAX_KEY),
                name: child.to_owned(),
                parent: Some(Box::new(parent)),
            },
        }
    }
}

/// Lower-case letters, digits and hyphens that tell this text from others. Where letters are lost or it is too long, a
/// check sum of the text takes their place.
fn slug(text: &str, longest: usize) -> String {
    let mut slug = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            'a'..='z' | '0'..='9' => slug.push(character),
            'A'..='Z' => slug.push(character.to_ascii_lowercase()),
            _ if !slug.is_empty() && !slug.ends_with('-') => slug.push('-'),
            _ => {}
        }
    }
    slug.truncate(slug.trim_end_matches('-').len());
    let lossy = slug.is_empty() || text.chars().any(|character| !character.is_ascii() && character.is_alphanumeric());
    if !lossy && slug.len() <= longest {
        return slug;
    }
    let sum = format!("{:08x}", crc32fast::hash(text.as_bytes()));
    slug.truncate(longest - sum.len() - 1);
    match slug.is_empty() {
        true => sum,
        false => format!("{slug}-{sum}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_tell_texts_apart() {
        assert_eq!(slug("Opened by  8", 63), "opened-by-8");
        assert_eq!(slug(" Group 56!", 63), "group-56");
        let [zurich, zorich] = ["Zürich", "Zörich"].map(|text| slug(text, 63));
        assert!(zurich.starts_with("z-rich-") && zurich != zorich, "{zurich} {zorich}");
        assert_eq!(slug("東京", 63).len(), 8);
        let [long, longer] = [100, 101].map(|length| slug(&"a".repeat(length), 63));
        assert!(long.len() == 63 && longer.len() == 63 && long != longer);
    }

    #[test]
    fn a_text_with_an_at_sign_is_an_address() {
        let users = Users { email: "{slug}@acme.example".into(), ..Users::default() };
        let email = |text| match Named::user(text, &users) {
            Named::User { email, .. } => email,
            other => panic!("{other:?}"),
        };
        assert_eq!(email("Ada@Acme.example"), "ada@acme.example");
        assert_eq!(email("Caller 2403"), "caller-2403@acme.example");
    }
}
