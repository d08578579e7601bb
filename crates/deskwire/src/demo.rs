//! A small company to try things on: teams, people, categories, forty incidents in every state.
//!
//! It is loaded once, through the same services that the API calls, by the people of the company and on a clock that runs
//! through the last days: so its history looks like one.

mod agreements;
mod bulk;
mod files;
mod major_incident;
mod merges;
mod problems;
mod service_levels;
mod templates;
mod time;

use access::{
    Access, ApiTokenCreate, Membership, RoleInput, SignIn, TeamCreate, TeamRef, TeamUpdate, TenantCreate, UserCreate,
    UserRef,
};
use anyhow::{Result, anyhow};
use chrono::Duration;
use configuration::{CreateItem, CreateService, ItemClass, ItemRef, RelateItems, RelationType, ServiceRef};
use gateway::platform::Platform;
use incident::alert::SeverityMapping;
use incident::{AlertRuleDraft, CreateAlertRule, CreateIncident, EscalateIncident, EscalationType, IncidentOrigin};
use kernel::id::prefix;
use kernel::{Clock, Ctx, ManualClock, Mutation, Patch};
use serde_json::{Map, Value as Json, json};
use ticket::canned_response::CreateCannedResponse;
use ticket::custom_field::{
    Audience, Constraints, CreateCustomField, CustomFieldType, FieldOption, Given, SetCustomField,
};
use ticket::{
    AddComment, AssignTicket, CommentVisibility, CreateCategory, Impact, TicketRef, TransitionTicket, Urgency,
};

/// The slug of the demo company.
pub const TENANT: &str = "demo";
/// Everybody's password.
pub const PASSWORD: &str = "demo";
/// How long the tokens that are printed at start live, in days.
const TOKEN_DAYS: i64 = 30;
/// What those tokens are called.
const TOKEN_NAME: &str = "demo";

/// A ready token of one role.
pub struct Token {
    /// The role's name.
    pub role: &'static str,
    /// Whose it is.
    pub email: &'static str,
    /// The token.
    pub secret: String,
}

struct Person {
    email: &'static str,
    name: &'static str,
    role: &'static str,
    title: &'static str,
    teams: &'static [&'static str],
}

const PEOPLE: &[Person] = &[
    Person {
        email: "admin@demo.example",
        name: "Ada Admin",
        role: "administrator",
        title: "Administrator",
        teams: &[],
    },
    Person {
        email: "lead@demo.example",
        name: "Lena Lead",
        role: "team_lead",
        title: "Team Lead",
        teams: &["service-desk", "network"],
    },
    Person {
        email: "agent@demo.example",
        name: "Arun Agent",
        role: "agent",
        title: "Agent",
        teams: &["service-desk", "network"],
    },
    Person {
        email: "requester@demo.example",
        name: "Rosa Requester",
        role: "requester",
        title: "Requester",
        teams: &[],
    },
    Person { email: "auditor@demo.example", name: "Otto Auditor", role: "auditor", title: "Auditor", teams: &[] },
    Person { email: "nina@demo.example", name: "Nina Network", role: "agent", title: "", teams: &["network"] },
    Person { email: "walt@demo.example", name: "Walt Workplace", role: "agent", title: "", teams: &["workplace"] },
    Person { email: "sam@demo.example", name: "Sam Sales", role: "requester", title: "", teams: &[] },
    Person { email: "mia@demo.example", name: "Mia Marketing", role: "requester", title: "", teams: &[] },
];

const TEAMS: &[(&str, &str, &str)] = &[
    ("service-desk", "Service Desk", "First contact for everybody."),
    ("network", "Network", "Cables, Wi-Fi, VPN, firewalls."),
    ("workplace", "Workplace", "Laptops, printers, phones."),
];

/// A team, the team of its next level of support, and who manages it.
const ESCALATION: &[(&str, Option<&str>, &str)] = &[
    ("service-desk", Some("network"), "lead@demo.example"),
    ("network", None, "lead@demo.example"),
    ("workplace", None, "lead@demo.example"),
];

const CATEGORIES: &[(&str, &str, Option<&str>)] = &[
    ("network", "Network", None),
    ("vpn", "VPN", Some("network")),
    ("wifi", "Wi-Fi", Some("network")),
    ("workplace", "Workplace", None),
    ("printer", "Printer", Some("workplace")),
    ("laptop", "Laptop", Some("workplace")),
    ("software", "Software", None),
];

