//! Mentions: people whom a comment names by `@` and their id (`@usr_01jcz8…`) or e-mail address (`@lee@acme.example`).
//!
//! A mention makes nobody a watcher and lets nobody see more: it is told by the comment, by its event, and to whoever is mentioned and
//! may read the comment.

use kernel::{ActorKind, Id, Result, Uuid, id};
use predicate::Predicate;
use store::Tx;
use store::query::{self, Row};

use crate::fields::{COMMENT, MENTION};
use crate::service::Tickets;

/// How many people a comment mentions; whoever is named behind them is not.
pub const MAX_MENTIONS: usize = 50;

/// Whom a text names, before anybody has looked whether they exist.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// Users by their ids.
    pub ids: Vec<Uuid>,
    /// E-mail addresses in lower case.
    pub emails: Vec<String>,
}

impl Named {
    fn len(&self) -> usize {
        self.ids.len() + self.emails.len()
    }
}

/// Whom a text names, each once, at most [`MAX_MENTIONS`] in the order of the text. In front of the `@` stands no sign of a word
/// (`lee@acme.example` is an address and names nobody) and no backslash.
pub fn named(text: &str) -> Named {
    let mut found = Named::default();
    let mut before = None;
    for (place, sign) in text.char_indices() {
        let begins =
            sign == '@' && !before.is_some_and(|before: char| before.is_alphanumeric() || "@._%+-\\".contains(before));
        before = Some(sign);
        if !begins || found.len() >= MAX_MENTIONS {
            continue;
        }
        let rest = &text[place + 1..];
        let end = rest.find(|sign: char| !(sign.is_alphanumeric() || "@._%+-".contains(sign))).unwrap_or(rest.len());
        let name = rest[..end].trim_end_matches(['.', '-']);
        if name.contains('@') {
            let email = name.to_lowercase();
            if !found.emails.contains(&email) {
                found.emails.push(email);
            }
        } else if let Ok(id) = Id::parse_as(name, &[id::prefix::USER])
            && !found.ids.contains(&id.uuid)
        {
            found.ids.push(id.uuid);
        }
    }
    found
}

impl Tickets {
    /// Notes whom a comment mentions now, instead of whom it mentioned before: active users whom its author may know by what they are named by.
    /// Answers them.
    pub(super) async fn note_mentions_in(&self, tx: &mut Tx, comment: &Row, anew: bool) -> Result<Vec<Uuid>> {
        let ctx = tx.ctx().clone();
        if anew {
            query::delete_in(&*tx, ctx.tenant, &MENTION, &[("comment", comment.id())]).await?;
        }
        let named = named(&comment.text("body"));
        let mut rows = Vec::new();
        for user in self.access().users_named_in(tx, &ctx, &named.ids, &named.emails).await? {
            if user.text("kind") != ActorKind::User.as_str() || !user.bool("active") {
                continue;
            }
            rows.push(Row::new(
                &MENTION,
                vec![
                    ("id", tx.new_id().into()),
                    ("comment", comment.id().into()),
                    ("ticket", comment.get("ticket").clone()),
                    ("visibility", comment.get("visibility").clone()),
                    ("user", user.id().into()),
                    ("createdAt", tx.now().into()),
                ],
            ));
        }
        query::insert_all_in(tx, ctx.tenant, &MENTION, &rows).await?;
        Ok(rows.iter().filter_map(|row| row.get("user").as_id()).collect())
    }

    /// The comments of these mentions, in their order, by one statement.
    ///
    /// # Errors
    /// Database errors; `INTERNAL` for a mention whose comment the viewer may not see, which nobody is shown.
    pub async fn comments_of_mentions(&self, ctx: &kernel::Ctx, mentions: &[Row]) -> Result<Vec<Row>> {
        let named: Vec<Uuid> = mentions.iter().filter_map(|row| row.get("comment").as_id()).collect();
        let rows = self.by_ids(ctx, &COMMENT, &named, &["author"]).await?;
        let found = named.iter().map(|id| rows.iter().find(|row| row.id() == *id).cloned());
        found.collect::<Option<_>>().ok_or_else(|| kernel::Error::internal("a mention's comment is missing"))
    }

    /// The mentions in these comments, with the users, by one statement.
    ///
    /// # Errors
    /// Database errors.
    pub async fn mentions_of(&self, ctx: &kernel::Ctx, comments: &[Uuid]) -> Result<Vec<Row>> {
        let visible = self.access().visible(ctx);
        let reader = self.store().read("ticket.mentions");
        let scoped = self.access().scoped(ctx, &visible);
        let (all, forward) = (Predicate::always(), kernel::PageDirection::Forward);
        query::by_parents(
            &reader,
            &scoped,
            &MENTION,
            "comment",
            comments,
            &all,
            forward,
            MAX_MENTIONS as u32,
            &["user"],
        )
        .await
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn people_are_named_by_id_and_by_address() {
        let id = Id::new(id::prefix::USER, Uuid::from_u128(7));
        let named = |text: &str| {
            let named = named(text);
            (named.ids.len(), named.emails.join(" "))
        };
        assert_eq!(named(&format!("@{id}, have a look. So may @{id}.")), (1, String::new()));
        assert_eq!(named("(@Lee@Acme.example) or @lee@acme.example."), (0, "lee@acme.example".into()));
        assert_eq!(named("Write to lee@acme.example or a@@b"), (0, String::new()));
        assert_eq!(named("@lee @ @. @team_01jcz8 @usr_1 mail-@lee@acme.example"), (0, String::new()));
        assert_eq!(named(r"\@lee@acme.example"), (0, String::new()));
        assert_eq!(named("ä@lee@acme.example\n@ada@acme.example"), (0, "ada@acme.example".into()));
    }

    #[test]
    fn a_comment_mentions_a_limited_number_of_people() {
        let text: String = (0..MAX_MENTIONS + 10).map(|number| format!("@p{number}@acme.example ")).collect();
        let named = named(&text);
        assert_eq!(named.emails.len(), MAX_MENTIONS);
        assert_eq!(named.emails[MAX_MENTIONS - 1], format!("p{}@acme.example", MAX_MENTIONS - 1));
    }

    proptest! {
        #[test]
        fn any_text_can_be_read(text in "[@a-z. ä]{0,60}") {
            prop_assert!(named(&text).emails.iter().all(|email| email.contains('@') && !email.contains(' ')));
        }
    }
}
