//! Changing people: sessions, API tokens, users, teams, service accounts. Each: read the input, ask `access`, shape the answer.

use access::{Account, Changed, SignedIn};
use async_graphql::{Context, ID, Object, Result, SimpleObject};
use kernel::{Ctx, Error};

use super::inputs::{
    ApiTokenCreateInput, ApiTokenRevokeInput, ServiceAccountCreateInput, SessionCreateInput, SessionRefreshInput,
    SessionRevokeInput, TeamCreateInput, TeamMemberAddInput, TeamMemberRemoveInput, TeamUpdateInput, UserCreateInput,
    UserUpdateInput,
};
use super::types::{Actor, ServiceAccount, Team, User};
use super::viewer::{ApiToken, session_id};
use crate::context::{mutation, platform, viewer};
use crate::door::Viewer;
use crate::platform::Platform;
use crate::scalars::DateTime;
use crate::tickets::event_log::from_store;
use crate::tickets::events::Event;
use crate::user_error::{UserError, part};

/// What a mutation came to, before it has the shape of its payload.
struct Outcome<T> {
    record: Option<T>,
    events: Vec<Event>,
    user_errors: Vec<UserError>,
}

fn outcome<T>(ctx: &Ctx, platform: &Platform, result: kernel::Result<Changed<T>>) -> Result<Outcome<T>> {
    let (changed, user_errors) = part(result)?;
    Ok(match changed {
        Some(Changed { record, events }) => {
            Outcome { record: Some(record), events: from_store(ctx, platform, events), user_errors }
        }
        None => Outcome { record: None, events: Vec::new(), user_errors },
    })
}

