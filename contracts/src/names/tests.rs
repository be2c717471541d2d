use super::{DeploymentName, DeviceId, Role, ServiceName, container_name, desired_key, state_key};

#[test]
fn a_device_id_is_one_nats_token() {
    for good in ["a", "Pump_7-b", &"x".repeat(64)] {
        assert_eq!(good.parse::<DeviceId>().unwrap().as_str(), good);
    }
    for bad in ["", "a.b", "a b", "*", ">", "ü", &"x".repeat(65)] {
        assert!(bad.parse::<DeviceId>().is_err(), "{bad:?}");
    }
}

#[test]
fn a_deployment_or_service_name_is_a_dns_label() {
    for good in ["a", "web-1", "0", &"x".repeat(63)] {
        assert_eq!(good.parse::<DeploymentName>().unwrap().as_str(), good);
        assert_eq!(good.parse::<ServiceName>().unwrap().as_str(), good);
    }
    for bad in ["", "-a", "a-", "A", "a_b", "a.b", &"x".repeat(64)] {
        assert!(bad.parse::<DeploymentName>().is_err(), "{bad:?}");
        assert!(bad.parse::<ServiceName>().is_err(), "{bad:?}");
    }
}

#[test]
fn a_name_of_another_form_is_refused_wherever_it_enters() {
    assert!(serde_json::from_str::<DeviceId>("\"a.b\"").is_err());
    let message = "x".repeat(5000).parse::<DeviceId>().unwrap_err().to_string();
    assert!(message.len() < 200, "{message}");
}

#[test]
fn names_of_containers_and_keys_are_as_the_contract_says() {
    let (device, deployment, service) =
        ("dev-1".parse().unwrap(), "shop".parse().unwrap(), "web".parse().unwrap());
    assert_eq!(container_name(&deployment, &service, Role::Main), "fleet-shop.web");
    assert_eq!(container_name(&deployment, &service, Role::Next), "fleet-shop.web.next");
    assert_eq!(container_name(&deployment, &service, Role::Old), "fleet-shop.web.old");
    assert_eq!(desired_key(&device, &deployment), "dev-1.shop");
    assert_eq!(state_key(&device, &deployment), "state.dev-1.shop");
}
