use super::*;

const NO_ENVIRONMENT: [(&str, &str); 0] = [];

fn load_with<const N: usize>(text: &str, environment: [(&str, &str); N]) -> Result<Config, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.toml");
    std::fs::write(&path, text).unwrap();
    let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let loaded = Config::load(&path, environment.into_iter());
    loaded.map_err(|error| error.to_string().replace(path.to_str().unwrap(), "config.toml"))
}

fn load(text: &str) -> Result<Config, String> {
    load_with(text, NO_ENVIRONMENT)
}

const SMALLEST: &str = "[agent]\ndevice_id = \"d1\"\n";

#[test]
fn a_device_id_is_enough_and_the_rest_is_the_contracts_default() {
    let config = load(SMALLEST).unwrap();
    assert_eq!(
        config.agent,
        AgentSettings {
            device_id: "d1".parse().unwrap(),
            runtime_enabled: true,
            state_dir: "/var/lib/fleet-agent".into(),
            heartbeat: Duration::from_secs(30),
            reconcile: Duration::from_secs(30),
        }
    );
    assert_eq!(
        config.nats,
        NatsSettings {
            urls: vec!["nats://127.0.0.1:4222".into()],
            tls_ca: None,
            tls_client: None,
            inbox_prefix: None,
            reply_prefixes: vec!["_INBOX.".into()],
        }
    );
    assert_eq!(config.credentials, CredentialSettings::None);
    assert_eq!(config.runtime.secrets_dir, Path::new("/etc/fleet-agent/secrets"));
    assert_eq!(config.runtime.registry_auth_dir, Path::new("/etc/fleet-agent/registry-auth"));
    assert!(config.labels.is_empty());
}

#[test]
fn every_key_is_read() {
    let text = r#"
        [agent]
        device_id = "d1"
        runtime_enabled = false
        state_dir = "/state"
        heartbeat_s = 1
        reconcile_s = 3_600
        [nats]
        urls = ["nats://a:1", "tls://b"]
        tls_ca = "/ca"
        tls_cert = "/cert"
        tls_key = "/key"
        inbox_prefix = "_INBOX.d1"
        reply_prefixes = ["_INBOX.", "ops.replies."]
        [credentials]
        type = "user-password"
        user = "u"
        password_file = "/secret"
        [runtime]
        socket = "unix:///podman.sock"
        secrets_dir = "/secrets"
        registry_auth_dir = "/registries"
        [labels]
        site = "north"
    "#;
    let config = load(text).unwrap();
    assert!(!config.agent.runtime_enabled);
    assert_eq!((config.agent.heartbeat.as_secs(), config.agent.reconcile.as_secs()), (1, 3600));
    assert_eq!(config.nats.urls, ["nats://a:1", "tls://b"]);
    let client = ClientCertificate { certificate: "/cert".into(), key: "/key".into() };
    assert_eq!((config.nats.tls_ca, config.nats.tls_client), (Some("/ca".into()), Some(client)));
    assert_eq!(config.nats.inbox_prefix.as_deref(), Some("_INBOX.d1"));
    assert_eq!(config.nats.reply_prefixes, ["_INBOX.", "ops.replies."]);
    let password = SecretSource::File("/secret".into());
    assert_eq!(config.credentials, CredentialSettings::UserPassword { user: "u".into(), password });
    assert_eq!(config.runtime.socket, Path::new("/podman.sock"));
    assert_eq!(config.runtime.secrets_dir, Path::new("/secrets"));
    assert_eq!(config.runtime.registry_auth_dir, Path::new("/registries"));
    assert_eq!(config.labels, BTreeMap::from([("site".into(), "north".into())]));
}

