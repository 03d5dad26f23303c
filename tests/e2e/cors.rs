//! Web pages that call APIs: what the command line sets, what goes over the wire, and what a real browser makes of it.

use http::Method;
use serde_json::json;
use testkit::{Answer, Cluster, Version, browser, eventually, project, raw};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

fn deploy_two(cluster: &Cluster) {
    for name in ["echo", "rose"] {
        cluster.deploy(&project::python(&cluster.cortex, name, &project::echo("1"), ""));
    }
}

/// What a browser is told before it sends a page's request: the origin that may, or none.
async fn asked(cluster: &Cluster, path: &str, page: &str) -> Option<String> {
    let request = raw(&cluster.ca, Version::Http2)
        .request(Method::OPTIONS, format!("{}{path}", cluster.api_endpoint))
        .header("origin", page)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization,content-type");
    let answer = Answer::of(request).await.expect("an answer");
    let allowed = answer.headers.get("access-control-allow-origin").map(|origin| origin.to_str().expect("ASCII"));
    assert_eq!(answer.status, if allowed.is_some() { 204 } else { 403 }, "{answer:?}");
    allowed.map(str::to_owned)
}

async fn becomes(cluster: &Cluster, path: &str, page: &str, wanted: Option<&str>) {
    eventually("the gateway knows of the change", async || match asked(cluster, path, page).await {
        told if told.as_deref() == wanted => Ok(()),
        told => Err(format!("{path} tells {page}: {told:?}, not {wanted:?}")),
    })
    .await;
}

const SHOP: &str = "https://shop.example";
const DEV: &str = "http://localhost:3000";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_while_the_cluster_runs() {
    let cluster = Cluster::up();
    deploy_two(&cluster);
    let cors = |arguments: &[&str]| cluster.run(&[&["cors"], arguments].concat());
    cors(&["get"]).ok().prints("none");
    assert_eq!(asked(&cluster, "/echo", SHOP).await, None);

    cors(&["set", "--origin", "HTTPS://Shop.example:443", "--origin", DEV]).ok().prints(&format!("{SHOP}, {DEV}"));
    for path in ["/echo", "/rose", "/nobody"] {
        becomes(&cluster, path, SHOP, Some(SHOP)).await;
        becomes(&cluster, path, DEV, Some(DEV)).await;
        assert_eq!(asked(&cluster, path, "https://other.example").await, None);
    }
    // An API's own setting comes before the cluster's, whatever it is.
    cors(&["set", "--api", "echo", "--origin", "*"]).ok().prints("echo: all");
    cors(&["set", "--api", "rose", "--none"]).ok().prints("rose: none");
    becomes(&cluster, "/echo", "https://other.example", Some("*")).await;
    becomes(&cluster, "/rose", SHOP, None).await;
    assert_eq!(asked(&cluster, "/nobody", SHOP).await.as_deref(), Some(SHOP));
    let all = cors(&["get", "-o", "json"]).ok().json();
    let own = json!({ "echo": { "origins": ["*"] }, "rose": { "origins": [] } });
    assert_eq!(all, json!({ "cluster": { "origins": [SHOP, DEV] }, "apis": own }));

    // Requests without a page are served as ever, and pages see answers and refusals.
    let mut client = cluster.client();
    assert_eq!(client.post("/rose", &json!(1)).await.status, 200);
    client.key = "wrong".to_owned();
    let refused = client.post("/echo", &json!(1)).await;
    assert_eq!(
        (refused.status, &refused.headers["access-control-allow-origin"]),
        (401, &"*".parse().expect("a value"))
    );

    cors(&["unset", "--api", "rose"]).ok();
    becomes(&cluster, "/rose", SHOP, Some(SHOP)).await;
    // Another API of that name is another API.
    cluster.run(&["delete", "echo"]).ok();
    becomes(&cluster, "/echo", "https://other.example", None).await;
    cluster.deploy("echo/cortex.yaml");
    assert_eq!(asked(&cluster, "/echo", SHOP).await.as_deref(), Some(SHOP));
    cors(&["unset"]).ok().prints("none");
    becomes(&cluster, "/echo", SHOP, None).await;
}

