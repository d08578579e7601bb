//! Canned responses in the API.

use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, MaybeUndefined, Object, OneofObject, Result};
use kernel::id::prefix;
use kernel::{Id, UserError as Problem};
use predicate::{Path, Predicate, Test};
use store::query::{OrderTerm, Row};
use ticket::canned_response::{CreateCannedResponse, UpdateCannedResponse};
use ticket::fields::CANNED_RESPONSE;
use ticket::queries::ListRequest;

use crate::connection::{connection, page};
use crate::context::{mutation, platform, viewer};
use crate::loaders;
use crate::payload::payload;
use crate::people::{Team, TeamRefInput};
use crate::scalars::{Cursor, DateTime, Markdown, id_of, reference};
use crate::tickets::queries::{log_cursor, ticket_ref};

/// What is often answered, written once.
#[derive(Clone)]
pub struct CannedResponse(Arc<Row>);

impl CannedResponse {
    /// Of a row.
    pub fn from_row(row: Row) -> Self {
        Self(Arc::new(row))
    }
}

/// What is often answered, written once. For those with `cannedResponse.read`.
#[Object]
impl CannedResponse {
    /// The canned response's id.
    pub async fn id(&self) -> ID {
        id_of(prefix::CANNED_RESPONSE, self.0.id())
    }

    /// Unique in the tenant, such as `need-more-details`.
    pub fn key(&self) -> String {
        self.0.text("key")
    }

    /// What it is called.
    pub fn title(&self) -> String {
        self.0.text("title")
    }

    /// The text with its placeholders, such as `{{requester.name}}`.
    pub fn body(&self) -> Markdown {
        Markdown(self.0.text("body"))
    }

    /// The text for this ticket: with the placeholders filled in, as far as the viewer may read what they stand for. Edit it, and say it by
    /// `commentAdd`.
    pub async fn filled(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The ticket's id or number.")] ticket: ID,
    ) -> Result<Markdown> {
        let ticket = ticket_ref(&ticket)?;
        Ok(Markdown(platform(ctx).tickets.filled_response(&viewer(ctx)?, &self.0, &ticket).await?))
    }

    /// The team that it is for; null when it is for all.
    pub async fn team(&self, ctx: &Context<'_>) -> Result<Option<Team>> {
        match self.0.get("team").as_id() {
            Some(id) => Ok(loaders::team(ctx, id).await?.map(Team::from_row)),
            None => Ok(None),
        }
    }

    /// Whether it is offered no more.
    pub fn retired(&self) -> bool {
        self.0.bool("retired")
    }

    /// Rises by one with each change. For `expectedVersion`.
    pub fn version(&self) -> i32 {
        i32::try_from(self.0.int("version")).unwrap_or(i32::MAX)
    }

    /// When it was written.
    pub fn created_at(&self) -> DateTime {
        DateTime(self.0.time("createdAt"))
    }

    /// When it changed last.
    pub fn updated_at(&self) -> DateTime {
        DateTime(self.0.time("updatedAt"))
    }
}

connection! {
    /// A page of canned responses.
    CannedResponseConnection, CannedResponseEdge, CannedResponse
}

/// Points at a canned response.
#[derive(Clone, Debug, OneofObject)]
pub enum CannedResponseRef {
    /// By its id.
    Id(ID),
    /// By its key.
    Key(String),
}

/// Which canned responses. All that is given must hold.
#[derive(Clone, Debug, Default, InputObject)]
pub struct CannedResponsesFilter {
    /// Those for this team and those for all.
    pub team: Option<TeamRefInput>,
    /// Those that are offered no more, or those that are; both when absent.
    pub retired: Option<bool>,
}

