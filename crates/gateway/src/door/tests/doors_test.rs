//! The small doors: health, metrics, the schema, GraphiQL, and leave for other origins.

use serde_json::json;

use super::server::{answer, quick, serve, serve_with};
use crate::door::DoorConfig;
use crate::door::routes::{Access, ROUTES};

#[tokio::test]
async fn other_origins_need_leave() {
    let config =
        DoorConfig { limits: quick(), allowed_origins: vec!["https://portal.example".into()], ..DoorConfig::default() };
    let server = serve_with(config).await;
    let preflight = |origin: &'static str| {
        let request = server.http.request(reqwest::Method::OPTIONS, server.url("/graphql")).header("origin", origin);
        request
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization,content-type")
    };
    let response = preflight("https://portal.example").send().await.unwrap();
    assert_eq!(response.headers()["access-control-allow-origin"], "https://portal.example");
    let response = preflight("https://evil.example").send().await.unwrap();
    assert!(response.headers().get("access-control-allow-origin").is_none());
    let server = serve(quick()).await;
    let request = server.post(json!({"query": "{ hello }"})).header("origin", "https://evil.example");
    assert!(request.send().await.unwrap().headers().get("access-control-allow-origin").is_none());
}

#[tokio::test]
async fn small_doors() {
    let server = serve(quick()).await;
    let get = |path: &str| server.http.get(server.url(path));
    assert_eq!(answer(get("/healthz")).await, (200, json!("ok\n")));
    assert_eq!(answer(get("/readyz")).await.0, 200);
    server.query("{ hello }").await;
    server.query("{ hellp }").await;
    let (status, metrics) = answer(get("/metrics")).await;
    let metrics = metrics.as_str().unwrap();
    assert_eq!(status, 200);
    for line in [
        r#"deskwire_operations_total{kind="query",outcome="ok",transport="http"} 1"#,
        r#"deskwire_refused_total{code="GRAPHQL_VALIDATION_FAILED"} 1"#,
        r#"deskwire_operation_seconds_count{kind="query"} 1"#,
        "deskwire_sockets 0",
        "toy_jobs 7",
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
    let (status, sdl) = answer(get("/schema.graphql")).await;
    assert!(status == 200 && sdl.as_str().unwrap().contains("type ItemConnection"));
    server.platform.down.store(true, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(answer(get("/readyz")).await, (503, json!("the database is away\n")));
    assert_eq!(answer(get("/healthz")).await.0, 200);
}

#[tokio::test]
async fn graphiql_needs_no_other_host() {
    let server = serve(quick()).await;
    let response = server.http.get(server.url("/graphiql")).send().await.unwrap();
    let policy = response.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("http"), "{policy}");
    let page = response.text().await.unwrap();
    assert!(!page.contains("//") || page.matches("://").count() == 0, "no outside address");
    let files: Vec<&str> = page.split(['"', '\'']).filter(|part| part.starts_with("/graphiql/")).collect();
    assert_eq!(files.len(), 7);
    for file in files {
        assert_eq!(answer(server.http.get(server.url(file))).await.0, 200, "{file}");
    }
    assert_eq!(answer(server.http.get(server.url("/graphiql/../Cargo.toml"))).await.0, 404);
    let browser = server.http.get(server.url("/graphql")).header("accept", "text/html,*/*;q=0.8").send().await.unwrap();
    assert_eq!(browser.headers()["location"], "/graphiql");
    let without = serve_with(DoorConfig { limits: quick(), graphiql: false, ..DoorConfig::default() }).await;
    assert_eq!(answer(without.http.get(without.url("/graphiql"))).await.0, 404);
}

#[test]
fn the_routes_without_authentication() {
    let open: Vec<&str> = ROUTES.iter().filter(|route| route.access == Access::Open).map(|route| route.path).collect();
    let golden = ["/", "/graphiql", "/graphiql/{file}", "/healthz", "/metrics", "/readyz", "/schema.graphql"];
    assert_eq!(open, golden, "a route that anybody may use is a decision");
}
