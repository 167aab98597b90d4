//! The container files, as far as they can be checked without a container engine: they can be read,
//! and what they name exists.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde::Deserialize;
use serde_json::Value;

/// The compose file; a key that compose does not know, or that no test looks at, is refused.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Compose {
    name: String,
    services: BTreeMap<String, Service>,
    volumes: BTreeMap<String, Option<()>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Service {
    image: String,
    build: Option<Build>,
    #[serde(default)]
    command: Vec<String>,
    #[serde(default)]
    environment: BTreeMap<String, String>,
    #[serde(default)]
    ports: Vec<String>,
    #[serde(default)]
    volumes: Vec<String>,
    #[serde(default)]
    depends_on: BTreeMap<String, DependsOn>,
    healthcheck: Option<HealthCheck>,
    stop_grace_period: Option<String>,
    restart: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Build {
    context: PathBuf,
    dockerfile: PathBuf,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DependsOn {
    condition: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct HealthCheck {
    test: Vec<String>,
    interval: String,
    timeout: String,
    retries: u32,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn compose() -> Compose {
    serde_saphyr::from_str(&text("docker/compose.yaml")).expect("a compose file")
}

/// The instructions of the Dockerfile, each with what follows it, continued lines joined.
fn instructions() -> Vec<(String, String)> {
    let text = text("docker/Dockerfile").replace("\\\n", "");
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let (instruction, rest) = line.split_once(' ').expect("an instruction");
            (instruction.to_owned(), rest.split_whitespace().collect::<Vec<_>>().join(" "))
        })
        .collect()
}

/// What follows each instruction of this name.
fn all(instruction: &str) -> Vec<String> {
    let found = instructions().into_iter().filter(|(name, _)| name == instruction);
    found.map(|(_, rest)| rest).collect()
}

/// An instruction in the form that needs no shell, which the image does not have.
fn exec_form(rest: &str) -> Vec<String> {
    serde_json::from_str(rest).unwrap_or_else(|_| panic!("{rest} needs a shell"))
}

/// What is copied from the repository.
fn copied() -> Vec<String> {
    let from_here = all("COPY").into_iter().filter(|rest| !rest.starts_with("--from"));
    from_here
        .flat_map(|rest| {
            let words: Vec<String> = rest.split(' ').map(str::to_owned).collect();
            words[..words.len() - 1].to_vec()
        })
        .collect()
}

fn tandem(args: &[&str]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_tandem")).args(args).output().expect("tandem");
    let told = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(told).expect("text"))
}

fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        fs::create_dir_all(to).expect("a folder");
        for entry in fs::read_dir(from).expect("a folder") {
            let entry = entry.expect("an entry");
            copy(&entry.path(), &to.join(entry.file_name()));
        }
    } else {
        fs::copy(from, to).expect("a file");
    }
}

#[test]
fn the_image_is_built_from_what_is_there_by_the_command_of_the_readme() {
    let ignored = text(".dockerignore");
    let context = tempfile::tempdir().expect("a folder");
    for path in copied() {
        assert!(root().join(&path).exists(), "{path} is copied");
        assert!(ignored.lines().any(|line| line == format!("!{path}")), "{path} is left out");
        copy(&root().join(&path), &context.path().join(&path));
    }
    let builds = all("RUN");
    let [build, strip] = &builds[..] else { panic!("{builds:?}") };
    assert_eq!(build, "cargo build --release --locked");
    assert_eq!(strip, "strip --strip-debug target/release/tandem");
    assert!(text("README.md").contains(build));

    // Cargo reads it, and finds the files of all targets, without which it builds none.
    let plan = Command::new(env!("CARGO"))
        .args(["metadata", "--locked", "--offline", "--no-deps", "--format-version", "1"])
        .current_dir(context.path())
        .output()
        .expect("cargo");
    assert!(plan.status.success(), "{}", String::from_utf8_lossy(&plan.stderr));
    let plan: Value = serde_json::from_slice(&plan.stdout).expect("JSON");
    let targets = plan["packages"][0]["targets"].as_array().expect("targets").iter();
    let names: BTreeSet<&str> = targets.filter_map(|target| target["name"].as_str()).collect();
    for bench in text("Cargo.toml").split("[[bench]]\nname = \"").skip(1) {
        let name = bench.split('"').next().expect("a name");
        assert!(names.contains(name), "{name} is not copied");
    }
    assert!(context.path().join("tests/suite/main.rs").is_file());

    // The scripts are part of the program.
    let sources = text("src/store/scripts.rs");
    let included = sources.split("include_str!(").skip(1);
    let folders: BTreeSet<&str> =
        included.filter_map(|rest| rest.split("../../").nth(1)?.split('/').next()).collect();
    assert!(folders.iter().all(|folder| copied().contains(&(*folder).to_owned())), "{folders:?}");
}

#[test]
fn the_image_has_the_toolchain_that_is_needed_and_runs_as_nobody() {
    let bases = all("FROM");
    let manifest = text("Cargo.toml");
    let rust = manifest.split("rust-version = \"").nth(1).expect("a version");
    let rust = rust.split('"').next().expect("a version");
    assert_eq!(bases[0], format!("rust:{rust}-bookworm AS build"));
    // Debian 12 is bookworm, so the C library is the one that was linked.
    assert_eq!(bases[1], "gcr.io/distroless/cc-debian12:nonroot");
    assert_eq!(all("USER"), ["65532:65532"], "the user nonroot of that image");

    let binary = "/usr/local/bin/tandem";
    let profile = all("COPY").pop().expect("the binary");
    assert_eq!(profile, format!("--from=build /build/target/release/tandem {binary}"));
    assert_eq!(exec_form(&all("ENTRYPOINT")[0]), [binary]);
    let command = exec_form(&all("CMD")[0]);
    let command: Vec<&str> = command.iter().map(String::as_str).collect();
    assert!(tandem(&[&command[..], &["--help"]].concat()).0, "{command:?}");
}

