//! One service of a document.
use super::places::Places;
use super::report::{Field, Object, Report, quoted};
use super::{
    Device, Network, Port, Protocol, Pull, Restart, Service, Volume, file, healthcheck, image, limits, order,
    path, secret,
};
use crate::names::label;
use crate::{NameError, ServiceName};
use serde_json::Value;
use std::collections::BTreeMap;
use std::str::FromStr;

/// Every other field is unknown.
const FIELDS: [&str; 21] = [
    "name",
    "image",
    "command",
    "entrypoint",
    "working_dir",
    "user",
    "env",
    "ports",
    "volumes",
    "files",
    "devices",
    "network",
    "depends_on",
    "healthcheck",
    "resources",
    "log",
    "restart",
    "pull",
    "registry_auth",
    "secrets",
    "labels",
];
/// Longest name of a user or group: useradd(8)'s 32, with room for directory services.
const MAX_USER: usize = 64;

/// What the services of one document cannot both have, and the path of the first that has it.
#[derive(Default)]
pub(super) struct Seen {
    names: BTreeMap<ServiceName, String>,
    ports: BTreeMap<(u16, Protocol), Vec<(Port, String)>>,
}

/// The service; None, or with holes, when the report got a problem with it.
pub(super) fn read(field: &Field<'_>, seen: &mut Seen, report: &mut Report) -> Option<Service> {
    let read = field.object();
    let object = report.keep(field, read)?;
    report.unknown(&object, &[&FIELDS]);
    let name = read_name(&object, &mut seen.names, report);
    let image = read_image(&object, report);
    let mut places = Places::default();
    let env = read_env(&object, report);
    let service = Service {
        command: read_words(&object, "command", report),
        entrypoint: read_words(&object, "entrypoint", report),
        working_dir: read_working_dir(&object, report),
        user: read_user(&object, report),
        devices: read_devices(&object, report),
        depends_on: order::read(&object, report),
        healthcheck: healthcheck::read(&object, report),
        resources: limits::read_resources(&object, report),
        log: limits::read_log(&object, report),
        network: read_network(&object, report),
        ports: read_ports(&object, &mut seen.ports, report),
        volumes: read_volumes(&object, &mut places, report),
        files: file::read(&object, &mut places, report),
        restart: read_choice(&object, "restart", &RESTARTS, report),
        pull: read_choice(&object, "pull", &PULLS, report),
        registry_auth: object.get("registry_auth").and_then(|field| secret::read_name(&field, report)),
        secrets: secret::read(&object, &env, &mut places, report),
        labels: read_labels(&object, report),
        env,
        name: name?,
        image: image.unwrap_or_default(),
    };
    Some(service)
}

fn read_name(
    object: &Object<'_>,
    taken: &mut BTreeMap<ServiceName, String>,
    report: &mut Report,
) -> Option<ServiceName> {
    let field = object.required("name", "1 to 63 of a-z 0-9 -, without - at either end", report)?;
    let read = field.text().and_then(|name| name.parse().map_err(|error: NameError| error.to_string()));
    let name: ServiceName = report.keep(&field, read)?;
    match taken.get(&name) {
        Some(first) => report.problem(&field.path, format!("\"{name}\" is already the name at {first}")),
        None => drop(taken.insert(name.clone(), field.path)),
    }
    Some(name)
}

fn read_image(object: &Object<'_>, report: &mut Report) -> Option<String> {
    let field = object.required("image", "an image reference such as registry.example/web:1.4", report)?;
    report.keep(&field, field.text().and_then(image::check))
}

/// A list of strings. Null and the empty list are the image's own.
fn read_words(object: &Object<'_>, name: &str, report: &mut Report) -> Option<Vec<String>> {
    let field = object.get(name)?;
    let read = field.list().map_err(|wrong| match field.value {
        Value::String(_) => format!("{wrong}: write [\"program\", \"argument\"]; no shell reads it"),
        _ => wrong,
    });
    let words = report.keep(&field, read)?;
    let words: Vec<String> =
        words.iter().filter_map(|word| report.keep(word, word.c_text()).map(String::from)).collect();
    (!words.is_empty()).then_some(words)
}

