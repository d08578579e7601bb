//! Search by words over what the viewer may read.

use async_graphql::{Context, Enum, Object, Result, SimpleObject, Union};
use kernel::{Ctx, PageDirection};
use store::query::{Count, Row};
use ticket::CommentVisibility;
use ticket::fields::TICKET;
use ticket::highlight::highlight;
use ticket::search::{Hits, SearchRequest};
use tokio::sync::OnceCell;

use crate::connection::{PageInfo, page};
use crate::context::{platform, viewer};
use crate::incidents::Incident;
use crate::problems::Problem;
use crate::scalars::Cursor;
use crate::tasks::Task;
use crate::tickets::filters::TicketFilter;
use crate::tickets::queries::{node_selections, relations};

/// How many of the newest comments of a ticket are looked through for highlights.
const COMMENTS_SHOWN: u32 = 20;
/// How many of them are shown.
const COMMENT_HIGHLIGHTS: usize = 3;

/// What is searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum SearchType {
    /// Incidents.
    Incident,
    /// Problems.
    Problem,
    /// Tasks.
    Task,
}

impl From<SearchType> for ticket::TicketKind {
    fn from(kind: SearchType) -> Self {
        match kind {
            SearchType::Incident => ticket::TicketKind::Incident,
            SearchType::Problem => ticket::TicketKind::Problem,
            SearchType::Task => ticket::TicketKind::Task,
        }
    }
}

/// A record that was found. `... on Ticket` selects what all kinds of tickets have.
#[derive(Union)]
pub enum SearchResult {
    /// An incident.
    Incident(Incident),
    /// A problem.
    Problem(Problem),
    /// A task.
    Task(Task),
}

impl SearchResult {
    fn from_row(row: Row) -> Self {
        match ticket::TicketKind::parse(&row.text("kind")) {
            Some(ticket::TicketKind::Task) => SearchResult::Task(Task::from_row(row)),
            Some(ticket::TicketKind::Problem) => SearchResult::Problem(Problem::from_row(row)),
            _ => SearchResult::Incident(Incident::from_row(row)),
        }
    }
}

/// Which text of a record a highlight shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum SearchField {
    /// The number.
    Number,
    /// The title.
    Title,
    /// The description.
    Description,
    /// A tag.
    Tag,
    /// A public comment.
    Comment,
    /// An internal comment, for those who may read it.
    InternalComment,
}

/// A piece of a text in which something was found.
#[derive(SimpleObject)]
pub struct SearchHighlight {
    /// Which text it is from.
    field: SearchField,
    /// The piece, at most 240 characters of the text around its first hit, in fragments. `…` stands where it was cut.
    fragments: Vec<SearchFragment>,
}

/// A part of a piece of text. Plain text, never HTML.
#[derive(SimpleObject)]
pub struct SearchFragment {
    /// As it is written.
    text: String,
    /// Whether it is what was looked for.
    is_match: bool,
}

/// A record that was found and its cursor.
#[derive(SimpleObject)]
pub struct SearchEdge {
    /// The record's place in what was found: for `after`.
    cursor: Cursor,
    /// The record.
    node: SearchResult,
    /// What its hits are worth, summed over the words and phrases of the search, each where it is worth most: 100 for the record's number,
    /// 6 in number or title, 3 in another public text, 1 in an internal one. It depends on the record and the search alone.
    score: i32,
    /// Where in the number, the title, the description, the tags and the newest 20 comments it was found, at most 3 comments. A hit in another text,
    /// such as a custom field, has none.
    highlights: Vec<SearchHighlight>,
}

/// What was found, best first: by `score`, then the newest.
pub struct SearchConnection {
    hits: Hits,
    request: SearchRequest,
    comments: Vec<Row>,
    count: OnceCell<Count>,
}

impl SearchConnection {
    async fn count(&self, ctx: &Context<'_>) -> Result<Count> {
        let count = async || {
            let viewer = viewer(ctx)?;
            Ok::<_, async_graphql::Error>(platform(ctx).tickets.search_count(&viewer, self.request.clone()).await?)
        };
        self.count.get_or_try_init(count).await.copied()
    }

    fn highlights(&self, row: &Row) -> Vec<SearchHighlight> {
        let show = |field: SearchField, text: &str| {
            let fragments = highlight(text, &self.hits.terms)?.into_iter();
            let fragments =
                fragments.map(|fragment| SearchFragment { text: fragment.text, is_match: fragment.is_match });
            Some(SearchHighlight { field, fragments: fragments.collect() })
        };
        let own = [
            (SearchField::Number, row.text("number")),
            (SearchField::Title, row.text("title")),
            (SearchField::Description, row.text("description")),
        ];
        let tags = row.texts("tags").into_iter().map(|tag| (SearchField::Tag, tag));
        let comments = self.comments.iter().filter(|comment| comment.get("ticket").as_id() == Some(row.id()));
        let comments = comments.rev().filter_map(|comment| {
            let internal = comment.text("visibility") == CommentVisibility::Internal.as_str();
            show(if internal { SearchField::InternalComment } else { SearchField::Comment }, &comment.text("body"))
        });
        let texts = own.into_iter().chain(tags).filter_map(|(field, text)| show(field, &text));
        texts.chain(comments.take(COMMENT_HIGHLIGHTS)).collect()
    }
}