/// Declares a payload with one record.
macro_rules! payload {
    ($(#[$doc:meta])* $name:ident { $(#[$field_doc:meta])* $field:ident: $record:ty, of $source:ty }) => {
        $(#[$doc])*
        #[derive(SimpleObject)]
        pub struct $name {
            $(#[$field_doc])*
            pub $field: Option<$record>,
            /// What was recorded, in order; in a dry run: what would have been.
            pub events: Vec<Event>,
            /// What is wrong with the input; empty when it was done.
            pub user_errors: Vec<UserError>,
        }

        impl From<Outcome<$source>> for $name {
            fn from(outcome: Outcome<$source>) -> Self {
                let Outcome { record, events, user_errors } = outcome;
                Self { $field: record.map(<$record>::of), events, user_errors }
            }
        }
    };
}

payload! {
    /// What `apiTokenRevoke` answers.
    ApiTokenRevokePayload {
        /// The token.
        api_token: ApiToken, of access::ApiToken
    }
}

payload! {
    /// What `userCreate` answers.
    UserCreatePayload {
        /// The user.
        user: User, of Account
    }
}

payload! {
    /// What `serviceAccountCreate` answers.
    ServiceAccountCreatePayload {
        /// The service account.
        service_account: ServiceAccount, of Account
    }
}

payload! {
    /// What `teamCreate` answers.
    TeamCreatePayload {
        /// The team.
        team: Team, of access::Team
    }
}

payload! {
    /// What `teamUpdate` answers.
    TeamUpdatePayload {
        /// The team.
        team: Team, of access::Team
    }
}

payload! {
    /// What `teamMemberAdd` answers.
    TeamMemberAddPayload {
        /// The team.
        team: Team, of access::Team
    }
}

payload! {
    /// What `teamMemberRemove` answers.
    TeamMemberRemovePayload {
        /// The team.
        team: Team, of access::Team
    }
}

/// What `userUpdate` answers.
#[derive(SimpleObject)]
pub struct UserUpdatePayload {
    /// The user, if it was one.
    user: Option<User>,
    /// The service account, if it was one.
    service_account: Option<ServiceAccount>,
    /// What was recorded, in order; in a dry run: what would have been.
    events: Vec<Event>,
    /// What is wrong with the input; empty when it was done.
    user_errors: Vec<UserError>,
}

impl From<Outcome<Account>> for UserUpdatePayload {
    fn from(outcome: Outcome<Account>) -> Self {
        let actor = outcome.record.map(Actor::of);
        Self {
            user: actor.clone().and_then(Actor::user),
            service_account: actor.and_then(Actor::service_account),
            events: outcome.events,
            user_errors: outcome.user_errors,
        }
    }
}

/// What `apiTokenCreate` answers.
#[derive(SimpleObject)]
pub struct ApiTokenCreatePayload {
    /// The token's text, for `Authorization: Bearer`. It is shown this once and stored nowhere.
    token: Option<String>,
    /// All else about the token.
    api_token: Option<ApiToken>,
    /// What was recorded, in order.
    events: Vec<Event>,
    /// What is wrong with the input; empty when it was done.
    user_errors: Vec<UserError>,
}

/// Declares the payload of a mutation that hands out a session's tokens.
macro_rules! session_payload {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(SimpleObject)]
        pub struct $name {
            /// For `Authorization: Bearer`, until it expires.
            access_token: Option<String>,
            /// When the access token stops working: about 15 minutes from now.
            expires_at: Option<DateTime>,
            /// Can be exchanged, once, for the next pair by `sessionRefresh`.
            refresh_token: Option<String>,
            /// When the refresh token stops working.
            refresh_expires_at: Option<DateTime>,
            /// The session's id, for `sessionRevoke`.
            session_id: Option<ID>,
            /// The id of the user who is signed in. With the access token, `viewer` tells everything else.
            user_id: Option<ID>,
            /// What is wrong with the input; empty when it was done. Wrong credentials are an error of the request.
            user_errors: Vec<UserError>,
        }

        impl $name {
            fn of((signed_in, user_errors): (Option<SignedIn>, Vec<UserError>)) -> Self {
                let signed_in = signed_in.as_ref();
                Self {
                    access_token: signed_in.map(|session| session.access_token.reveal().to_owned()),
                    expires_at: signed_in.map(|session| DateTime(session.access_expires_at)),
                    refresh_token: signed_in.map(|session| session.refresh_token.reveal().to_owned()),
                    refresh_expires_at: signed_in.map(|session| DateTime(session.refresh_expires_at)),
                    session_id: signed_in.map(|session| session_id(session.session)),
                    user_id: signed_in.map(|session| ID(session.account.public_id().to_string())),
                    user_errors,
                }
            }
        }
    };
}

session_payload! {
    /// What `sessionCreate` answers.
    SessionCreatePayload
}

session_payload! {
    /// What `sessionRefresh` answers.
    SessionRefreshPayload
}

/// What `sessionRevoke` answers.
#[derive(SimpleObject)]
pub struct SessionRevokePayload {
    /// The id of the session that has ended.
    session_id: Option<ID>,
    /// What was recorded, in order.
    events: Vec<Event>,
    /// What is wrong with the input; empty when it was done.
    user_errors: Vec<UserError>,
}

/// The mutations about people.
#[derive(Clone, Copy, Debug, Default)]
pub struct PeopleMutations;

#[Object]
impl PeopleMutations {
    /// Sign in with e-mail address and password. Needs no credentials. A wrong combination is an `UNAUTHENTICATED` error; after too many
    /// in a row for one address, `RATE_LIMITED`.
    async fn session_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Who signs in.")] input: SessionCreateInput,
    ) -> Result<SessionCreatePayload> {
        let signed_in = platform(ctx).access.sign_in(input.command(), request_id(ctx)?).await;
        Ok(SessionCreatePayload::of(part(signed_in)?))
    }

    /// Exchange a refresh token for the next pair of tokens. Needs no credentials. A refresh token that was used before ends its
    /// session: somebody else has a copy.
    async fn session_refresh(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The refresh token.")] input: SessionRefreshInput,
    ) -> Result<SessionRefreshPayload> {
        let signed_in = platform(ctx).access.refresh(&input.refresh_token, request_id(ctx)?).await;
        Ok(SessionRefreshPayload::of(part(signed_in)?))
    }

    /// End a session. Its tokens stop working at once, on open connections within 5 seconds.
    async fn session_revoke(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which session.")] input: SessionRevokeInput,
    ) -> Result<SessionRevokePayload> {
        let (viewer, platform) = (viewer(ctx)?, platform(ctx));
        let result = async { platform.access.session_revoke(&viewer, input.session()?).await };
        let Outcome { record, events, user_errors } = outcome(&viewer, platform, result.await)?;
        Ok(SessionRevokePayload { session_id: record.map(|id| ID(id.to_string())), events, user_errors })
    }

    /// Make an API token for oneself or, with `token.manage` for the tenant, for a service account. Its text is in this answer and
    /// nowhere else. It never carries more than the viewer may do.
    async fn api_token_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The token to make.")] input: ApiTokenCreateInput,
    ) -> Result<ApiTokenCreatePayload> {
        let (viewer, platform) = (viewer(ctx)?, platform(ctx));
        let result = async { platform.access.api_token_create(&viewer, input.command()?).await };
        let Outcome { record, events, user_errors } = outcome(&viewer, platform, result.await)?;
        let (token, api_token) =
            record.map(|issued| (issued.secret.reveal().to_owned(), ApiToken::of(issued.token))).unzip();
        Ok(ApiTokenCreatePayload { token, api_token, events, user_errors })
    }

    /// Revoke an API token. It stops working at once, on open connections within 5 seconds. One that is revoked already stays so.
    async fn api_token_revoke(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which token.")] input: ApiTokenRevokeInput,
    ) -> Result<ApiTokenRevokePayload> {
        let (viewer, platform) = (viewer(ctx)?, platform(ctx));
        let result = async { platform.access.api_token_revoke(&viewer, input.token()?).await };
        Ok(outcome(&viewer, platform, result.await)?.into())
    }

    /// Make a user. Needs `user.manage`; nobody can give roles that grant more than they hold.
    async fn user_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The user to make.")] input: UserCreateInput,
    ) -> Result<UserCreatePayload> {
        let (viewer, platform) = (mutation(ctx)?, platform(ctx));
        let result = async { platform.access.user_create(&viewer, input.command()?).await };
        Ok(outcome(&viewer, platform, result.await)?.into())
    }

    /// Change a user or a service account. Everybody may change their own name, picture, time zone and password; the rest needs
    /// `user.manage`. The last active administrator cannot be deactivated or lose the role.
    async fn user_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to change.")] input: UserUpdateInput,
    ) -> Result<UserUpdatePayload> {
        let (viewer, platform) = (mutation(ctx)?, platform(ctx));
        let result = async { platform.access.user_update(&viewer, input.command()?).await };
        Ok(outcome(&viewer, platform, result.await)?.into())
    }

    /// Make a service account: a program with rights of its own. Needs `user.manage`. Give it an API token by `apiTokenCreate`.
    async fn service_account_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The service account to make.")] input: ServiceAccountCreateInput,
    ) -> Result<ServiceAccountCreatePayload> {
        let (viewer, platform) = (mutation(ctx)?, platform(ctx));
        let result = async { platform.access.service_account_create(&viewer, input.command()?).await };
        Ok(outcome(&viewer, platform, result.await)?.into())
    }

    /// Make a team. Needs `team.manage` for the tenant.
    async fn team_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The team to make.")] input: TeamCreateInput,
    ) -> Result<TeamCreatePayload> {
        let (viewer, platform) = (mutation(ctx)?, platform(ctx));
        let result = async { platform.access.team_create(&viewer, input.command()?).await };
        Ok(outcome(&viewer, platform, result.await)?.into())
    }

    /// Change a team. Needs `team.manage` on it.
    async fn team_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to change.")] input: TeamUpdateInput,
    ) -> Result<TeamUpdatePayload> {
        let (viewer, platform) = (mutation(ctx)?, platform(ctx));
        let result = async { platform.access.team_update(&viewer, input.command()?).await };
        Ok(outcome(&viewer, platform, result.await)?.into())
    }

    /// Make a user or a service account a member of a team. Needs `team.manage` on the team. Who is a member stays one.
    async fn team_member_add(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Who, and of which team.")] input: TeamMemberAddInput,
    ) -> Result<TeamMemberAddPayload> {
        let (viewer, platform) = (mutation(ctx)?, platform(ctx));
        let result = async { platform.access.team_member_add(&viewer, input.command()?).await };
        Ok(outcome(&viewer, platform, result.await)?.into())
    }

    /// End a membership. Needs `team.manage` on the team. Who is no member stays none.
    async fn team_member_remove(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Who, and of which team.")] input: TeamMemberRemoveInput,
    ) -> Result<TeamMemberRemovePayload> {
        let (viewer, platform) = (mutation(ctx)?, platform(ctx));
        let result = async { platform.access.team_member_remove(&viewer, input.command()?).await };
        Ok(outcome(&viewer, platform, result.await)?.into())
    }
}

/// The name of this request, for writes that have no viewer yet.
fn request_id(ctx: &Context<'_>) -> Result<std::sync::Arc<str>> {
    let viewer = ctx.data::<Viewer>().map_err(|_| Error::internal("a request has no viewer"))?;
    Ok(viewer.request_id.clone())
}