#[test]
fn the_environment_wins_over_the_file() {
    let text = "[agent]\ndevice_id = \"file\"\nheartbeat_s = 5\n[nats]\nurls = [\"nats://file\"]\n";
    let config = load_with(
        text,
        [
            ("FLEET_AGENT__AGENT__DEVICE_ID", "env"),
            ("FLEET_AGENT__AGENT__RUNTIME_ENABLED", "false"),
            ("FLEET_AGENT__NATS__URLS", "nats://a, tls://b"),
            ("FLEET_AGENT__CREDENTIALS__TYPE", "token"),
            ("FLEET_AGENT__CREDENTIALS__TOKEN", "t"),
            ("FLEET_AGENT__LABELS__SITE", "north"),
            ("FLEET_AGENT_CONFIG", "/not/a/key"),
        ],
    )
    .unwrap();
    assert_eq!((config.agent.device_id.as_str(), config.agent.heartbeat.as_secs()), ("env", 5));
    assert!(!config.agent.runtime_enabled);
    assert_eq!(config.nats.urls, ["nats://a", "tls://b"]);
    assert_eq!(config.credentials, CredentialSettings::Token(SecretSource::Value("t".into())));
    assert_eq!(config.labels["site"], "north");
}

#[test]
fn all_problems_come_at_once_each_with_its_line_and_column() {
    let text = "[agent]\ndevice_id = \"no spaces\"\nhartbeat_s = 5\nreconcile_s = 0\n\
                [nats]\nurls = \"nats://x\"\n[lables]\n[runtime]\nmin_free_mb = -1\n[policy]\n";
    let expected = "config.toml:2:13: device id \"no spaces\" is not valid: use 1 to 64 of A-Z a-z 0-9 _ -
config.toml:3:1: unknown key agent.hartbeat_s, did you mean heartbeat_s?
config.toml:4:15: agent.reconcile_s must be from 1 to 3600, not 0
config.toml:6:8: nats.urls must be a list of texts, not text
config.toml:7:2: unknown section [lables], did you mean [labels]?
config.toml:9:15: runtime.min_free_mb must be from 0 to 1048576, not -1
config.toml:10:2: section [policy] is not supported by this version yet";
    assert_eq!(load(text).unwrap_err(), expected);
}

#[track_caller]
fn refused(text: &str, expected: &str) {
    let text = if text.contains("[agent]") { text.to_owned() } else { format!("{SMALLEST}{text}") };
    assert_eq!(load(&text).unwrap_err(), expected, "for: {text}");
}

#[test]
fn each_kind_of_mistake_has_its_own_words() {
    refused("[agent]\n", "config.toml: agent.device_id is missing");
    refused(
        "[agent]\ndevice_id = 5\n",
        "config.toml:2:13: agent.device_id must be text in quotes, not a whole number",
    );
    refused(
        "device_id = \"x\"\n[agent]\ndevice_id = \"d\"\n",
        "config.toml:1:1: unknown key device_id outside of any section",
    );
    refused(
        "heartbeat_s = 99999999999999999999\n",
        "config.toml:3:15: agent.heartbeat_s must be from 1 to 3600, not 9223372036854775807",
    );
    refused(
        "state_dir = \"state\"\n",
        "config.toml:3:13: agent.state_dir must be an absolute path, not \"state\"",
    );
    refused("socket = \"/x\"\n", "config.toml:3:1: unknown key agent.socket, did you mean runtime.socket?");
    refused(
        "colour = 1\n",
        "config.toml:3:1: unknown key agent.colour; there are: device_id, runtime_enabled, state_dir, heartbeat_s, reconcile_s",
    );
    refused("[nats]\nurls = []\n", "config.toml:4:8: nats.urls must not be empty");
    refused(
        "[nats]\nurls = [\"http://x\"]\n",
        "config.toml:4:8: nats.urls: scheme \"http\" is not spoken: use nats:// or tls://",
    );
    refused(
        "[nats]\nurls = [\"nats://u:p@x\"]\n",
        "config.toml:4:8: nats.urls: user and password belong into [credentials], not into a URL",
    );
    refused(
        "[nats]\ntls_cert = \"/c\"\n",
        "config.toml: nats.tls_cert and nats.tls_key belong together: one of them is missing",
    );
    refused(
        "[nats]\nreply_prefixes = [\"_INBOX\"]\n",
        "config.toml:4:18: nats.reply_prefixes: \"_INBOX\" must end with \".\"",
    );
    refused(
        "[nats]\ninbox_prefix = \"a.>\"\n",
        "config.toml:4:16: nats.inbox_prefix must be a NATS subject without wildcards",
    );
    refused(
        "[runtime]\nsocket = \"tcp://h:1\"\n",
        "config.toml:4:10: only unix sockets are spoken to, not \"tcp://…\"",
    );
    refused("[upgrade]\nx = 1\n", "config.toml:3:2: section [upgrade] is not supported by this version yet");
    refused(
        "labels = 5\n",
        "config.toml:3:1: unknown key agent.labels; there are: device_id, runtime_enabled, state_dir, heartbeat_s, reconcile_s",
    );
    refused("[labels]\nx = 5\n", "config.toml:4:5: labels.x must be text in quotes, not a whole number");
}