/// What was found, best first: by `score`, then the newest. Of very many hits the 200 that were written down last are ordered.
#[Object]
impl SearchConnection {
    /// What this page found, each with its cursor.
    fn edges(&self) -> Vec<SearchEdge> {
        let edge = |hit: &ticket::search::Hit| SearchEdge {
            cursor: Cursor(hit.cursor.clone()),
            node: SearchResult::from_row(hit.row.clone()),
            score: i32::try_from(hit.points).unwrap_or(i32::MAX),
            highlights: self.highlights(&hit.row),
        };
        self.hits.hits.iter().map(edge).collect()
    }

    /// What this page found.
    fn nodes(&self) -> Vec<SearchResult> {
        self.hits.hits.iter().map(|hit| SearchResult::from_row(hit.row.clone())).collect()
    }

    /// Where this page lies in what was found.
    fn page_info(&self) -> PageInfo {
        PageInfo {
            has_next_page: self.hits.has_next,
            has_previous_page: self.hits.has_previous,
            start_cursor: self.hits.hits.first().map(|hit| Cursor(hit.cursor.clone())),
            end_cursor: self.hits.hits.last().map(|hit| Cursor(hit.cursor.clone())),
        }
    }

    /// How many records were found that the viewer may see. Counted only when asked for, and no further than 200.
    async fn total_count(&self, ctx: &Context<'_>) -> Result<i32> {
        Ok(i32::try_from(self.count(ctx).await?.total).unwrap_or(i32::MAX))
    }

    /// Whether `totalCount` is the whole truth; false when there are more than 200.
    async fn total_count_is_exact(&self, ctx: &Context<'_>) -> Result<bool> {
        Ok(self.count(ctx).await?.exact)
    }
}

/// Search.
#[derive(Default)]
pub struct SearchQueries;

#[Object]
impl SearchQueries {
    /// Records that hold all words and phrases of `query` in texts that the viewer may read, best first: numbers, titles,
    /// descriptions, tags, comments, custom fields, and what resolutions, symptoms and workarounds say. Words are compared without regard to case and
    /// diacritics.
    #[allow(clippy::too_many_arguments)]
    async fn search(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "Words, `\"phrases in quotes\"` and beginnings of words such as `print*`: at most 200 characters and 10 words or phrases. All must be found, each anywhere. Everything else is taken as it is written: there are no further operators."
        )]
        query: String,
        #[graphql(desc = "Only these types of records; all when absent or empty.")] types: Option<Vec<SearchType>>,
        #[graphql(desc = "Only tickets that match.")] filter: Option<TicketFilter>,
        #[graphql(desc = "How many from the front, at most 100; 20 when not given.")] first: Option<i32>,
        #[graphql(desc = "Only those behind this cursor.")] after: Option<Cursor>,
    ) -> Result<SearchConnection> {
        let viewer = viewer(ctx)?;
        let filter = filter.unwrap_or_default().predicate().map_err(|error| error.within("filter"))?;
        let page = page(first, after, None, None)?;
        let mut kinds: Vec<ticket::TicketKind> = types.unwrap_or_default().into_iter().map(Into::into).collect();
        kinds.sort_by_key(|kind| kind.as_str());
        kinds.dedup();
        let relations = relations(&node_selections(ctx), &TICKET);
        let request = SearchRequest { query, kinds, filter, page, relations };
        let hits = platform(ctx).tickets.search(&viewer, request.clone()).await?;
        let wanted = ctx.look_ahead().field("edges").field("highlights").exists();
        let comments = if wanted { comments(ctx, &viewer, &hits).await? } else { Vec::new() };
        Ok(SearchConnection { hits, request, comments, count: OnceCell::new() })
    }
}

/// The newest comments of what was found, as far as the viewer may read them.
async fn comments(ctx: &Context<'_>, viewer: &Ctx, hits: &Hits) -> Result<Vec<Row>> {
    let tickets: Vec<_> = hits.hits.iter().map(|hit| hit.row.id()).collect();
    Ok(platform(ctx).tickets.comments_of(viewer, &tickets, PageDirection::Backward, COMMENTS_SHOWN).await?)
}