#[test]
fn every_variable_and_flag_is_one_of_the_help() {
    let (_, help) = tandem(&["serve", "--help"]);
    let services = compose().services;
    let in_compose = services.values().flat_map(|service| service.environment.keys().cloned());
    let in_image = all("ENV").into_iter().map(|rest| rest.split('=').next().unwrap().to_owned());
    let mut count = 0;
    for variable in in_compose.chain(in_image) {
        assert!(help.contains(&format!("env: {variable}]")), "{variable}");
        count += 1;
    }
    assert!(count > 3);

    let check = &all("HEALTHCHECK")[0];
    let (_, check) = check.split_once("CMD ").expect("a command");
    let check = exec_form(check);
    let (_, help) = tandem(&[&check[1], "--help"]);
    for flag in check.iter().filter(|word| word.starts_with("--")) {
        assert!(help.contains(&format!("{flag} <")), "{flag}");
    }
}

#[test]
fn the_address_of_the_nodes_is_the_one_that_is_asked_and_published() {
    let address = "0.0.0.0:36789";
    assert_eq!(all("ENV"), [format!("TANDEM_HTTP_ADDR={address}")]);
    assert_eq!(all("EXPOSE"), ["36789"]);
    assert!(all("HEALTHCHECK")[0].contains("\"http://127.0.0.1:36789/healthz\""));
    let compose = compose();
    let nodes: Vec<&Service> =
        compose.services.values().filter(|service| service.build.is_some()).collect();
    assert_eq!(nodes.len(), 2);
    let mut ports = BTreeSet::new();
    for node in nodes {
        assert_eq!(node.environment["TANDEM_HTTP_ADDR"], address);
        let [port] = &node.ports[..] else { panic!("{:?}", node.ports) };
        assert!(port.starts_with("127.0.0.1:") && port.ends_with(":36789"), "{port}");
        assert!(ports.insert(port.clone()), "{port} twice");
        let token = &node.environment["TANDEM_API_TOKEN"];
        assert!(
            token.starts_with("${TANDEM_API_TOKEN:?"),
            "compose must not start without: {token}"
        );
    }
}

#[test]
fn the_compose_file_keeps_what_is_stored_and_gives_nodes_time_to_stop() {
    let compose = compose();
    assert_eq!(compose.name, "tandem");
    let redis = &compose.services["redis"];
    let command = redis.command.join(" ");
    let keeps =
        "redis-server --appendonly yes --appendfsync everysec --maxmemory-policy noeviction";
    assert_eq!(command, keeps);
    assert!(redis.image.starts_with("redis:7"), "{}", redis.image);
    assert!(redis.ports.is_empty(), "Redis has no password, so nobody outside may reach it");
    let [volume] = &redis.volumes[..] else { panic!("{:?}", redis.volumes) };
    let (volume, path) = volume.split_once(':').expect("a volume");
    assert!(compose.volumes.contains_key(volume) && path == "/data", "{volume} at {path}");
    let check = redis.healthcheck.as_ref().expect("nodes wait for it");
    assert_eq!((check.test[0].as_str(), check.retries > 0), ("CMD", true));
    assert!(check.interval.ends_with('s') && check.timeout.ends_with('s'));

    for (name, service) in &compose.services {
        assert_eq!(service.restart, "unless-stopped", "{name}");
        let Some(build) = &service.build else { continue };
        let context = root().join("docker").join(&build.context);
        assert!(context.join(&build.dockerfile).is_file(), "{build:?}");
        assert_eq!(context.canonicalize().expect("a folder"), root().canonicalize().unwrap());
        let url = &service.environment["TANDEM_REDIS_URL"];
        let host = url.strip_prefix("redis://").and_then(|rest| rest.split(':').next());
        assert!(host.is_some_and(|host| compose.services.contains_key(host)), "{url}");
        assert_eq!(service.depends_on["redis"].condition, "service_healthy");
        assert_eq!(service.stop_grace_period.as_deref(), Some("15s"), "over drain_timeout's 10s");
    }
}

#[tokio::test]
async fn the_health_check_tells_a_node_that_answers_from_none() {
    use crate::support::{
        redis::{fresh_name, redis_url},
        server::Server,
    };
    let prefix = fresh_name();
    let flags = ["--key-prefix", &prefix, "--api-token", "t"];
    let mut node = Server::start(redis_url(), &flags).await;
    let health = async |path: &str| {
        let url = format!("{}{path}", node.base());
        tokio::task::spawn_blocking(move || tandem(&["health", "--url", &url])).await.unwrap()
    };
    assert_eq!(health("/healthz").await, (true, String::new()));
    assert_eq!(health("/readyz").await, (true, String::new()));
    let (is_well, told) = health("/api/metrics").await;
    assert!(!is_well && told.contains("the status is 401"), "{told}");
    let url = format!("{}/healthz", node.base());
    node.kill();
    let (is_well, told) = tandem(&["health", "--url", &url]);
    assert!(!is_well && told.contains("refused"), "{told}");
    let (is_well, told) = tandem(&["health", "--url", "https://127.0.0.1:1/"]);
    assert!(!is_well && told.contains("only http"), "{told}");
}