#[test]
fn what_makes_no_sense_is_refused_with_what_to_do() {
    let cluster = Cluster::up();
    for (arguments, code, says) in [
        (&["set"][..], 2, "--origin"),
        (&["set", "--none", "--origin", "*"], 2, "--none"),
        (&["set", "--origin", "shop.example"], 1, "https://example.com"),
        (&["set", "--origin", "https://shop.example/app"], 1, "write `https://shop.example`"),
        (&["set", "--origin", "null"], 1, "`null`"),
        (&["set", "--origin", "https://*.shop.example"], 1, "name every origin"),
        (&["set", "--origin", "*", "--origin", SHOP], 1, "alone"),
        (&["set", "--api", "nobody", "--origin", "*"], 5, "cortex get"),
        (&["unset", "--api", "nobody"], 5, "cortex get"),
    ] {
        cluster.run(&[&["cors"], arguments].concat()).exits(code).says(says);
    }
    assert_eq!(cluster.run(&["cors", "get", "-o", "json"]).ok().json(), json!({}));
}

/// Serves one page to whoever asks, until dropped; returns its origin.
async fn serve(page: String) -> (String, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let origin = format!("http://127.0.0.1:{}", listener.local_addr().expect("it is bound").port());
    let task = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let page = page.clone();
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    match stream.read_u8().await {
                        Ok(byte) => head.push(byte),
                        Err(_) => return,
                    }
                }
                let head = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    page.len()
                );
                // A browser that has gone away is no matter.
                let _ = stream.write_all(format!("{head}{page}").as_bytes()).await;
            });
        }
    });
    (origin, task)
}

/// A page that makes these requests, one after the other, and writes what it saw of each into itself.
fn script(cluster: &Cluster, requests: &[(&str, &str, &str)]) -> String {
    let calls = requests.iter().map(|(name, path, key)| {
        json!({ "name": name, "url": format!("{}{path}", cluster.api_endpoint), "key": key }).to_string()
    });
    let calls: Vec<_> = calls.collect();
    format!(
        r#"<!doctype html><pre id="seen">nothing</pre><script>
        (async () => {{
            const seen = {{}};
            for (const call of [{}]) {{
                try {{
                    const response = await fetch(call.url, {{
                        method: "POST",
                        headers: {{ "authorization": "Bearer " + call.key, "content-type": "application/json" }},
                        body: "7",
                    }});
                    const body = await response.json();
                    const id = response.headers.get("x-request-id");
                    seen[call.name] = [response.status, body.echo ?? body.kind, Boolean(id)];
                }} catch (error) {{
                    seen[call.name] = error.name;
                }}
            }}
            document.getElementById("seen").textContent = "SEEN" + JSON.stringify(seen) + "END";
        }})();
        </script>"#,
        calls.join(",")
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn is_understood_by_a_real_browser() {
    let cluster = Cluster::up();
    deploy_two(&cluster);
    let requests = [
        ("good", "/echo", &*cluster.key),
        ("wrong key", "/echo", "x"),
        ("closed", "/rose", &*cluster.key),
        ("no api", "/nobody", &*cluster.key),
    ];
    let (page, _serving) = serve(script(&cluster, &requests)).await;
    let look = async || {
        let html = browser::page(&page, &cluster.ca, &cluster.cortex.temporary()).await;
        let seen = html.split_once("SEEN").and_then(|(_, rest)| rest.split_once("END"));
        let (seen, _) = seen.unwrap_or_else(|| panic!("the page did not finish: {html}"));
        serde_json::from_str::<serde_json::Value>(&seen.replace("&quot;", "\"")).expect("JSON")
    };
    let nothing =
        json!({ "good": "TypeError", "wrong key": "TypeError", "closed": "TypeError", "no api": "TypeError" });
    assert_eq!(look().await, nothing, "closed to pages unless somebody opens it");

    cluster.run(&["cors", "set", "--api", "echo", "--origin", &page]).ok();
    becomes(&cluster, "/echo", &page, Some(&page)).await;
    let mut one = nothing.clone();
    one["good"] = json!([200, 7, true]);
    one["wrong key"] = json!([401, "unauthenticated", true]);
    assert_eq!(look().await, one);

    cluster.run(&["cors", "set", "--origin", "*"]).ok();
    cluster.run(&["cors", "set", "--api", "echo", "--origin", SHOP]).ok();
    becomes(&cluster, "/echo", &page, None).await;
    becomes(&cluster, "/rose", &page, Some("*")).await;
    let mut others = nothing;
    others["closed"] = json!([200, 7, true]);
    others["no api"] = json!([404, "api_not_found", true]);
    assert_eq!(look().await, others);
}
