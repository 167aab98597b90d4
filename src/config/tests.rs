//! The settings as a whole: precedence, and faults.

use std::fs;

use clap::Command;

use super::*;

fn load_with(flags: &[&str], variables: &[(&str, &str)]) -> Result<Config, Faults> {
    let args = ["serve"].iter().chain(flags);
    let matches = with_flags(Command::new("serve")).try_get_matches_from(args).expect("flags");
    Config::load(&matches, variables.iter().map(|&(name, value)| (name.into(), value.into())))
}

fn faults(flags: &[&str], variables: &[(&str, &str)]) -> String {
    load_with(flags, variables).expect_err("faults").to_string()
}

/// A file with `text`, and its path; gone when the folder is dropped.
fn file(text: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("tandem.toml");
    fs::write(&path, text).expect("a file");
    let path = path.to_str().expect("a path of letters").to_owned();
    (folder, path)
}

#[test]
fn defaults_are_right_and_agree_with_the_patterns() {
    let config = load_with(&[], &[]).expect("defaults");
    assert_eq!(config.redis_url, None);
    assert_eq!(config.http_addr.to_string(), "127.0.0.1:36789");
    assert_eq!(config.data_dir, PathBuf::from("./data"));
    assert_eq!(config.retention, Duration::from_secs(86_400));
    assert_eq!(config.lease, Duration::from_secs(3));
    assert_eq!(config.body_bytes_max, 8 << 20);
    assert!(config.worker_threads >= 1);
    assert_eq!(config.policy(), Policy::default());
}

#[test]
fn a_flag_wins_over_the_environment_over_the_file_over_the_default() {
    let (_folder, path) = file("shards = 2\nlease = \"4s\"\nsteps_max = 5\n");
    let variables = [("TANDEM_SHARDS", "3"), ("TANDEM_LEASE", "5s"), ("OTHER_SHARDS", "9")];
    let config =
        load_with(&["--config", &path, "--shards", "4"], &variables).expect("a configuration");
    assert_eq!(config.shards, 4);
    assert_eq!(config.lease, Duration::from_secs(5));
    assert_eq!(config.steps_max, 5);
    assert_eq!(config.queue_max, 1_024);
}

#[test]
fn the_file_can_be_named_by_a_variable_which_a_flag_overrides() {
    let (_one, path_1) = file("shards = 1\n");
    let (_two, path_2) = file("shards = 2\n");
    let variables = [("TANDEM_CONFIG", path_1.as_str())];
    assert_eq!(load_with(&[], &variables).expect("a configuration").shards, 1);
    let config = load_with(&["--config", &path_2], &variables).expect("a configuration");
    assert_eq!(config.shards, 2);
}

