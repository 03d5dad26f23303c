//! The proxies that are measured, and what each is told.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Result, bail};
use serde_json::Value;

use super::{
    super::server::{Server, pinned},
    engines, steady,
};
use crate::run;

/// Of the gateway, in the scratch directory.
const HOME: &str = "cortex";
const ORIGIN: &str = "127.0.0.1:7100";
/// Connections and time of the steady load.
const STEADY: (u32, Duration) = (32, Duration::from_secs(10));

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Proxy {
    Nginx,
    Haproxy,
    Cortex,
    /// With tokio's runtime of one thread: what is left of it if there is one for each processor.
    OneThread,
    /// A program that does the same with hyper, and no more.
    Hyper,
    Pingora,
}

impl Proxy {
    pub(super) const ALL: [Self; 3] = [Self::Nginx, Self::Haproxy, Self::Cortex];
    pub(super) const ENGINES: [Self; 5] = [Self::Nginx, Self::Cortex, Self::OneThread, Self::Hyper, Self::Pingora];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Haproxy => "HAProxy",
            Self::Cortex => "cortex gateway",
            Self::OneThread => "cortex gateway, one thread",
            Self::Hyper => "hyper",
            Self::Pingora => "pingora",
        }
    }

    /// With the version, of what is installed.
    pub(super) fn title(self) -> String {
        let version = match self {
            Self::Nginx => version_of("nginx"),
            Self::Haproxy => version_of("haproxy"),
            _ => String::new(),
        };
        format!("{} {version}", self.name()).trim_end().to_owned()
    }

    fn address(self) -> &'static str {
        match self {
            Self::Nginx => "127.0.0.1:7101",
            Self::Haproxy => "127.0.0.1:7102",
            Self::Cortex => "127.0.0.1:7103",
            Self::OneThread => "127.0.0.1:7104",
            Self::Hyper => "127.0.0.1:7105",
            Self::Pingora => "127.0.0.1:7106",
        }
    }

    pub(super) fn url(self) -> String {
        format!("https://{}/api-0", self.address())
    }
}

/// Where everything lies, and the server behind all of them.
pub(super) struct Ground {
    pub(super) scratch: PathBuf,
    /// The key that all ask for.
    pub(super) key: String,
    examples: PathBuf,
    proxy_processors: String,
    _origin: Server,
}

impl Ground {
    pub(super) fn prepare(scratch: &Path, proxy: &str, load: &str) -> Result<Self> {
        let examples = run::target()?.join("release").join("examples");
        let log = scratch.join("origin.log");
        let origin = Server::start(pinned(load, examples.join("origin")).arg(ORIGIN), ORIGIN, &log)?;
        certificate(scratch)?;
        let mut ground = Self {
            scratch: scratch.to_owned(),
            key: String::new(),
            examples,
            proxy_processors: proxy.to_owned(),
            _origin: origin,
        };
        // The gateway makes the key.
        drop(ground.start(Proxy::Cortex, 1, 1)?);
        ground.key = fs::read_to_string(ground.home().join("key"))?;
        Ok(ground)
    }

    fn home(&self) -> PathBuf {
        self.scratch.join(HOME)
    }

    /// nginx and HAProxy know one API and one server behind it, whatever the numbers say.
    pub(super) fn start(&self, proxy: Proxy, apis: u32, replicas: u32) -> Result<Server> {
        let log = self.scratch.join(format!("{}.log", proxy.name()));
        let mut command = match proxy {
            Proxy::Nginx => {
                let file = self.scratch.join("nginx.conf");
                fs::write(&file, nginx(&self.scratch, &self.key))?;
                let mut command = pinned(&self.proxy_processors, "nginx");
                command.arg("-p").arg(&self.scratch).arg("-c").arg(file);
                command
            }
            Proxy::Haproxy => {
                let file = self.scratch.join("haproxy.cfg");
                fs::write(&file, haproxy(&self.scratch, &self.key))?;
                let mut command = pinned(&self.proxy_processors, "haproxy");
                command.arg("-q").arg("-f").arg(file);
                command
            }
            Proxy::Cortex | Proxy::OneThread => {
                let home = self.scratch.join(if proxy == Proxy::Cortex { HOME } else { "one-thread" });
                let _ = fs::remove_dir_all(&home);
                fs::create_dir_all(&home)?;
                let mut command = pinned(&self.proxy_processors, self.examples.join("gate"));
                command.arg(home).args([proxy.address(), ORIGIN]).args([apis.to_string(), replicas.to_string()]);
                command.args((proxy == Proxy::OneThread).then_some("--one-thread"));
                command
            }
            Proxy::Hyper | Proxy::Pingora => {
                let mut command = pinned(&self.proxy_processors, engines::directory()?.join(proxy.name()));
                command.arg(proxy.address()).args(["cert.pem", "key.pem"].map(|file| self.scratch.join(file)));
                command.args([ORIGIN, &self.key]);
                command
            }
        };
        Server::start(&mut command, proxy.address(), &log)
    }