fn read_working_dir(object: &Object<'_>, report: &mut Report) -> Option<String> {
    let field = object.get("working_dir")?;
    let form = "an absolute path in the container";
    let read = field.text().and_then(|given| path::check(given, "the directory", form).map(|()| given));
    report.keep(&field, read).map(String::from)
}

/// As passwd(5) and group(5) allow names; whether the image has them is seen when it starts.
fn read_user(object: &Object<'_>, report: &mut Report) -> Option<String> {
    let field = object.get("user")?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-' | b'$');
    let is_name = |name: &str| (1..=MAX_USER).contains(&name.len()) && name.bytes().all(plain);
    let read = field.text().and_then(|given| {
        let (user, group) = given.split_once(':').map_or((given, None), |(user, group)| (user, Some(group)));
        let valid = is_name(user) && group.is_none_or(is_name);
        valid
            .then(|| given.to_owned())
            .ok_or_else(|| format!("{}: use user or user:group, each a name or a number", quoted(given)))
    });
    report.keep(&field, read)
}

fn read_devices(object: &Object<'_>, report: &mut Report) -> Vec<Device> {
    let mut targets: BTreeMap<String, String> = BTreeMap::new();
    let mut devices = Vec::new();
    for (device, path) in read_each::<Device>(object, "devices", report) {
        match targets.get(&device.target) {
            Some(first) => {
                report.problem(path, format!("{} is already given at {first}", quoted(&device.target)));
            }
            None => drop(targets.insert(device.target.clone(), path)),
        }
        devices.push(device);
    }
    devices
}

/// Only a bridge has ports to publish: elsewhere they would be ignored without a word.
fn read_network(object: &Object<'_>, report: &mut Report) -> Network {
    let Some(field) = object.get("network") else { return Network::default() };
    let read = field.text().and_then(str::parse);
    let network = report.keep(&field, read).unwrap_or_default();
    let publishes =
        || object.get("ports").is_some_and(|ports| ports.list().is_ok_and(|list| !list.is_empty()));
    let why = match network {
        Network::Bridge | Network::Named(_) => return network,
        Network::Host => {
            "a service on the device's own network has its ports there as they are: leave \"ports\" out"
        }
        Network::None => "a service without network cannot publish ports: leave \"ports\" out",
    };
    if publishes() {
        report.problem(&field.path, why);
    }
    network
}

fn read_env(object: &Object<'_>, report: &mut Report) -> BTreeMap<String, String> {
    let Some(field) = object.get("env") else { return BTreeMap::new() };
    let mut env = BTreeMap::new();
    match field.value {
        Value::Object(_) => {
            let read = field.object();
            for (key, value) in report.keep(&field, read).iter().flat_map(Object::entries) {
                read_variable(&value.path, key, &value, &mut env, report);
            }
        }
        Value::Array(_) => {
            for pair in report.keep(&field, field.list()).unwrap_or_default() {
                read_pair(&pair, &mut env, report);
            }
        }
        _ => report.problem(&field.path, field.expected("an object or a list of [key, value]")),
    }
    env
}