#[test]
fn credentials_that_contradict_themselves_are_refused() {
    refused(
        "[credentials]\ntype = \"nkey\"\nuser = \"u\"\n",
        "config.toml:4:8: credentials.type \"nkey\" is not supported by this version yet",
    );
    refused(
        "[credentials]\ntype = \"tokn\"\n",
        "config.toml:4:8: unknown credentials.type \"tokn\", did you mean \"token\"? (there are: none, user-password, token)",
    );
    refused(
        "[credentials]\ntype = \"token\"\n",
        "config.toml:4:8: credentials.token or credentials.token_file is missing",
    );
    refused(
        "[credentials]\ntype = \"user-password\"\npassword = \"p\"\n",
        "config.toml:4:8: credentials.user is missing",
    );
    refused(
        "[credentials]\nuser = \"u\"\n",
        "config.toml:4:8: credentials.user has no meaning with credentials.type = \"none\"",
    );
    refused(
        "[credentials]\ntype = \"token\"\ntoken = \"t\"\ntoken_file = \"/t\"\n",
        "config.toml:6:14: credentials.token and credentials.token_file exclude each other",
    );
}

#[test]
fn mistakes_in_the_environment_name_the_variable() {
    let error = load_with(
        SMALLEST,
        [
            ("FLEET_AGENT__AGENT__HARTBEAT_S", "5"),
            ("FLEET_AGENT__AGENT__RECONCILE_S", "soon"),
            ("FLEET_AGENT__NONSENSE", "x"),
            ("FLEET_AGENT__NATZ__URLS", "x"),
            ("CONTAINER_HOST", "ssh://elsewhere"),
        ],
    )
    .unwrap_err();
    let expected = "environment variable CONTAINER_HOST: only unix sockets are spoken to, not \"ssh://…\"\n\
        environment variable FLEET_AGENT__AGENT__HARTBEAT_S: unknown key agent.hartbeat_s, did you mean heartbeat_s?\n\
        environment variable FLEET_AGENT__AGENT__RECONCILE_S: agent.reconcile_s must be a whole number\n\
        environment variable FLEET_AGENT__NATZ__URLS: unknown section [natz], did you mean [nats]?\n\
        environment variable FLEET_AGENT__NONSENSE: must be FLEET_AGENT__SECTION__KEY";
    assert_eq!(error, expected);
}

#[test]
fn a_broken_file_is_named_with_line_and_column_and_never_panics() {
    let error = load("[agent]\ndevice_id = \"d1\nheartbeat_s = 5\n").unwrap_err();
    assert!(error.starts_with("config.toml:2:"), "{error}");
    let error = load("[agent\ndevice_id = 'd'\n").unwrap_err();
    assert!(error.starts_with("config.toml:1:"), "{error}");
}

#[test]
fn a_missing_file_is_named() {
    let error = Config::load(Path::new("/nowhere/config.toml"), std::iter::empty()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "/nowhere/config.toml: cannot be read: No such file or directory (os error 2)"
    );
}

#[test]
fn the_socket_comes_from_the_usual_variables_unless_configured() {
    let with = |environment: [(&str, &str); 2], text: &str| {
        load_with(&format!("{SMALLEST}{text}"), environment).unwrap().runtime.socket
    };
    let both = [("CONTAINER_HOST", "unix:///c"), ("DOCKER_HOST", "unix:///d")];
    assert_eq!(with(both, ""), Path::new("/c"));
    assert_eq!(with([("CONTAINER_HOST", ""), both[1]], ""), Path::new("/d"));
    assert_eq!(with(both, "[runtime]\nsocket = \"/mine\"\n"), Path::new("/mine"));
    let elsewhere = [("CONTAINER_HOST", "tcp://x"), ("DOCKER_HOST", "tcp://y")];
    with(elsewhere, "runtime_enabled = false\n");
}

