//! What a service may use: `resources` and `log`.
use super::report::{Field, Object, Report};
use super::{Cpus, Log, Resources};

/// Below this no runtime can set a container up: the kernel refuses the limit or kills its first process.
const MEMORY_MB: std::ops::RangeInclusive<u64> = 6..=16 * 1024 * 1024;
/// The largest value of `kernel.pid_max`.
const PIDS: std::ops::RangeInclusive<u64> = 1..=4_194_304;
/// The scheduler takes no quota below a hundredth of a core.
const CPUS: std::ops::RangeInclusive<f64> = 0.01..=1024.0;
const LOG_MB: std::ops::RangeInclusive<u64> = 1..=1024 * 1024;

pub(super) fn read_resources(object: &Object<'_>, report: &mut Report) -> Resources {
    let Some(field) = object.get("resources") else { return Resources::default() };
    let read = field.object();
    let Some(object) = report.keep(&field, read) else { return Resources::default() };
    report.unknown(&object, &[&["memory_mb", "cpus", "pids"]]);
    Resources {
        memory_mb: read_whole(&object, "memory_mb", "MiB", &MEMORY_MB, report),
        cpus: read_cpus(&object, report),
        pids: read_whole(&object, "pids", "processes", &PIDS, report),
    }
}

pub(super) fn read_log(object: &Object<'_>, report: &mut Report) -> Log {
    let Some(field) = object.get("log") else { return Log::default() };
    let read = field.object();
    let Some(object) = report.keep(&field, read) else { return Log::default() };
    report.unknown(&object, &[&["max_size_mb"]]);
    Log { max_size_mb: read_whole(&object, "max_size_mb", "MiB", &LOG_MB, report) }
}

fn read_whole(
    object: &Object<'_>,
    name: &str,
    unit: &str,
    range: &std::ops::RangeInclusive<u64>,
    report: &mut Report,
) -> Option<u64> {
    let field = object.get(name)?;
    let number = field.value.as_u64().filter(|number| range.contains(number));
    let wrong = || format!("a whole number of {unit} from {} to {} is expected", range.start(), range.end());
    report.keep(&field, number.ok_or_else(wrong))
}

fn read_cpus(object: &Object<'_>, report: &mut Report) -> Option<Cpus> {
    let field: Field<'_> = object.get("cpus")?;
    let cores = field.value.as_f64().filter(|cores| CPUS.contains(cores));
    let wrong = || format!("a number of cores from {} to {} is expected", CPUS.start(), CPUS.end());
    report.keep(&field, cores.map(Cpus::from_cores).ok_or_else(wrong))
}

impl Cpus {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0.01 to 1024")]
    fn from_cores(cores: f64) -> Self {
        Self { nanos: (cores * 1e9).round() as u64 }
    }

    /// In cores: the number that the document gives.
    #[expect(clippy::cast_precision_loss, reason = "below 2^53")]
    pub fn cores(self) -> f64 {
        self.nanos as f64 / 1e9
    }

    /// In billionths of a core.
    pub fn nanos(self) -> u64 {
        self.nanos
    }
}

impl serde::Serialize for Cpus {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.cores())
    }
}