    /// With the key the server behind answers, without it nobody does.
    pub(super) fn check(&self, proxy: Proxy) -> Result<()> {
        for (key, wanted) in [(self.key.as_str(), "200"), ("wrong", "401")] {
            let header = format!("x-api-key: {key}");
            let mut curl = run::program("curl");
            curl.args([
                "--http1.1",
                "-sko",
                "/dev/null",
                "-w",
                "%{http_code}",
                "-d",
                "{}",
                "-H",
                &header,
                &proxy.url(),
            ]);
            let status = run::stdout_of(&mut curl)?;
            if status != wanted {
                bail!("{} answers {status} where {wanted} is right", proxy.name());
            }
        }
        Ok(())
    }

    /// Latency at that pace, through a proxy that runs, or of the server behind.
    pub(super) fn steady(&self, proxy: Option<Proxy>, per_second: f64) -> Result<Value> {
        let (count, length) = STEADY;
        let ca = match proxy {
            Some(Proxy::Cortex) => self.home().join("ca.pem"),
            _ => self.scratch.join("ca.pem"),
        };
        let (count, rate, length) = (count.to_string(), per_second.to_string(), length.as_secs().to_string());
        let address = proxy.map_or(ORIGIN, Proxy::address);
        let mut arguments = vec![address, "/api-0", &self.key, &count, &rate, &length];
        let ca = ca.to_string_lossy();
        if proxy.is_some() {
            arguments.push(&ca);
        }
        steady(&self.examples.join("load"), &arguments)
    }
}

/// An authority and a certificate for `localhost`, of the kind that the gateway makes for itself: ECDSA over P-256.
fn certificate(directory: &Path) -> Result<()> {
    let openssl = |arguments: &[&str]| -> Result<()> {
        let mut command = run::program("openssl");
        run::stdout_of(command.current_dir(directory).args(arguments).stderr(std::process::Stdio::null())).map(drop)
    };
    let new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
    let name = "subjectAltName=DNS:localhost";
    fs::write(directory.join("extension"), name)?;
    openssl(&[&["req", "-x509"], &new[..], &["-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=bench"]].concat())?;
    openssl(&[&["req"], &new[..], &["-keyout", "key.pem", "-out", "request.pem", "-subj", "/CN=localhost"]].concat())?;
    let sign = ["x509", "-req", "-in", "request.pem", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"];
    openssl(&[&sign[..], &["-out", "cert.pem", "-extfile", "extension"]].concat())?;
    let both = ["cert.pem", "key.pem"].map(|file| fs::read_to_string(directory.join(file)));
    let [certificate, key] = both;
    fs::write(directory.join("both.pem"), certificate? + &key?)?;
    Ok(())
}

fn nginx(directory: &Path, key: &str) -> String {
    let directory = directory.display();
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|what| format!("  {what}_temp_path {directory}/{what};\n"))
        .concat();
    format!(
        r#"daemon off;
worker_processes 1;
pid {directory}/nginx.pid;
error_log {directory}/nginx.err;
events {{ worker_connections 4096; }}
http {{
  access_log off;
{temporary}
  keepalive_requests 1000000000;
  map_hash_bucket_size 256;
  map $http_x_api_key $known {{ default 0; "{key}" 1; }}
  upstream origin {{ server {ORIGIN}; keepalive 128; keepalive_requests 1000000000; }}
  server {{
    listen {address} ssl http2;
    ssl_certificate {directory}/cert.pem;
    ssl_certificate_key {directory}/key.pem;
    ssl_protocols TLSv1.2 TLSv1.3;
    location /api-0 {{
      if ($known = 0) {{ return 401; }}
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header X-Api-Key "";
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Request-Id $request_id;
      proxy_pass http://origin/;
    }}
  }}
}}
"#,
        address = Proxy::Nginx.address(),
    )
}

fn haproxy(directory: &Path, key: &str) -> String {
    let directory = directory.display();
    format!(
        "global
  nbthread 1
  maxconn 4096
defaults
  mode http
  timeout connect 2s
  timeout client 60s
  timeout server 60s
  http-reuse always
frontend front
  bind {address} ssl crt {directory}/both.pem alpn h2,http/1.1
  http-request deny deny_status 401 unless {{ req.hdr(x-api-key) -m str {key} }}
  http-request del-header x-api-key
  http-request set-header x-forwarded-proto https
  http-request set-header x-request-id %[uuid()]
  option forwardfor
  default_backend back
backend back
  server origin {ORIGIN} pool-max-conn 128
",
        address = Proxy::Haproxy.address(),
    )
}

/// The first number that it says of itself; they do not agree on where to say it.
fn version_of(program: &str) -> String {
    let Ok(output) = Command::new(program).arg("-v").output() else { return String::new() };
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let mut words = text.split([' ', '/', '\n']);
    words.find(|word| word.starts_with(|first: char| first.is_ascii_digit())).unwrap_or_default().to_owned()
}
