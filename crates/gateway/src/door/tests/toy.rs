//! A small schema and a platform of three people, to knock at the doors with.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_graphql::{
    Context, InputObject, MaybeUndefined, Object, OneofObject, Schema, SimpleObject, Subscription, ValidationMode,
};
use chrono::DateTime;
use futures_util::Stream;
use kernel::{
    Actor, ActorKind, Channel, Clock, Ctx, Error, ErrorCode, Grant, Grants, ManualClock, Mutation as Carry, Scope,
    Timestamp, Uuid,
};

use crate::door::{Backend, Principal, Viewer};

/// What the toy's resolvers count.
#[derive(Clone, Default)]
pub struct Counts {
    pub touched: Arc<AtomicUsize>,
    pub read: Arc<AtomicUsize>,
    /// Slow reads that are running.
    pub running: Arc<AtomicUsize>,
}

impl Counts {
    pub fn touched(&self) -> usize {
        self.touched.load(Ordering::SeqCst)
    }
}

struct Running(Arc<AtomicUsize>);

impl Running {
    fn new(counts: &Counts) -> Self {
        counts.running.fetch_add(1, Ordering::SeqCst);
        Self(counts.running.clone())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[derive(OneofObject)]
enum Ref {
    Id(String),
    Number(i32),
}

#[derive(InputObject)]
struct PatchInput {
    title: String,
    description: MaybeUndefined<String>,
    #[graphql(default = 3)]
    priority: i32,
    nested: Option<Box<PatchInput>>,
}

#[derive(SimpleObject, Clone)]
#[graphql(complex)]
struct Item {
    name: String,
    size: i32,
}

#[async_graphql::ComplexObject]
impl Item {
    async fn items(&self, first: Option<i32>, last: Option<i32>) -> ItemConnection {
        ItemConnection::of(first.or(last))
    }
}

#[derive(SimpleObject)]
struct ItemEdge {
    cursor: String,
    node: Item,
}

#[derive(SimpleObject)]
struct ItemConnection {
    nodes: Vec<Item>,
    edges: Vec<ItemEdge>,
    total_count: i32,
}

impl ItemConnection {
    fn of(count: Option<i32>) -> Self {
        let nodes: Vec<Item> = (0..count.unwrap_or(20)).map(|size| Item { name: format!("n{size}"), size }).collect();
        let edges = nodes.iter().map(|node| ItemEdge { cursor: node.name.clone(), node: node.clone() }).collect();
        Self { total_count: nodes.len() as i32, nodes, edges }
    }
}

pub struct Query;

fn viewer<'a>(ctx: &Context<'a>) -> kernel::Result<&'a Ctx> {
    let viewer = ctx.data_unchecked::<Viewer>();
    viewer.ctx.as_ref().ok_or_else(|| Error::request(ErrorCode::Unauthenticated, "sign in first"))
}

#[Object]
impl Query {
    async fn hello(&self, ctx: &Context<'_>) -> &str {
        ctx.data_unchecked::<Counts>().read.fetch_add(1, Ordering::SeqCst);
        "world"
    }
    async fn viewer(&self, ctx: &Context<'_>) -> async_graphql::Result<String> {
        Ok(viewer(ctx)?.actor.id.to_string())
    }
    async fn request_id(&self, ctx: &Context<'_>) -> String {
        ctx.data_unchecked::<Viewer>().request_id.to_string()
    }
    async fn slow(&self, ctx: &Context<'_>, ms: u64) -> bool {
        let _running = Running::new(ctx.data_unchecked::<Counts>());
        tokio::time::sleep(Duration::from_millis(ms)).await;
        true
    }
    async fn panics(&self) -> bool {
        explode()
    }
    async fn fails(&self) -> async_graphql::Result<bool> {
        Err(Error::internal("secret table").into())
    }
    async fn fail_often(&self) -> Vec<Failing> {
        (0..50).map(|_| Failing).collect()
    }
    async fn echo(&self, text: String) -> String {
        text
    }
    async fn size(&self, number: i32) -> i32 {
        number
    }
    async fn by(&self, by: Ref) -> String {
        match by {
            Ref::Id(id) => id,
            Ref::Number(number) => number.to_string(),
        }
    }
    async fn patch(&self, input: PatchInput) -> String {
        let description = match input.description {
            MaybeUndefined::Undefined => "left".to_owned(),
            MaybeUndefined::Null => "cleared".to_owned(),
            MaybeUndefined::Value(text) => text,
        };
        format!(
            "{} {description} {}{}",
            input.title,
            input.priority,
            if input.nested.is_some() { " nested" } else { "" }
        )
    }
    async fn items(&self, first: Option<i32>, last: Option<i32>) -> ItemConnection {
        ItemConnection::of(first.or(last))
    }
    async fn item(&self) -> Item {
        Item { name: "one".into(), size: 1 }
    }
}

struct Failing;

fn explode() -> bool {
    panic!("secret-of-the-panic")
}

#[Object]
impl Failing {
    /// `Option<Result>`: the executor lets an error of `Result<Option>` nullify the parent.
    async fn value(&self) -> Option<async_graphql::Result<bool>> {
        Some(Err(Error::request(ErrorCode::NotFound, "x".repeat(4_000)).into()))
    }
}