/// Key, title and text of what is often answered.
const CANNED_RESPONSES: &[(&str, &str, &str)] = &[
    (
        "need-more-details",
        "Need more details",
        "Dear {{requester.name}},\n\nto help you with **{{ticket.title}}** we need to know: what did you do just before, and what did the screen say?\n\n{{viewer.name}}",
    ),
    (
        "restarted",
        "Restarted, please try again",
        "We have restarted it. Please try again, and tell us in {{ticket.number}} if it comes back.",
    ),
];

/// Key, name, the team that looks after it, and the categories of the incidents that interrupt it.
const SERVICES: &[(&str, &str, &str, &[&str])] = &[
    ("e-mail", "E-mail", "service-desk", &["software"]),
    ("remote-access", "Remote access", "network", &["vpn"]),
    ("office-network", "Office network", "network", &["wifi", "network"]),
    ("workplace", "Workplace", "workplace", &["printer", "laptop"]),
];

/// Name, class, service, and the name of the one that it depends on.
const ITEMS: &[(&str, ItemClass, &str, Option<&str>)] = &[
    ("fw-1", ItemClass::NetworkDevice, "office-network", None),
    ("vpn-gateway", ItemClass::VirtualMachine, "remote-access", Some("fw-1")),
    ("mail-1", ItemClass::Server, "e-mail", Some("fw-1")),
    ("printer-3-1", ItemClass::Printer, "workplace", None),
];

const TITLES: &[(&str, &str)] = &[
    ("VPN drops every few minutes", "vpn"),
    ("Printer on the third floor jams", "printer"),
    ("Laptop does not wake up", "laptop"),
    ("Wi-Fi is slow in the meeting rooms", "wifi"),
    ("Cannot open the expense report", "software"),
    ("E-mail arrives late", "software"),
    ("Second screen stays black", "laptop"),
    ("Shared drive asks for a password", "network"),
];

/// Where people of the company sit.
const SITES: &[(&str, &str)] = &[("vienna", "Vienna"), ("graz", "Graz"), ("remote", "Remote")];

/// What happens to an incident after it was opened.
const STORIES: &[&str] = &["new", "assigned", "in_progress", "on_hold", "scheduled", "resolved", "closed", "canceled"];
/// How many incidents there are.
const INCIDENTS: usize = 40;
/// Between two incidents.
const STEP: Duration = Duration::minutes(110);
/// The longest story. All stories together take less than the five days after which a resolved incident closes by itself.
const MOST_PER_INCIDENT: Duration = Duration::minutes(45);

/// Loads the company, unless it is there, and makes a token for each role.
///
/// # Errors
/// When the database does not answer.
pub async fn prepare(platform: &Platform) -> Result<Vec<Token>> {
    let access = &platform.access;
    let tenant = match access.tenant_by_slug(TENANT).await? {
        Some(tenant) => tenant.id,
        None => load(platform).await?,
    };
    let ctx = access.command_line_ctx(tenant, "demo");
    let mut tokens = Vec::new();
    for person in PEOPLE.iter().filter(|person| !person.title.is_empty()) {
        let user = access.user(&ctx, &UserRef::Email(person.email.to_owned())).await?;
        for old in access.api_tokens(&ctx, user.id).await?.into_iter().filter(|token| token.name == TOKEN_NAME) {
            access.api_token_revoke(&ctx, old.public_id()).await?;
        }
        let command = ApiTokenCreate {
            name: TOKEN_NAME.to_owned(),
            scopes: Vec::new(),
            expires_at: Some(Clock::System.now() + Duration::days(TOKEN_DAYS)),
            owner: Some(user.public_id()),
        };
        let issued = access.api_token_create(&ctx, command).await?.record;
        tokens.push(Token { role: person.title, email: person.email, secret: issued.secret.reveal().to_owned() });
    }
    Ok(tokens)
}