#[test]
fn all_faults_of_all_sources_come_at_once_each_with_its_origin() {
    let (_folder, path) = file("shards = 0\nqueue_max = [1]\nretry_intervall = \"1s\"\n");
    let variables = [("TANDEM_LEASE", "3"), ("TANDEM_LEESE", "3s")];
    let flags = ["--config", &path, "--body-bytes-max", "huge", "--http-addr", "here"];
    let text = faults(&flags, &variables).replace(&path, "FILE");
    insta::assert_snapshot!(text, @r#"
    the configuration cannot be used:
      TANDEM_LEESE (environment) is no setting; the nearest is TANDEM_LEASE
      retry_intervall (file FILE) is no setting; the nearest is retry_interval
      http_addr is "here" (--http-addr); allowed: an IP address with a port, such as 0.0.0.0:36789 or [::]:36789; port 0 is any free one
      shards is "0" (file FILE); allowed: a whole number from 1 to 1024
      lease is "3" (TANDEM_LEASE); allowed: a span from 100ms to 5m (units ms, s, m, h, d)
      queue_max is "a list or a table" (file FILE); allowed: a whole number from 0 to 1000000
      body_bytes_max is "huge" (--body-bytes-max); allowed: a size from 1KiB to 256MiB (units B, kB, KiB, MB, MiB, GB, GiB)
    "#);
}

#[test]
fn a_fault_of_two_settings_together_names_both_beside_the_others() {
    let text = faults(
        &["--lease", "1s", "--retry-interval", "2h", "--grpc-addr", "127.0.0.1:36789"],
        &[("TANDEM_SHARDS", "many")],
    );
    insta::assert_snapshot!(text, @r#"
    the configuration cannot be used:
      shards is "many" (TANDEM_SHARDS); allowed: a whole number from 1 to 1024
      redis_timeout is "2s" (default); allowed: a span shorter than lease, which is 1s (--lease)
      retry_interval is "2h" (--retry-interval); allowed: at most backoff_max, which is 1h (default)
      grpc_addr is "127.0.0.1:36789" (--grpc-addr); allowed: another address than http_addr, which is 127.0.0.1:36789 (default)
    "#);
}

#[test]
fn a_file_that_is_missing_or_no_toml_does_not_hide_the_other_faults() {
    let text = faults(&["--config", "/nonexistent/tandem.toml", "--shards", "x"], &[]);
    assert!(text.contains("file /nonexistent/tandem.toml: "), "{text}");
    assert!(text.contains("shards is \"x\" (--shards)"), "{text}");
    let (_folder, path) = file("shards 3");
    let text = faults(&["--config", &path, "--lease", "x"], &[]);
    assert!(text.contains(&format!("file {path}: ")), "{text}");
    assert!(text.contains("lease is \"x\" (--lease)"), "{text}");
}

#[test]
fn a_table_in_the_file_is_no_setting() {
    let (_folder, path) = file("[redis]\nurl = \"redis://host\"\n[lease]\nof = \"3s\"\n");
    let text = faults(&["--config", &path], &[]);
    assert!(text.contains("redis (file "), "{text}");
    assert!(text.contains("lease is "), "{text}");
}

#[test]
fn an_empty_variable_is_a_fault_rather_than_the_default() {
    let text = faults(&[], &[("TANDEM_REDIS_URL", "")]);
    assert!(text.contains("redis_url is \"\" (TANDEM_REDIS_URL)"), "{text}");
}

#[test]
fn no_fault_shows_a_password() {
    let text = faults(&["--redis-url", "rediss://u:secret@host"], &[]);
    assert!(text.contains("\"rediss://***@host\"") && !text.contains("secret"), "{text}");
}

#[test]
fn the_token_of_the_api_comes_from_a_flag_a_variable_or_a_file() {
    let token = ApiToken::parse("s3cret");
    assert_eq!(load_with(&[], &[]).expect("a configuration").api_token, None);
    let (_setting, path) = file("api_token = \"s3cret\"\n");
    let (_lone, lone) = file("  s3cret\n");
    for (flags, variables) in [
        (vec!["--api-token", "s3cret"], vec![]),
        (vec![], vec![("TANDEM_API_TOKEN", "s3cret")]),
        (vec!["--config", path.as_str()], vec![]),
        (vec!["--api-token-file", lone.as_str()], vec![]),
        (vec![], vec![("TANDEM_API_TOKEN_FILE", lone.as_str())]),
    ] {
        let config = load_with(&flags, &variables).expect("a configuration");
        assert_eq!(config.api_token, token);
        assert!(!format!("{config:?}").contains("s3cret"));
    }
}

#[test]
fn no_fault_shows_a_token() {
    let (_spaced, spaced) = file("s3cret and more\n");
    let (_bare, bare) = file("lease = \"3s\"\napi_token = s3cret\n");
    let (_list, list) = file("api_token = [\"s3cret\"]\n");
    let (_open, open) = file("api_token = \"s3cret\n");
    let (_misspelt, misspelt) = file("api_tokn = \"s3cret\"\n");
    for (flags, variables, telling) in [
        (
            vec!["--api-token", "s3cret x"],
            vec![],
            "api_token is \"***\" (--api-token); allowed: 1 to",
        ),
        (vec![], vec![("TANDEM_API_TOKEN", "s3cret\n")], "api_token is \"***\" (TANDEM_API_TOKEN)"),
        (vec![], vec![("TANDEM_API_TOKEN", "")], "api_token is \"\" (TANDEM_API_TOKEN)"),
        (vec![], vec![("TANDEM_API_TOKN", "s3cret")], "the nearest is TANDEM_API_TOKEN"),
        (vec!["--config", misspelt.as_str()], vec![], "the nearest is api_token"),
        (vec!["--config", bare.as_str()], vec![], ": TOML parse error at line 2, column 13: "),
        (vec!["--config", open.as_str()], vec![], ": TOML parse error at line 1, "),
        (vec!["--config", list.as_str()], vec![], "api_token is \"***\" (file "),
        (vec!["--api-token-file", spaced.as_str()], vec![], "a file that holds 1 to 512 visible"),
        (vec!["--api-token-file", "/nonexistent/t"], vec![], "file /nonexistent/t: No such file"),
        (
            vec!["--api-token-file", spaced.as_str()],
            vec![("TANDEM_API_TOKEN", "s3cret")],
            "(--api-token-file); allowed: only where there is no api_token",
        ),
    ] {
        let text = faults(&flags, &variables);
        assert!(text.contains(telling) && !text.contains("s3cret"), "{text}");
    }
}

#[test]
fn hosts_are_a_text_with_commas_or_a_list_in_the_file() {
    let (_folder, path) = file("calls_deny = [\"10.0.0.0/8\", \"*.evil.example\"]\n");
    let config = load_with(&["--config", &path, "--calls-allow", "bank"], &[]).expect("hosts");
    let policy = config.call_policy();
    assert_eq!(Some(policy.deny), HostRules::parse("10.0.0.0/8,*.evil.example"));
    assert_eq!(Some(policy.allow), HostRules::parse("bank"));
    let (_folder, path) = file("calls_deny = [\"a\", [\"b\"]]\n");
    let text = faults(&["--config", &path, "--calls-allow", "http://bank"], &[]);
    assert!(text.contains("calls_allow is \"http://bank\" (--calls-allow)"), "{text}");
    assert!(text.contains("calls_deny is \"a list or a table\" (file "), "{text}");
    assert!(faults(&["--calls-deny", ","], &[]).contains("calls_deny is \",\""));
}

#[test]
fn addresses_of_services_that_kubernetes_puts_into_pods_are_passed_over() {
    let variables = [
        ("TANDEM_SERVICE_HOST", "10.0.0.1"),
        ("TANDEM_SERVICE_PORT", "36789"),
        ("TANDEM_SERVICE_PORT_HTTP", "36789"),
        ("TANDEM_PORT", "tcp://10.0.0.1:36789"),
        ("TANDEM_PORT_36789_TCP", "tcp://10.0.0.1:36789"),
        ("TANDEM_PORT_36789_TCP_ADDR", "10.0.0.1"),
        ("TANDEM_GRPC_PORT_36790_TCP_PROTO", "tcp"),
    ];
    load_with(&[], &variables).expect("a configuration");
    assert!(faults(&[], &[("TANDEM_PORTS", "1")]).contains("TANDEM_PORTS"));
}

#[test]
fn the_help_names_every_setting_with_its_default_and_variable() {
    let help = with_flags(Command::new("serve")).term_width(1_000).render_long_help().to_string();
    for setting in SETTINGS {
        assert!(help.contains(&format!("--{} <", setting.flag())), "{}", setting.name);
        let default = if setting.default.is_empty() { "none" } else { setting.default };
        let line = format!("[default: {default}; env: {}]", setting.variable());
        assert!(help.contains(&line), "{line}");
    }
}

#[test]
fn every_default_may_also_be_written_down() {
    let lines: Vec<String> = SETTINGS
        .iter()
        .filter(|setting| !setting.default.is_empty())
        .map(|setting| format!("{} = \"{}\"", setting.name, setting.default))
        .collect();
    let (_folder, path) = file(&lines.join("\n"));
    assert_eq!(load_with(&["--config", &path], &[]), load_with(&[], &[]));
}