pub struct Mutation;

#[Object]
impl Mutation {
    async fn touch(&self, ctx: &Context<'_>) -> usize {
        ctx.data_unchecked::<Counts>().touched.fetch_add(1, Ordering::SeqCst) + 1
    }
    async fn touch_slowly(&self, ctx: &Context<'_>, ms: u64) -> usize {
        tokio::time::sleep(Duration::from_millis(ms)).await;
        ctx.data_unchecked::<Counts>().touched.fetch_add(1, Ordering::SeqCst) + 1
    }
}

pub struct Subscriptions;

#[Subscription]
impl Subscriptions {
    /// 1 to `to`, one every `every_ms`.
    async fn count(&self, ctx: &Context<'_>, to: u32, every_ms: u64) -> impl Stream<Item = u32> {
        let running = Running::new(ctx.data_unchecked::<Counts>());
        futures_util::stream::unfold((0, running), move |(number, running)| async move {
            if number >= to {
                return None;
            }
            if every_ms > 0 {
                tokio::time::sleep(Duration::from_millis(every_ms)).await;
            }
            Some((number + 1, (number + 1, running)))
        })
    }
    /// How many grants the viewer has, whenever that changes.
    async fn grants(&self, ctx: &Context<'_>) -> async_graphql::Result<impl Stream<Item = usize>> {
        let viewer = ctx.data_unchecked::<Viewer>();
        let live = viewer.live.clone().ok_or_else(|| Error::request(ErrorCode::Unauthenticated, "sign in first"))?;
        Ok(futures_util::stream::unfold((live, true), |(mut live, first)| async move {
            if !first {
                live.changed().await.ok()?;
            }
            let count = live.borrow_and_update().grants.grants.len();
            Some((count, (live, false)))
        }))
    }
    async fn explode(&self) -> impl Stream<Item = bool> {
        futures_util::stream::once(async { explode() })
    }
}

pub type ToySchema = Schema<Query, Mutation, Subscriptions>;

pub fn schema(counts: Counts) -> ToySchema {
    Schema::build(Query, Mutation, Subscriptions).data(counts).validation_mode(ValidationMode::Fast).finish()
}

/// Actor, number of grants, expiry of a token.
type Held = (u128, usize, Option<Timestamp>);

/// A platform whose tokens are set by the test.
pub struct Platform {
    pub tokens: Mutex<HashMap<String, Held>>,
    pub down: AtomicBool,
    pub clock: ManualClock,
}

impl Platform {
    pub fn new() -> Arc<Self> {
        let clock = ManualClock::starting_at(DateTime::UNIX_EPOCH + chrono::Duration::days(20_000));
        let tokens = [("alice".to_owned(), (1, 1, None)), ("bob".to_owned(), (2, 2, None))];
        Arc::new(Self { tokens: Mutex::new(tokens.into()), down: AtomicBool::new(false), clock })
    }

    /// Gives the token's owner this many grants.
    pub fn grant(&self, token: &str, count: usize) {
        if let Some(entry) = self.tokens.lock().unwrap().get_mut(token) {
            entry.1 = count;
        }
    }

    pub fn expire_at(&self, token: &str, at: Timestamp) {
        if let Some(entry) = self.tokens.lock().unwrap().get_mut(token) {
            entry.2 = Some(at);
        }
    }

    pub fn revoke(&self, token: &str) {
        self.tokens.lock().unwrap().remove(token);
    }
}

#[async_trait::async_trait]
impl Backend for Platform {
    async fn authenticate(&self, token: &str, request_id: &str) -> kernel::Result<Principal> {
        if self.down.load(Ordering::SeqCst) {
            return Err(Error::request(ErrorCode::Unavailable, "the database is away"));
        }
        let known = self.tokens.lock().unwrap().get(token).copied();
        let Some((actor, grants, expires_at)) = known else {
            return Err(Error::request(ErrorCode::Unauthenticated, "the token does not hold"));
        };
        let grant = |index| Grant { permission: format!("p{index}"), scope: Scope::Tenant, team: None };
        let ctx = Ctx {
            tenant: Uuid::from_u128(9),
            actor: Actor { id: Uuid::from_u128(actor), kind: ActorKind::User },
            grants: Arc::new(Grants { grants: (0..grants).map(grant).collect(), teams: vec![] }),
            channel: Channel::Token(Uuid::from_u128(actor)),
            request_id: request_id.into(),
            clock: Clock::Manual(self.clock.clone()),
            mutation: Carry::default(),
        };
        Ok(Principal { ctx, expires_at })
    }

    async fn ready(&self) -> Result<(), String> {
        if self.down.load(Ordering::SeqCst) { Err("the database is away".into()) } else { Ok(()) }
    }

    async fn log_cursor(&self, ctx: &Ctx, _: Option<i64>) -> Option<String> {
        Some(format!("cursor-of-{}", ctx.actor.id.as_u128()))
    }

    fn metrics_text(&self) -> String {
        "toy_jobs 7\n".into()
    }
}
