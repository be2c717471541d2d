//! What runs in a fake container, and where its image comes from.
use crate::domain::hidden::RegistryCredential;
use crate::runtime::ErrorKind;
use std::collections::BTreeMap;
use std::time::Duration;

/// What a container's process does. SIGKILL always ends it at once, with 137.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Program {
    /// Signal → the exit that it causes; the others are ignored.
    pub(super) signals: BTreeMap<String, Exit>,
    pub(super) by_itself: Option<Exit>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Exit {
    pub(super) after: Duration,
    pub(super) code: i64,
}

impl Program {
    /// Ends at once on SIGTERM, with 143.
    pub fn polite() -> Self {
        Self::deaf().on("SIGTERM", Duration::ZERO, 143)
    }

    /// Ends by SIGKILL only.
    pub fn deaf() -> Self {
        Self::default()
    }

    /// Ends by itself this long after its start.
    pub fn exits(after: Duration, code: i64) -> Self {
        Self { by_itself: Some(Exit { after, code }), ..Self::polite() }
    }

    /// Ends this long after that signal.
    pub fn on(mut self, signal: &str, after: Duration, code: i64) -> Self {
        self.signals.insert(signal.into(), Exit { after, code });
        self
    }
}

/// What the pull of one reference does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registry {
    pub(super) steps: u64,
    pub(super) step: Duration,
    pub(super) step_bytes: u64,
    pub(super) end: PullEnd,
    /// How long the disk takes for it when it has arrived.
    pub(super) sync: Duration,
    /// User and password that it wants to see.
    pub(super) wants: Option<(String, String)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PullEnd {
    Lands(Program),
    Fails(ErrorKind, String),
    Stalls,
}

impl Registry {
    /// Bytes of one step of progress.
    const STEP_BYTES: u64 = 1_000_000;

    fn new(steps: u64, step: Duration, end: PullEnd) -> Self {
        Self { steps, step, step_bytes: Self::STEP_BYTES, end, sync: Duration::ZERO, wants: None }
    }

    /// The image arrives at once.
    pub fn has(program: Program) -> Self {
        Self::new(1, Duration::ZERO, PullEnd::Lands(program))
    }

    /// The image arrives in this many steps of progress.
    pub fn has_slowly(program: Program, steps: u64, step: Duration) -> Self {
        Self::new(steps, step, PullEnd::Lands(program))
    }

    pub fn fails(kind: ErrorKind, message: &str) -> Self {
        Self::new(0, Duration::ZERO, PullEnd::Fails(kind, message.into()))
    }

    /// A byte each time, for as long as anybody could wait.
    pub fn drips(step: Duration) -> Self {
        Self { step_bytes: 1, ..Self::new(u64::from(u32::MAX), step, PullEnd::Stalls) }
    }

    /// When it has arrived, the disk takes this long for it.
    pub fn then_syncs(self, sync: Duration) -> Self {
        Self { sync, ..self }
    }

    /// The same for who shows this only.
    pub fn only_for(mut self, user: &str, password: &str) -> Self {
        self.wants = Some((user.into(), password.into()));
        self
    }

    pub(super) fn seeing(self, credential: Option<&RegistryCredential>) -> Self {
        let fits = self.wants.as_ref().is_none_or(|(user, password)| {
            credential.is_some_and(|c| c.user == *user && c.password.reveal() == password.as_bytes())
        });
        if fits { self } else { Self::fails(ErrorKind::RegistryAuth, "authentication required") }
    }

    /// Some progress, then silence for ever.
    pub fn stalls_after(steps: u64, step: Duration) -> Self {
        Self::new(steps, step, PullEnd::Stalls)
    }
}
