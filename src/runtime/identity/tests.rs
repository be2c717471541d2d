use super::*;

#[test]
fn a_container_of_another_device_or_without_names_has_no_identity() {
    let device: DeviceId = "d1".parse().expect("valid");
    let labels =
        |list: &[(&str, &str)]| list.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect::<Labels>();
    let full = [("io.fleet.device", "d1"), ("io.fleet.deployment", "web"), ("io.fleet.service", "a")];
    assert!(identity(&device, &labels(&full)).is_some());
    assert!(identity(&"d2".parse().expect("valid"), &labels(&full)).is_none());
    assert!(identity(&device, &labels(&full[..2])).is_none());
    assert!(identity(&device, &labels(&[full[0], full[1], ("io.fleet.service", "Not A Name")])).is_none());
}
