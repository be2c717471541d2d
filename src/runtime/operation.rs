//! What can be asked of a runtime, by name.

/// The operations of the trait, as errors name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    Info,
    List,
    Look,
    Holder,
    Create,
    PutFiles,
    Start,
    Unpause,
    Signal,
    Rename,
    Remove,
    RemoveOrphan,
    EnsureNetwork,
    RemoveNetwork,
    EnsureVolume,
    Image,
    Images,
    RemoveImage,
    Storage,
    Pull,
    Exec,
    LastWords,
    Hints,
}

impl Operation {
    /// As errors and logs spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::List => "list",
            Self::Look => "look",
            Self::Holder => "holder",
            Self::Create => "create",
            Self::PutFiles => "put files into",
            Self::Start => "start",
            Self::Unpause => "unpause",
            Self::Signal => "signal",
            Self::Rename => "rename",
            Self::Remove => "remove",
            Self::RemoveOrphan => "remove orphan",
            Self::EnsureNetwork => "ensure network",
            Self::RemoveNetwork => "remove network",
            Self::EnsureVolume => "ensure volume",
            Self::Image => "image",
            Self::Images => "images",
            Self::RemoveImage => "remove image",
            Self::Storage => "storage",
            Self::Pull => "pull",
            Self::Exec => "exec",
            Self::LastWords => "last words",
            Self::Hints => "hints",
        }
    }
}
