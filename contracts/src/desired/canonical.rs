//! Canonical JSON (RFC 8785) of what a document asks for: two documents that ask for the same have the
//! same bytes, and a field that a document does not use never changes them.
use super::{DesiredDeployment, Lifecycle, PODMAN_V0, Service};
use serde::{Serialize, Serializer};

/// What decides whether a container still is what is wanted. Both keys are always there.
#[derive(Serialize)]
struct Spec<'a> {
    service: &'a Service,
    lifecycle: &'a Lifecycle,
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    services: &'a [Service],
    lifecycle: &'a Lifecycle,
}

/// The text over which `io.fleet.spec-digest` is the SHA-256, in lowercase hex: `{"lifecycle":…,
/// "service":…}` with defaults left out, `env` as a map, and ports and volumes in their full form.
pub fn canonical_spec(service: &Service, lifecycle: &Lifecycle) -> String {
    canonical(&Spec { service, lifecycle })
}

impl DesiredDeployment {
    /// The whole document in its canonical form; parsing it gives the same deployment again.
    pub fn canonical(&self) -> String {
        canonical(self)
    }
}

/// Serializes to a document that [`super::parse`] reads.
impl Serialize for DesiredDeployment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let data = Data { services: &self.services, lifecycle: &self.lifecycle };
        Document { kind: PODMAN_V0, data }.serialize(serializer)
    }
}

fn canonical<T: Serialize>(value: &T) -> String {
    serde_json_canonicalizer::to_string(value).expect("strings, lists and whole numbers always have JSON")
}
