//! A small stand-in for systemd: it reads the unit of `deploy/`, starts the agent as the unit says, listens to
//! what the agent tells it, and starts it again by the unit's rules.
use crate::agent::Agent;
use crate::device::Device;
use crate::patience::{PATIENCE, patiently};
use std::collections::BTreeMap;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};
use std::time::Duration;
use tokio::time::Instant;

/// What systemd takes for a clean end unless it is told otherwise.
const CLEAN_SIGNALS: [(i32, &str); 4] = [(1, "SIGHUP"), (2, "SIGINT"), (13, "SIGPIPE"), (15, "SIGTERM")];

/// The settings of the unit's `[Service]`.
pub struct Unit(BTreeMap<String, String>);

impl Unit {
    pub fn read() -> Self {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/fleet-agent.service");
        let text = std::fs::read_to_string(path).unwrap();
        let service = text.split("[Service]").nth(1).unwrap().split("[Install]").next().unwrap();
        let settings = service.lines().filter(|line| !line.starts_with('#'));
        let settings = settings.filter_map(|line| line.split_once('='));
        Self(settings.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    pub fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    pub fn seconds(&self, name: &str) -> Duration {
        Duration::from_secs(self.get(name).parse().unwrap())
    }

    /// By exit code or by the signal's name.
    fn lists(&self, name: &str, end: ExitStatus) -> bool {
        let signal =
            end.signal().and_then(|signal| CLEAN_SIGNALS.iter().find(|(number, _)| *number == signal));
        let word = end.code().map(|code| code.to_string()).or(signal.map(|(_, word)| word.to_string()));
        word.is_some_and(|word| self.get(name).split_whitespace().any(|listed| listed == word))
    }

    /// Whether a main process that nobody stopped is started again, by systemd.service(5).
    pub fn restarts_after(&self, end: ExitStatus) -> bool {
        let clean_signal =
            end.signal().is_some_and(|signal| CLEAN_SIGNALS.iter().any(|(clean, _)| *clean == signal));
        let clean = end.code() == Some(0) || clean_signal || self.lists("SuccessExitStatus", end);
        match () {
            () if self.lists("RestartPreventExitStatus", end) => false,
            () if self.lists("RestartForceExitStatus", end) => true,
            () => match self.get("Restart") {
                "always" => true,
                "on-failure" => !clean,
                other => panic!("Restart={other} is not known here"),
            },
        }
    }
}

/// One agent as a service.
pub struct Service {
    pub unit: Unit,
    socket: UnixDatagram,
    watchdog: Duration,
    /// What the present process told, and when.
    told: Vec<(Instant, String)>,
}

impl Service {
    /// `watchdog` stands for the unit's `WatchdogSec=`, so that a test need not last minutes.
    pub fn new(device: &Device, watchdog: Duration) -> Self {
        let socket = UnixDatagram::bind(device.world.path("notify")).unwrap();
        socket.set_nonblocking(true).unwrap();
        Self { unit: Unit::read(), socket, watchdog, told: Vec::new() }
    }

    /// Starts the main process.
    pub fn start(&mut self, device: &mut Device) {
        self.told.clear();
        let agent = device.command();
        // systemd names the process that has to feed the watchdog.
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", "WATCHDOG_PID=$$ exec \"$@\"", "sh"])
            .arg(agent.get_program())
            .args(agent.get_args());
        command.env_clear().envs(agent.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.env("NOTIFY_SOCKET", device.world.path("notify"));
        command.env("WATCHDOG_USEC", self.watchdog.as_micros().to_string());
        device.agent = Some(Agent::start(command, &device.log.0));
    }

    /// Takes in what was told since.
    fn listen(&mut self) {
        let mut buffer = [0; 4096];
        while let Ok(length) = self.socket.recv(&mut buffer) {
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            self.told.extend(text.lines().map(|line| (Instant::now(), line.to_owned())));
        }
    }

    pub fn told(&mut self, line: &str) -> usize {
        self.listen();
        self.told.iter().filter(|(_, told)| told == line).count()
    }

    /// Waits until the present process has told this so often.
    pub async fn hears(&mut self, line: &str, times: usize) {
        let heard = patiently(async || match self.told(line) {
            heard if heard >= times => Ok(()),
            heard => Err(format!("{line} was told {heard} times")),
        });
        heard.await.unwrap_or_else(|error| panic!("{error}"));
    }

    /// Does what systemd does for a while: waits until the main process ends or is silent for too long, which
    /// is its end too, and starts it again if the unit says so. Answers how it ended.
    pub async fn supervise(&mut self, device: &mut Device) -> ExitStatus {
        let end = self.end_of(device).await;
        assert!(self.unit.restarts_after(end), "it would stay down: {end}");
        tokio::time::sleep(self.unit.seconds("RestartSec")).await;
        self.start(device);
        self.hears("READY=1", 1).await;
        end
    }

    async fn end_of(&mut self, device: &mut Device) -> ExitStatus {
        let mut agent = device.agent.take().expect("it was started");
        let (begun, watchdog) = (Instant::now(), self.watchdog);
        let ended = patiently(async || {
            self.listen();
            let last = self
                .told
                .iter()
                .filter(|(_, told)| told == "WATCHDOG=1" || told == "READY=1")
                .map(|(at, _)| *at);
            // systemd counts from READY=1 on; a busy machine gets twice the time.
            if last.max().is_some_and(|at| at.elapsed() > 2 * watchdog) && agent.end().is_none() {
                agent.signal("ABRT");
            }
            agent.end().ok_or_else(|| format!("it runs since {:?}", begun.elapsed()))
        });
        ended.await.unwrap_or_else(|error| panic!("within {PATIENCE:?}: {error}"))
    }
}