fn read_pair(pair: &Field<'_>, env: &mut BTreeMap<String, String>, report: &mut Report) {
    // The words are not repeated in the message: values of variables are often secret.
    let form = || String::from("write it as [\"KEY\", \"value\"]");
    let read = pair.list().map_err(|_| form());
    let [key, value] = match report.keep(pair, read).map(<[Field<'_>; 2]>::try_from) {
        Some(Ok(pair)) => pair,
        Some(Err(_)) => return report.problem(&pair.path, form()),
        None => return,
    };
    if let Some(name) = report.keep(&key, key.text()) {
        read_variable(&key.path, name, &value, env, report);
    }
}

fn read_variable(
    path: &str,
    key: &str,
    value: &Field<'_>,
    env: &mut BTreeMap<String, String>,
    report: &mut Report,
) {
    if key.is_empty() || key.contains(['=', '\0']) {
        let message = "the name of a variable has at least one character, and no = and no NUL";
        return report.problem(path, message);
    }
    let Some(text) = report.keep(value, value.c_text()) else { return };
    if env.insert(key.into(), text.into()).is_some() {
        report.problem(path, format!("{} is given more than once", quoted(key)));
    }
}

/// A list of strings of one form each, and where each stands.
fn read_each<T>(object: &Object<'_>, name: &str, report: &mut Report) -> Vec<(T, String)>
where
    T: FromStr<Err = String>,
{
    let Some(field) = object.get(name) else { return Vec::new() };
    let items = report.keep(&field, field.list()).unwrap_or_default();
    let mut read = |item: Field<'_>| {
        let value = report.keep(&item, item.text().and_then(str::parse))?;
        Some((value, item.path))
    };
    items.into_iter().filter_map(&mut read).collect()
}

/// Two services cannot publish the same port of the device; nor can one do it twice.
fn read_ports(
    object: &Object<'_>,
    bound: &mut BTreeMap<(u16, Protocol), Vec<(Port, String)>>,
    report: &mut Report,
) -> Vec<Port> {
    let read = read_each(object, "ports", report);
    let mut ports = Vec::with_capacity(read.len());
    for (port, path) in read {
        let port: Port = port;
        let others = bound.entry((port.host, port.protocol)).or_default();
        match others.iter().find(|(other, _)| other.collides(&port)) {
            Some((other, first)) => {
                report.problem(path, format!("{port} binds what {other} at {first} binds already"));
            }
            None => others.push((port.clone(), path)),
        }
        ports.push(port);
    }
    ports
}

fn read_volumes(object: &Object<'_>, places: &mut Places, report: &mut Report) -> Vec<Volume> {
    let mut mounted: BTreeMap<String, String> = BTreeMap::new();
    let mut volumes = Vec::new();
    for (volume, path) in read_each::<Volume>(object, "volumes", report) {
        match mounted.get(&volume.place()) {
            Some(first) => {
                let target = quoted(&volume.target);
                report.problem(path, format!("{target} is already mounted over at {first}"));
            }
            None => {
                places.mount(&volume.target, path.clone());
                mounted.insert(volume.place(), path);
            }
        }
        volumes.push(volume);
    }
    volumes
}

type Choice<T> = [(&'static str, T); 3];
const RESTARTS: Choice<Restart> =
    [("always", Restart::Always), ("on-failure", Restart::OnFailure), ("never", Restart::Never)];
const PULLS: Choice<Pull> =
    [("if-missing", Pull::IfMissing), ("always", Pull::Always), ("never", Pull::Never)];

fn read_choice<T: Copy + Default>(
    object: &Object<'_>,
    name: &str,
    choices: &Choice<T>,
    report: &mut Report,
) -> T {
    let Some(field) = object.get(name) else { return T::default() };
    let accepted = || choices.map(|(word, _)| word).join(", ");
    let read = field.text().and_then(|given| {
        let found = choices.iter().find(|(word, _)| *word == given);
        found
            .map(|(_, choice)| *choice)
            .ok_or_else(|| format!("{}: use one of {}", quoted(given), accepted()))
    });
    report.keep(&field, read).unwrap_or_default()
}

fn read_labels(object: &Object<'_>, report: &mut Report) -> BTreeMap<String, String> {
    let Some(field) = object.get("labels") else { return BTreeMap::new() };
    let read = field.object();
    let Some(object) = report.keep(&field, read) else { return BTreeMap::new() };
    let mut labels = BTreeMap::new();
    for (key, value) in object.entries() {
        if key.is_empty() {
            report.problem(&value.path, "a label has a name");
        } else if key.starts_with(label::PREFIX) {
            report.problem(&value.path, "labels io.fleet.* are the agent's own: use another name");
        } else if let Some(text) = report.keep(&value, value.c_text()) {
            labels.insert(key.into(), text.into());
        }
    }
    labels
}
