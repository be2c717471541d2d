//! In which lane an operation runs.
use fleet_contracts::ServiceName;

/// Operations of one lane never overlap.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// The containers of one service slot.
    Slot(ServiceName),
    /// The image of one service: a pull may take hours and holds up nothing else.
    Image(ServiceName),
    /// The health check of one service: it touches nothing, and holds up nothing.
    Health(ServiceName),
    /// What one service said before it ended.
    Words(ServiceName),
    /// What belongs to the deployment as a whole.
    Network,
}

impl Lane {
    /// What is done in it changes nothing: nobody has to wait for its end.
    pub fn only_reads(&self) -> bool {
        match self {
            Self::Health(_) | Self::Words(_) => true,
            Self::Slot(_) | Self::Image(_) | Self::Network => false,
        }
    }
}

/// How many operations a reconciler had asked for when it asked which lanes are busy: the answer says
/// nothing of later ones.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Asked(pub(super) u64);

impl Asked {
    /// For an answer that holds for every operation so far, whoever asked.
    pub const ALL: Self = Self(u64::MAX);
}