async fn load(platform: &Platform) -> Result<kernel::Uuid> {
    let access = &platform.access;
    let command = TenantCreate { slug: TENANT.to_owned(), name: "Demo Company".to_owned() };
    let tenant = access.tenant_create(command).await?.id;
    let ctx = access.command_line_ctx(tenant, "demo");
    for (slug, name, description) in TEAMS {
        let command = TeamCreate {
            slug: (*slug).to_owned(),
            name: (*name).to_owned(),
            description: Some((*description).to_owned()),
            ..TeamCreate::default()
        };
        access.team_create(&ctx, command).await?;
    }
    for person in PEOPLE {
        create_person(access, &ctx, person).await?;
    }
    for (slug, next, manager) in ESCALATION {
        let command = TeamUpdate {
            escalation_team: next.map_or(Patch::Keep, |next| Patch::Set(TeamRef::Slug(next.to_owned()))),
            manager: Patch::Set(UserRef::Email((*manager).to_owned())),
            ..TeamUpdate::of(TeamRef::Slug((*slug).to_owned()))
        };
        access.team_update(&ctx, command).await?;
    }
    for (key, name, parent) in CATEGORIES {
        let command =
            CreateCategory { key: (*key).to_owned(), name: (*name).to_owned(), parent: parent.map(str::to_owned) };
        platform.tickets.create_category(&ctx, command).await?;
    }
    load_configuration(platform, &ctx).await?;
    load_custom_fields(platform, &ctx).await?;
    load_canned_responses(platform, &ctx).await?;
    service_levels::load(platform, &ctx).await?;
    load_incidents(platform).await?;
    agreements::load(platform, &ctx).await?;
    load_alert_rule(platform, &ctx).await?;
    problems::load(platform, &ctx).await?;
    time::load(platform, &ctx).await?;
    files::load(platform, &ctx).await?;
    bulk::load(platform, &ctx).await?;
    templates::load(platform, &ctx).await?;
    Ok(tenant)
}

/// Where people sit, which they say themselves, and what agents note for the controllers.
async fn load_canned_responses(platform: &Platform, ctx: &Ctx) -> Result<()> {
    for (key, title, body) in CANNED_RESPONSES {
        let command = CreateCannedResponse {
            key: (*key).to_owned(),
            title: (*title).to_owned(),
            body: (*body).to_owned(),
            team: None,
        };
        platform.tickets.create_canned_response(ctx, command).await?;
    }
    Ok(())
}

async fn load_custom_fields(platform: &Platform, ctx: &Ctx) -> Result<()> {
    let option = |(key, name): &(&str, &str)| FieldOption { key: (*key).into(), name: (*name).into(), retired: false };
    let field = |key: &str, name: &str, kind, audience| CreateCustomField {
        key: key.to_owned(),
        name: name.to_owned(),
        description: None,
        kind,
        kinds: Vec::new(),
        options: Vec::new(),
        constraints: Constraints::default(),
        default: None,
        required_in: Vec::new(),
        readable_by: audience,
        writable_by: audience,
        position: None,
    };
    let site = field("site", "Site", CustomFieldType::Enum, Audience::Everyone);
    let options = SITES.iter().map(option).collect();
    platform.tickets.create_custom_field(ctx, CreateCustomField { options, position: Some(1), ..site }).await?;
    let cost_center = field("costCenter", "Cost center", CustomFieldType::Text, Audience::Agents);
    let constraints = Constraints { pattern: Some("[0-9]{4}".into()), ..Constraints::default() };
    platform.tickets.create_custom_field(ctx, CreateCustomField { constraints, ..cost_center }).await?;
    Ok(())
}

/// What becomes of all that monitoring tells.
async fn load_alert_rule(platform: &Platform, ctx: &Ctx) -> Result<()> {
    let severity = |severity: Option<&str>, impact, urgency| SeverityMapping {
        severity: severity.map(str::to_owned),
        impact,
        urgency,
    };
    let draft = AlertRuleDraft {
        matchers: Vec::new(),
        group_by: None,
        window: None,
        flap_window: Some(600),
        resolution_code: Some("SOLVED".to_owned()),
        severities: vec![
            severity(Some("critical"), Impact::High, Urgency::High),
            severity(None, Impact::Low, Urgency::Medium),
        ],
        requester: UserRef::Email("lead@demo.example".to_owned()),
        team: Some(TeamRef::Slug("network".to_owned())),
        service: None,
        category: None,
    };
    let command = CreateAlertRule {
        key: "monitoring".to_owned(),
        name: "All alerts".to_owned(),
        description: Some("What no rule before it is for.".to_owned()),
        position: Some(100),
        draft,
    };
    platform.incidents.create_alert_rule(ctx, command).await?;
    Ok(())
}

async fn load_configuration(platform: &Platform, ctx: &Ctx) -> Result<()> {
    let configuration = platform.tickets.configuration();
    for (key, name, team, _) in SERVICES {
        let command = CreateService {
            key: (*key).to_owned(),
            name: (*name).to_owned(),
            description: None,
            owner: Some(UserRef::Email("lead@demo.example".to_owned())),
            team: Some(TeamRef::Slug((*team).to_owned())),
        };
        configuration.create_service(ctx, command).await?;
    }
    let mut made: Vec<(&str, ItemRef)> = Vec::new();
    for (name, class, service, needs) in ITEMS {
        let service = Some(ServiceRef::Key((*service).to_owned()));
        let command = CreateItem { name: (*name).to_owned(), class: *class, service };
        let row = configuration.create_item(ctx, command).await?.record;
        let source = ItemRef::Id(kernel::Id::new(prefix::CONFIGURATION_ITEM, row.id()));
        if let Some((_, target)) = made.iter().find(|(made, _)| Some(*made) == *needs) {
            let command = RelateItems { source: source.clone(), kind: RelationType::DependsOn, target: target.clone() };
            configuration.relate_items(ctx, command).await?;
        }
        made.push((*name, source));
    }
    Ok(())
}

