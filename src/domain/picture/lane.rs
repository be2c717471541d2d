//! In which lane an operation runs, and which are busy.
use super::*;

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

impl Picture {
    /// How many operations were asked for so far.
    pub fn asked(&self) -> Asked {
        self.asked
    }

    /// Takes the lanes that were really busy after as many operations as `asked` says. Returns whether
    /// somebody should look: the end of an operation was missed.
    pub fn attached(&mut self, lanes: Vec<Lane>, asked: Asked, now: Moment) -> bool {
        let really: BTreeSet<Lane> = lanes.into_iter().collect();
        let is_missed = |(lane, busy): &(&Lane, &Busy)| busy.since <= asked && !really.contains(*lane);
        let missed: Vec<Lane> = self.busy.iter().filter(is_missed).map(|(lane, _)| lane.clone()).collect();
        for lane in &missed {
            self.busy.remove(lane);
            match lane {
                Lane::Slot(service) => {
                    let slot = self.slot(service);
                    (slot.touched, slot.unsure) = (now, true);
                }
                Lane::Image(service) => self.slot(service).memory.image = Image::Unknown,
                Lane::Health(_) | Lane::Words(_) | Lane::Network => {}
            }
        }
        for lane in really {
            if let Lane::Image(service) = &lane {
                self.slot(service).memory.image = Image::Pulling;
            }
            self.busy.entry(lane).or_insert(Busy { about: None, since: self.asked, is_former: false });
        }
        !missed.is_empty()
    }

    pub fn is_busy(&self) -> bool {
        !self.busy.is_empty()
    }

    /// An operation was asked for.
    pub fn begun(&mut self, lane: Lane, action: &Action) {
        if let Lane::Image(service) = &lane {
            self.slot(service).memory.image = Image::Pulling;
        }
        if let (Lane::Slot(service), Action::Start(id)) = (&lane, action) {
            let again = self.containers.get(id).is_some_and(|c| c.status != Status::Created);
            self.slot(service).memory.restarts += u64::from(again);
        }
        if let (Lane::Slot(service), Action::Stop { id, cause }) = (&lane, action)
            && self.is_stopped_from_its_work(id, *cause)
        {
            self.slot(service).memory.restart_begun();
        }
        self.occupy(lane, Some(about(action)));
    }

    /// Its end will not be that of its work: should it be wanted again meanwhile, it is started again, also where it
    /// leaves well or is a job.
    fn is_stopped_from_its_work(&self, id: &ContainerId, cause: Cause) -> bool {
        let runs = self.containers.get(id).is_some_and(|c| matches!(c.status, Status::Running(_)));
        match cause {
            Cause::Unhealthy => true,
            Cause::Removed | Cause::Dropped => runs,
            Cause::Changed
            | Cause::Duplicate
            | Cause::Dead
            | Cause::Unused
            | Cause::Unfinished
            | Cause::HalfStopped => false,
        }
    }

    pub fn network_removal_begun(&mut self) {
        self.occupy(Lane::Network, None);
    }

    pub(super) fn occupy(&mut self, lane: Lane, about: Option<About>) {
        self.asked = Asked(self.asked.0 + 1);
        self.busy.insert(lane, Busy { about, since: self.asked, is_former: false });
    }
}
