//! The sections and keys that a configuration may have. One table, so that the file, the
//! environment, the messages and the example in `deploy/` cannot drift apart.

/// What a key's value must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    Bool,
    /// Bounds included.
    Integer {
        min: i64,
        max: i64,
    },
    Text,
    /// Text of which nothing is ever shown.
    Secret,
    List,
}

#[derive(Debug)]
pub struct Key {
    pub name: &'static str,
    pub shape: Shape,
}

#[derive(Debug)]
pub struct Section {
    pub name: &'static str,
    pub content: Content,
}

#[derive(Debug, Clone, Copy)]
pub enum Content {
    Keys(&'static [Key]),
    /// Any key, text values.
    Map,
    Later,
}

const fn key(name: &'static str, shape: Shape) -> Key {
    Key { name, shape }
}

/// More often than every second is only load, less often than every hour is off.
const INTERVAL: Shape = Shape::Integer { min: 1, max: 3600 };

/// MiB. Nobody keeps more than a terabyte free: that is a slip of the unit.
const MIN_FREE_MB: Shape = Shape::Integer { min: 0, max: 1_048_576 };

pub const SECTIONS: &[Section] = &[
    Section {
        name: "agent",
        content: Content::Keys(&[
            key("device_id", Shape::Text),
            key("runtime_enabled", Shape::Bool),
            key("state_dir", Shape::Text),
            key("heartbeat_s", INTERVAL),
            key("reconcile_s", INTERVAL),
        ]),
    },
    Section {
        name: "nats",
        content: Content::Keys(&[
            key("urls", Shape::List),
            key("tls_ca", Shape::Text),
            key("tls_cert", Shape::Text),
            key("tls_key", Shape::Text),
            key("inbox_prefix", Shape::Text),
            key("reply_prefixes", Shape::List),
        ]),
    },
    Section {
        name: "credentials",
        content: Content::Keys(&[
            key("type", Shape::Text),
            key("user", Shape::Text),
            key("password", Shape::Secret),
            key("password_file", Shape::Text),
            key("token", Shape::Secret),
            key("token_file", Shape::Text),
        ]),
    },
    Section {
        name: "runtime",
        content: Content::Keys(&[
            key("socket", Shape::Text),
            key("secrets_dir", Shape::Text),
            key("registry_auth_dir", Shape::Text),
            key("min_free_mb", MIN_FREE_MB),
        ]),
    },
    Section { name: "labels", content: Content::Map },
    Section { name: "policy", content: Content::Later },
    Section { name: "upgrade", content: Content::Later },
];

/// A section or key as it was written, looked up.
pub enum Known {
    Yes(Shape),
    /// What to say instead.
    No(String),
}

pub fn section(name: &str) -> Option<&'static Section> {
    SECTIONS.iter().find(|section| section.name == name)
}

pub fn unknown_section(name: &str) -> String {
    let names = SECTIONS.iter().map(|section| section.name);
    format!("unknown section [{name}]{}", nearest(name, names, |near| format!("[{near}]")))
}

pub fn lookup(section: &Section, name: &str) -> Known {
    let keys = match section.content {
        Content::Keys(keys) => keys,
        Content::Map => return Known::Yes(Shape::Text),
        Content::Later => return Known::No(later(&format!("section [{}]", section.name))),
    };
    match keys.iter().find(|key| key.name == name) {
        Some(key) => Known::Yes(key.shape),
        None => Known::No(unknown_key(section, keys, name)),
    }
}

pub fn later(what: &str) -> String {
    format!("{what} is not supported by this version yet")
}

fn unknown_key(section: &Section, keys: &[Key], name: &str) -> String {
    let here = nearest(name, keys.iter().map(|key| key.name), str::to_owned);
    if !here.is_empty() {
        return format!("unknown key {}.{name}{here}", section.name);
    }
    // A right key in a wrong section is the likelier slip than a far-off spelling.
    let elsewhere = SECTIONS.iter().find(|other| match other.content {
        Content::Keys(keys) => keys.iter().any(|key| key.name == name),
        Content::Map | Content::Later => false,
    });
    match elsewhere {
        Some(other) => format!("unknown key {}.{name}, did you mean {}.{name}?", section.name, other.name),
        None => {
            let all: Vec<_> = keys.iter().map(|key| key.name).collect();
            format!("unknown key {}.{name}; there are: {}", section.name, all.join(", "))
        }
    }
}

/// ", did you mean x?", or nothing when no candidate is near.
pub fn nearest<'a>(
    name: &str,
    candidates: impl Iterator<Item = &'a str>,
    show: impl Fn(&str) -> String,
) -> String {
    // jaro_winkler 0.75: `heartbeat` finds `heartbeat_s`, `urls` is not offered for `colour`.
    candidates
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
        .filter(|(likeness, _)| *likeness >= 0.75)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map_or_else(String::new, |(_, near)| format!(", did you mean {}?", show(near)))
}
