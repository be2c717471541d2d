//! Networks and volumes: made once, found ever after.
use super::errors::Failure;
use super::{PodmanRuntime, SHORT};
use bollard::models::{NetworkCreateRequest, VolumeCreateRequest};
use std::collections::BTreeMap;

impl PodmanRuntime {
    pub(super) async fn create_network(
        &self,
        name: &str,
        labels: &BTreeMap<String, String>,
    ) -> Result<(), Failure> {
        let request = NetworkCreateRequest {
            name: name.into(),
            driver: Some("bridge".into()),
            labels: Some(labels.clone().into_iter().collect()),
            ..NetworkCreateRequest::default()
        };
        match self.docker(SHORT)?.create_network(request).await.map_err(Failure::from) {
            Ok(_) => Ok(()),
            // 500 in 4.3.1, 409 later.
            Err(failure) if failure.says("already exists") || failure.says("already used") => Ok(()),
            Err(failure) => Err(failure),
        }
    }

    pub(super) async fn delete_network(&self, name: &str) -> Result<(), Failure> {
        match self.docker(SHORT)?.remove_network(name).await.map_err(Failure::from) {
            Err(failure) if failure.is_not_found() => Ok(()),
            other => other,
        }
    }

    pub(super) async fn create_volume(
        &self,
        name: &str,
        labels: &BTreeMap<String, String>,
    ) -> Result<(), Failure> {
        let request = VolumeCreateRequest {
            name: Some(name.into()),
            labels: Some(labels.clone().into_iter().collect()),
            ..VolumeCreateRequest::default()
        };
        match self.docker(SHORT)?.create_volume(request).await.map_err(Failure::from) {
            Ok(_) => Ok(()),
            Err(failure) if failure.says("already exists") => Ok(()),
            Err(failure) => Err(failure),
        }
    }
}
