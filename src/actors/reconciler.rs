//! Owns: one deployment: what is wanted of it, what was seen of it, what is being done.
//! Hears: `deployments` (`Want`, `Vanish`), `observer` (`Observed`), `effects` (`Ended`), its timers.
//! Tells: `effects` what to do, `deployments` how it stands.
//! After a crash: asks all three again; nothing here has to survive.
use super::{Clock, dice};
use crate::domain::container::{Container, ContainerId, Status};
use crate::domain::desired::{Target, Wanted};
use crate::domain::memory::{Image, Memory};
use crate::domain::overlay::{self, Report};
use crate::domain::plan::{Action, Cause, Rest, Step, View, plan, vacate};
use crate::domain::picture::{Picture, Slot};
use crate::domain::report::{self, SlotFacts};
use crate::domain::spec::Owner;
use crate::domain::time::Moment;
use crate::messages::deployments::{ChildNews, Deployments};
use crate::messages::effects::{Creation, Effect, Effects, Failure, Job, Lane, Operation, Outcome};
use crate::messages::observer::{Observation, Observer};
use crate::messages::reconcilers::Reconciler as Message;
use crate::supervision::{Address, Context, Fault, Worker};
use fleet_contracts::names::{container_name, network_name};
use fleet_contracts::{DeploymentName, DeviceId, ServiceName};
use std::sync::Arc;
