//! The doors beside the API.

use serde_json::json;
use tests::installation::each_engine;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_door() {
    each_engine(async |installation, company| {
        let stranger = installation.stranger();
        let get = async |path: &str| {
            let response = stranger.http.get(stranger.url(path)).send().await.expect("the server answers");
            (response.status().as_u16(), response.text().await.expect("the answer is complete"))
        };
        assert_eq!(get("/healthz").await.0, 200);
        assert_eq!(get("/readyz").await.0, 200);
        let (status, sdl) = get("/schema.graphql").await;
        assert_eq!((status, sdl), (200, gateway::schema::sdl()), "what `deskwire schema` prints");
        let checked_in = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../schema/schema.graphql")).expect("it is checked in");
        assert_eq!(checked_in.trim_end(), gateway::schema::sdl().trim_end(), "run `cargo xtask schema`");

        let (status, page) = get("/graphiql").await;
        assert_eq!(status, 200);
        let assets: Vec<&str> = page.split(['"', '\'']).filter(|part| part.starts_with("/graphiql/")).collect();
        assert!(!assets.is_empty(), "{page}");
        for asset in assets {
            let (status, text) = get(asset).await;
            assert!(status == 200 && !text.is_empty(), "{asset}");
        }
        for host in ["https://", "http://", "//cdn"] {
            assert!(!page.contains(&format!("src=\"{host}")) && !page.contains(&format!("href=\"{host}")), "{page}");
        }
        assert_eq!(get("/graphiql/nothing").await.0, 404);
        assert_eq!(get("/nothing").await.0, 404);

        let agent = installation.client(&company.agent.token);
        agent.ask("{ viewer { actor { id } } }", json!({})).await;
        let (status, metrics) = get("/metrics").await;
        assert_eq!(status, 200);
        for name in ["deskwire_sql_statements_total", "deskwire_log_position", "deskwire_write_retries_total"] {
            let line = metrics.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name} is missing: {metrics}"));
            assert!(line.rsplit(' ').next().is_some_and(|number| number.parse::<f64>().is_ok()), "{line}");
        }
        for secret in [company.agent.email.as_str(), company.slug.as_str(), company.agent.token.as_str()] {
            assert!(!metrics.contains(secret), "metrics tell nothing of a tenant");
        }
        let info = stranger.ask("{ serverInfo { version timeZoneDatabaseVersion limits { bodyBytes documentBytes depth aliases cost pageSize operationsPerSocket } } }", json!({})).await;
        assert_eq!(info["serverInfo"]["version"], env!("CARGO_PKG_VERSION"));
        let zones = info["serverInfo"]["timeZoneDatabaseVersion"].as_str().unwrap();
        assert!(zones.len() == 5 && zones.starts_with("20"), "a year and a letter: {zones}");
        assert_eq!((&info["serverInfo"]["limits"]["bodyBytes"], &info["serverInfo"]["limits"]["pageSize"]), (&json!(1_048_576), &json!(100)));
    })
    .await;
}