async fn create_person(access: &Access, ctx: &Ctx, person: &Person) -> Result<()> {
    let command = UserCreate {
        email: person.email.to_owned(),
        name: person.name.to_owned(),
        password: Some(PASSWORD.to_owned()),
        roles: vec![RoleInput { role: person.role.to_owned(), team: None }],
        // The administrator comes first and is managed by nobody; the lead manages those who help.
        manager: match person.role {
            "team_lead" => Some(UserRef::Email("admin@demo.example".to_owned())),
            "agent" => Some(UserRef::Email("lead@demo.example".to_owned())),
            _ => None,
        },
        ..Default::default()
    };
    access.user_create(ctx, command).await?;
    for team in person.teams {
        let membership =
            Membership { team: TeamRef::Slug((*team).to_owned()), user: UserRef::Email(person.email.to_owned()) };
        access.team_member_add(ctx, membership).await?;
    }
    Ok(())
}

/// The company's people, signed in, on a clock of their own.
struct Cast {
    clock: ManualClock,
    requesters: Vec<Ctx>,
    agents: Vec<(&'static str, Ctx)>,
    lead: Ctx,
}

impl Cast {
    fn agent(&self, email: &str) -> Result<&Ctx> {
        let found = self.agents.iter().find(|(known, _)| *known == email);
        found.map(|(_, ctx)| ctx).ok_or_else(|| anyhow!("{email} is no agent of the demo"))
    }
}

async fn load_incidents(platform: &Platform) -> Result<()> {
    let clock = ManualClock::starting_at(Clock::System.now() - (STEP + MOST_PER_INCIDENT) * INCIDENTS as i32);
    let mut requesters = Vec::new();
    for email in ["requester@demo.example", "sam@demo.example", "mia@demo.example"] {
        requesters.push(sign_in(platform, email, &clock).await?);
    }
    let lead = sign_in(platform, "lead@demo.example", &clock).await?;
    let mut agents = Vec::new();
    for email in ["agent@demo.example", "nina@demo.example", "walt@demo.example"] {
        agents.push((email, sign_in(platform, email, &clock).await?));
    }
    let cast = Cast { clock, requesters, agents, lead };
    for index in 0..INCIDENTS {
        play(platform, &cast, index).await?;
        cast.clock.advance(STEP);
    }
    major_incident::load(platform, &cast.lead).await?;
    merges::load(platform, &cast.lead).await?;
    Ok(())
}

async fn sign_in(platform: &Platform, email: &str, clock: &ManualClock) -> Result<Ctx> {
    let command = SignIn { tenant: Some(TENANT.to_owned()), email: email.to_owned(), password: PASSWORD.to_owned() };
    let signed_in = platform.access.sign_in(command, "demo").await?;
    let session = platform.access.authenticate(signed_in.access_token.reveal(), "demo").await?;
    Ok(Ctx { clock: Clock::Manual(clock.clone()), mutation: Mutation::default(), ..session.ctx })
}

fn service_of(category: &str) -> Option<ServiceRef> {
    let service = SERVICES.iter().find(|(.., categories)| categories.contains(&category));
    service.map(|(key, ..)| ServiceRef::Key((*key).to_owned()))
}

/// Opens one incident and lets its story happen, within the hour.
async fn play(platform: &Platform, cast: &Cast, index: usize) -> Result<()> {
    let story = STORIES[index % STORIES.len()];
    let (title, category) = TITLES[(index * 5 + index / 8) % TITLES.len()];
    let requester = &cast.requesters[index % cast.requesters.len()];
    let command = CreateIncident {
        title: title.to_owned(),
        description: Some(format!("{title}. It began this morning and *keeps* coming back.")),
        requester: None,
        impact: Impact::ALL[(index / 2) % 3],
        urgency: Urgency::ALL[(index / 3) % 3],
        priority_override: None,
        category: Some(category.to_owned()),
        service: service_of(category),
        items: Default::default(),
        team: None,
        assignee: None,
        tags: vec![category.to_owned()],
        custom_fields: vec![SetCustomField {
            at: "0".to_owned(),
            key: "site".to_owned(),
            value: Some(Given::Option(SITES[index % SITES.len()].0.to_owned())),
        }],
        external_refs: Vec::new(),
        origin: IncidentOrigin::Portal,
        deduplication_key: None,
    };
    let created = platform.incidents.create(requester, command).await?;
    let row = created.row.ok_or_else(|| anyhow!("a demo incident is hidden from its requester"))?;
    let incident = TicketRef::Number(row.text("number"));
    cast.clock.advance(Duration::minutes(10));
    match story {
        "new" => {}
        "canceled" => step(platform, requester, &incident, "cancel", json!({})).await?,
        _ => {
            let agent = cast.agent(assign(platform, cast, &incident, category).await?)?;
            carry_on(platform, cast, (requester, agent), &incident, story).await?;
            if story == "in_progress" && category == "software" {
                escalate(platform, cast, &incident).await?;
            }
        }
    }
    Ok(())
}

/// The lead puts somebody on it; answers who.
async fn assign(platform: &Platform, cast: &Cast, incident: &TicketRef, category: &str) -> Result<&'static str> {
    let (team, assignee) = match category {
        "vpn" | "wifi" | "network" => ("network", "nina@demo.example"),
        "printer" | "laptop" => ("workplace", "walt@demo.example"),
        _ => ("service-desk", "agent@demo.example"),
    };
    let command = AssignTicket {
        ticket: incident.clone(),
        team: Patch::Set(TeamRef::Slug(team.to_owned())),
        assignee: Patch::Set(UserRef::Email(assignee.to_owned())),
        expected_version: None,
    };
    platform.tickets.assign(&cast.lead, command).await?;
    cast.clock.advance(Duration::minutes(15));
    Ok(assignee)
}