const SECRETS: &str = "[credentials]\ntype = \"user-password\"\nuser = \"u\"\npassword = \"hunter2\"\n";

#[test]
fn a_secret_is_never_shown() {
    let config = load(&format!("{SMALLEST}{SECRETS}")).unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
    let error = load(&format!("{SMALLEST}{SECRETS}password_file = 5\ntoken = \"hunter2\"\n")).unwrap_err();
    assert!(!error.contains("hunter2"), "{error}");
}

#[test]
fn the_digest_follows_the_meaning_but_not_the_secret_and_not_the_writing() {
    let digest = |text: &str| load(&format!("{SMALLEST}{text}")).unwrap().digest();
    assert_eq!(digest(""), digest("heartbeat_s = 30 # the default\n"));
    assert_ne!(digest(""), digest("heartbeat_s = 31\n"));
    assert_ne!(digest(""), digest("[labels]\nx = \"y\"\n"));
    assert_eq!(digest(SECRETS), digest(&SECRETS.replace("hunter2", "other")));
    assert_ne!(digest(SECRETS), digest(&SECRETS.replace("\"u\"", "\"v\"")));
    assert_eq!(digest("").len(), 64);
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "[a-z_.=\"\\[\\]{}0-9 \\n\\t#é-]{0,80}") {
        let _ = Config::parse(&text, std::iter::empty());
    }
}

mod what_is_installed {
    use super::super::schema::{Content, SECTIONS};
    use super::*;

    const EXAMPLE: &str = include_str!("../../deploy/config.toml");
    const UNIT: &str = include_str!("../../deploy/fleet-agent.service");

    /// The example with those of its commented settings switched on that `wanted` says.
    fn switched_on(wanted: impl Fn(&str) -> bool) -> String {
        let lines = EXAMPLE.lines().map(|line| match line.strip_prefix('#') {
            Some(setting) if !setting.starts_with(' ') && wanted(setting) => setting,
            _ => line,
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn the_example_needs_only_a_device_id() {
        assert_eq!(load(EXAMPLE).unwrap_err(), "config.toml: agent.device_id is missing");
        let config = load(&switched_on(|setting| setting.starts_with("device_id"))).unwrap();
        assert_eq!(config.digest(), load("[agent]\ndevice_id = \"device-0001\"\n").unwrap().digest());
    }

    #[test]
    fn what_the_example_shows_is_accepted_and_defaults_are_the_real_ones() {
        let is_one_of = |setting: &str, keys: &[&str]| keys.iter().any(|key| setting.starts_with(key));
        let secrets = ["type", "user", "password", "token"];
        load(&switched_on(|setting| !is_one_of(setting, &secrets))).unwrap();
        let examples = ["tls_", "inbox_prefix", "site", "user", "password", "token"];
        let defaults = load(&switched_on(|setting| !is_one_of(setting, &examples))).unwrap();
        assert_eq!(defaults.digest(), load("[agent]\ndevice_id = \"device-0001\"\n").unwrap().digest());
    }

    #[test]
    fn the_example_shows_every_key() {
        for section in SECTIONS {
            match section.content {
                Content::Keys(keys) => {
                    assert!(EXAMPLE.contains(&format!("\n[{}]\n", section.name)));
                    for key in keys {
                        assert!(EXAMPLE.contains(&format!("\n#{} = ", key.name)), "no {}", key.name);
                    }
                }
                Content::Map => assert!(EXAMPLE.contains(&format!("\n[{}]\n", section.name))),
                Content::Later => assert!(!EXAMPLE.contains(&format!("\n[{}]\n", section.name))),
            }
        }
    }

    #[test]
    fn the_example_and_the_unit_name_the_path_that_the_agent_reads() {
        assert!(EXAMPLE.contains(&format!("Installed as {DEFAULT_CONFIG_PATH}.")));
        assert!(UNIT.contains(&format!("--config {DEFAULT_CONFIG_PATH}\n")));
    }
}
