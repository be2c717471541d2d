//! `healthcheck`: a command in the container that tells whether it works.
use super::report::{Field, Object, Report};
use super::{Healthcheck, Probe};
use serde::{Serialize, Serializer};
use std::ops::RangeInclusive;

/// More often than once a second would cost more than most services.
const INTERVAL_S: RangeInclusive<u32> = 1..=86_400;
const TIMEOUT_S: RangeInclusive<u32> = 1..=3_600;
const RETRIES: RangeInclusive<u32> = 1..=100;
const START_PERIOD_S: RangeInclusive<u32> = 0..=86_400;

const FORM: &str = "write [\"CMD\", \"program\", \"argument\"] or [\"CMD-SHELL\", \"one line for sh\"]";

impl Healthcheck {
    /// Docker's defaults, which people know.
    pub const DEFAULT_INTERVAL_S: u32 = 30;
    pub const DEFAULT_TIMEOUT_S: u32 = 30;
    pub const DEFAULT_RETRIES: u32 = 3;
}

pub(super) fn read(object: &Object<'_>, report: &mut Report) -> Option<Healthcheck> {
    let field = object.get("healthcheck")?;
    let read = field.object();
    let object = report.keep(&field, read)?;
    object.entries().next()?;
    report.unknown(&object, &[&["test", "interval_s", "timeout_s", "retries", "start_period_s"]]);
    let mut seconds =
        |name, range, default| read_number(&object, name, "seconds", range, report).unwrap_or(default);
    let interval_s = seconds("interval_s", &INTERVAL_S, Healthcheck::DEFAULT_INTERVAL_S);
    let timeout_s = seconds("timeout_s", &TIMEOUT_S, Healthcheck::DEFAULT_TIMEOUT_S);
    let start_period_s = seconds("start_period_s", &START_PERIOD_S, 0);
    let retries = read_number(&object, "retries", "failures in a row", &RETRIES, report);
    let test = object.required("test", FORM, report)?;
    // `["NONE"]` is how Docker says that there is no check.
    let test = report.keep(&test, read_probe(&test))??;
    let retries = retries.unwrap_or(Healthcheck::DEFAULT_RETRIES);
    Some(Healthcheck { test, interval_s, timeout_s, retries, start_period_s })
}

fn read_number(
    object: &Object<'_>,
    name: &str,
    unit: &str,
    range: &RangeInclusive<u32>,
    report: &mut Report,
) -> Option<u32> {
    let field = object.get(name)?;
    let number = field.value.as_u64().and_then(|number| u32::try_from(number).ok());
    let wrong = || format!("a whole number of {unit} from {} to {} is expected", range.start(), range.end());
    report.keep(&field, number.filter(|number| range.contains(number)).ok_or_else(wrong))
}

fn read_probe(test: &Field<'_>) -> Result<Option<Probe>, String> {
    let words = test.list().map_err(|wrong| format!("{wrong}: {FORM}"))?;
    let words: Vec<&str> = words.iter().map(Field::c_text).collect::<Result<_, _>>()?;
    match words.as_slice() {
        ["NONE"] => Ok(None),
        ["CMD", words @ ..] if words.first().is_some_and(|program| !program.is_empty()) => {
            Ok(Some(Probe::Command(words.iter().map(|word| (*word).to_owned()).collect())))
        }
        ["CMD-SHELL", line] if !line.is_empty() => Ok(Some(Probe::Shell((*line).to_owned()))),
        _ => Err(FORM.into()),
    }
}

impl Probe {
    /// The command as it is run.
    pub fn argv(&self) -> Vec<String> {
        match self {
            Self::Command(words) => words.clone(),
            Self::Shell(line) => ["/bin/sh", "-c", line].map(str::to_owned).to_vec(),
        }
    }
}

impl Serialize for Probe {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Command(words) => {
                serializer.collect_seq(std::iter::once("CMD").chain(words.iter().map(String::as_str)))
            }
            Self::Shell(line) => serializer.collect_seq(["CMD-SHELL", line]),
        }
    }
}
