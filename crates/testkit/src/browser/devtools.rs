//! A browser that does what a person would: opens a page, types, clicks. Spoken to by its DevTools protocol, over pipes.

use std::{path::Path, process::Stdio};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use super::{PATIENCE, arguments, program};

/// Commands come in by descriptor 3, answers go out by 4: both are made from the standard ones.
const PIPES: &str = "exec \"$0\" \"$@\" 3<&0 4>&1 0</dev/null 1>&2";

/// A browser with one page open. It is killed when dropped.
pub struct Tab {
    _browser: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
    session: Value,
    last: u64,
}

impl Tab {
    /// Opens that address; `ca_pem` and `scratch` are as in [`page`](super::page).
    pub async fn open(url: &str, ca_pem: &str, scratch: &Path) -> Self {
        let (options, profile) = arguments(ca_pem, scratch);
        let mut browser = Command::new("sh")
            .args(["-c", PIPES])
            .arg(program())
            .args(options)
            .args(["--remote-debugging-pipe", "about:blank"])
            .env("HOME", profile)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("the browser does not start: {error}"));
        let commands = browser.stdin.take().expect("it was asked for");
        let answers = BufReader::new(browser.stdout.take().expect("it was asked for"));
        let mut tab = Self { _browser: browser, commands, answers, session: Value::Null, last: 0 };
        let target = tab.ask("Target.createTarget", json!({ "url": "about:blank" })).await;
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        tab.session = tab.ask("Target.attachToTarget", attach).await["sessionId"].clone();
        let opened = tab.ask("Page.navigate", json!({ "url": url })).await;
        assert!(opened.get("errorText").is_none(), "{url}: {opened}");
        tab.becomes("document.readyState === 'complete' && location.href !== 'about:blank'").await;
        tab
    }

    /// What an expression in the page gives, a promise once it is kept.
    pub async fn run(&mut self, expression: &str) -> Value {
        let evaluate = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let outcome = self.ask("Runtime.evaluate", evaluate).await;
        assert!(outcome.get("exceptionDetails").is_none(), "{expression}: {outcome:#}");
        outcome["result"]["value"].clone()
    }

    /// Waits until the expression is true.
    pub async fn becomes(&mut self, expression: &str) {
        crate::eventually(expression, async || match self.run(expression).await {
            Value::Bool(true) => Ok(()),
            other => Err(other.to_string()),
        })
        .await;
    }

    async fn ask(&mut self, method: &str, parameters: Value) -> Value {
        self.last += 1;
        let id = self.last;
        let mut command = json!({ "id": id, "method": method, "params": parameters });
        if !self.session.is_null() {
            command["sessionId"] = self.session.clone();
        }
        let answer = async {
            let text = format!("{command}\0");
            self.commands.write_all(text.as_bytes()).await.unwrap_or_else(|error| panic!("{method}: {error}"));
            loop {
                let mut text = Vec::new();
                self.answers.read_until(0, &mut text).await.unwrap_or_else(|error| panic!("{method}: {error}"));
                assert_eq!(text.pop(), Some(0), "the browser ended before it answered {method}");
                let answer: Value = serde_json::from_slice(&text).expect("JSON");
                // Everything else is news of the page.
                if answer["id"] == id {
                    return answer;
                }
            }
        };
        let answer = tokio::time::timeout(PATIENCE, answer).await;
        let answer = answer.unwrap_or_else(|_| panic!("the browser did not answer {method} within {PATIENCE:?}"));
        assert!(answer.get("error").is_none(), "{method}: {answer}");
        answer["result"].clone()
    }
}