/// Writes a canned response.
#[derive(Clone, Debug, InputObject)]
pub struct CannedResponseCreateInput {
    /// Unique in the tenant: lower-case letters, digits and hyphens, such as `need-more-details`.
    pub key: String,
    /// What it is called.
    pub title: String,
    /// The text, in Markdown, at most 64 KiB. The placeholders `{{ticket.number}}`, `{{ticket.title}}`, `{{requester.name}}`, `{{assignee.name}}`,
    /// `{{team.name}}`, `{{service.name}}` and `{{viewer.name}}` are filled in by `CannedResponse.filled`.
    pub body: Markdown,
    /// The team that it is for; for all when absent.
    pub team: Option<TeamRefInput>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

/// Changes a canned response. Absent fields stay, null clears.
#[derive(Clone, Debug, InputObject)]
pub struct CannedResponseUpdateInput {
    /// The canned response's key.
    pub key: String,
    /// What it is called.
    pub title: Option<String>,
    /// The text, as in `cannedResponseCreate`.
    pub body: Option<Markdown>,
    /// The team that it is for; null for all.
    pub team: MaybeUndefined<TeamRefInput>,
    /// Whether it is offered no more.
    pub retired: Option<bool>,
    /// Refuse when it has another version.
    pub expected_version: Option<i32>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

payload! {
    /// The canned response that was written.
    CannedResponseCreatePayload {
        /// The canned response; null when it was not done.
        canned_response: CannedResponse
    }
}
payload! {
    /// The canned response that was changed.
    CannedResponseUpdatePayload {
        /// The canned response; null when it was not done.
        canned_response: CannedResponse
    }
}

fn create_command(input: CannedResponseCreateInput) -> kernel::Result<CreateCannedResponse> {
    let team = input.team.map(TeamRefInput::into_ref).transpose().map_err(|error| error.within("team"))?;
    Ok(CreateCannedResponse { key: input.key, title: input.title, body: input.body.0, team })
}

fn update_command(input: CannedResponseUpdateInput) -> kernel::Result<UpdateCannedResponse> {
    Ok(UpdateCannedResponse {
        key: input.key,
        title: input.title,
        body: input.body.map(|body| body.0),
        team: reference("team", input.team, TeamRefInput::into_ref)?,
        retired: input.retired,
        expected_version: input.expected_version,
    })
}

/// Mutations of canned responses.
#[derive(Default)]
pub struct CannedResponseMutations;

#[Object]
impl CannedResponseMutations {
    /// Writes a canned response. Needs `cannedResponse.manage`.
    async fn canned_response_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The canned response.")] input: CannedResponseCreateInput,
    ) -> Result<CannedResponseCreatePayload> {
        let viewer = mutation(ctx)?;
        let result = match create_command(input) {
            Ok(command) => platform(ctx).tickets.create_canned_response(&viewer, command).await,
            Err(error) => Err(error),
        };
        CannedResponseCreatePayload::of(ctx, &viewer, result)
    }

    /// Changes a canned response, or retires it. What was said with it stays. Needs `cannedResponse.manage`.
    async fn canned_response_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which canned response, and what changes.")] input: CannedResponseUpdateInput,
    ) -> Result<CannedResponseUpdatePayload> {
        let viewer = mutation(ctx)?;
        let result = match update_command(input) {
            Ok(command) => platform(ctx).tickets.update_canned_response(&viewer, command).await,
            Err(error) => Err(error),
        };
        CannedResponseUpdatePayload::of(ctx, &viewer, result)
    }
}

/// Queries of canned responses.
#[derive(Default)]
pub struct CannedResponseQueries;

#[Object]
impl CannedResponseQueries {
    /// A canned response. Null when there is none that the viewer may see.
    async fn canned_response(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which, as in `{ key: \"need-more-details\" }`.")] by: CannedResponseRef,
    ) -> Option<Result<CannedResponse>> {
        let found = async {
            let (viewer, tickets) = (viewer(ctx)?, &platform(ctx).tickets);
            let row = match by {
                CannedResponseRef::Key(key) => tickets.canned_response(&viewer, &key).await?,
                CannedResponseRef::Id(id) => {
                    let parsed = Id::parse_as(&id, &[prefix::CANNED_RESPONSE]);
                    let wrong = |error: kernel::id::IdError| {
                        kernel::Error::from(Problem::constraint(["by", "id"], error.to_string(), "id", None))
                    };
                    tickets.canned_response_by_id(&viewer, parsed.map_err(wrong)?.uuid).await?
                }
            };
            Ok(row.map(CannedResponse::from_row))
        };
        found.await.transpose()
    }

    /// The canned responses, by key. For those with `cannedResponse.read`.
    #[allow(clippy::too_many_arguments)]
    async fn canned_responses(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which canned responses.")] filter: Option<CannedResponsesFilter>,
        #[graphql(desc = "How many from the front, at most 100; 20 when neither `first` nor `last` is given.")]
        first: Option<i32>,
        #[graphql(desc = "Only those behind this cursor.")] after: Option<Cursor>,
        #[graphql(desc = "How many from the back, at most 100.")] last: Option<i32>,
        #[graphql(desc = "Only those before this cursor.")] before: Option<Cursor>,
    ) -> Result<CannedResponseConnection> {
        let viewer = viewer(ctx)?;
        let asked = filter.unwrap_or_default();
        let mut filter = asked.retired.map_or_else(Predicate::always, |retired| Predicate::eq("retired", retired));
        if let Some(team) = asked.team {
            let within = |error: kernel::Error| error.within("team").within("filter");
            let team = team.into_ref().map_err(within)?;
            let team = platform(ctx).access.team(&viewer, &team).await.map_err(within)?;
            let for_all = Predicate::Is(Path::field("team"), Test::IsNull(true));
            filter = filter.and(Predicate::eq("team", team.id).or(for_all));
        }
        let order = vec![OrderTerm { field: "key".into(), descending: false, nulls_first: false }];
        let page = page(first, after, last, before)?;
        let log_cursor = log_cursor(ctx, &viewer).await?;
        let request =
            ListRequest { record: &CANNED_RESPONSE, filter: filter.clone(), order, page, relations: Vec::new() };
        let slice = platform(ctx).tickets.list(&viewer, request).await?;
        Ok(CannedResponseConnection::new(slice, Some((&CANNED_RESPONSE, filter)), log_cursor))
    }
}