/// The lead hands it to the next level of support.
async fn escalate(platform: &Platform, cast: &Cast, incident: &TicketRef) -> Result<()> {
    let command = EscalateIncident {
        incident: incident.clone(),
        kind: EscalationType::Functional,
        team: None,
        reason: "The mail server answers; something on the way to it does not.".to_owned(),
        expected_version: None,
    };
    platform.incidents.escalate(&cast.lead, command).await?;
    Ok(())
}

async fn carry_on(
    platform: &Platform,
    cast: &Cast,
    (requester, agent): (&Ctx, &Ctx),
    incident: &TicketRef,
    story: &str,
) -> Result<()> {
    if story == "assigned" {
        return Ok(());
    }
    step(platform, agent, incident, "start", json!({})).await?;
    say(platform, agent, incident, "Thank you, we are looking into it.", CommentVisibility::Public).await?;
    cast.clock.advance(Duration::minutes(20));
    match story {
        "on_hold" => {
            say(platform, agent, incident, "Which device is it?", CommentVisibility::Public).await?;
            step(platform, agent, incident, "hold", json!({ "waitingReason": "REQUESTER" })).await?;
        }
        "scheduled" => {
            let until = Clock::System.now() + Duration::days(2);
            let inputs = json!({ "waitingReason": "SCHEDULE", "waitingUntil": until.to_rfc3339() });
            step(platform, agent, incident, "hold", inputs).await?;
        }
        "resolved" | "closed" => {
            say(platform, agent, incident, "A known fault of the firmware.", CommentVisibility::Internal).await?;
            let inputs = json!({ "resolutionCode": "SOLVED", "resolutionNotes": "Updated and restarted." });
            step(platform, agent, incident, "resolve", inputs).await?;
            if story == "closed" {
                say(platform, requester, incident, "Works again, thank you!", CommentVisibility::Public).await?;
                step(platform, agent, incident, "close", json!({})).await?;
            }
        }
        _ => {
            say(platform, agent, incident, "Needs a closer look.", CommentVisibility::Internal).await?;
        }
    }
    Ok(())
}

async fn step(platform: &Platform, ctx: &Ctx, incident: &TicketRef, transition: &str, inputs: Json) -> Result<()> {
    let command = TransitionTicket {
        ticket: incident.clone(),
        transition: transition.to_owned(),
        inputs: inputs.as_object().cloned().unwrap_or_else(Map::new),
        comment: None,
        resolve_children: false,
        expected_version: None,
    };
    platform.tickets.transition(ctx, command).await?;
    Ok(())
}

async fn say(
    platform: &Platform,
    ctx: &Ctx,
    incident: &TicketRef,
    body: &str,
    visibility: CommentVisibility,
) -> Result<()> {
    let command = AddComment { ticket: incident.clone(), body: body.to_owned(), visibility, files: None };
    platform.tickets.add_comment(ctx, command).await?;
    Ok(())
}
