//! What a container is given beside its image: files.
use crate::device::Device;
use crate::documents::{deployment, script, with};
use serde_json::{Value, json};
use std::os::unix::process::ExitStatusExt;

/// Answers on port 18090 with what it finds at this path.
fn shower(path: &str, fields: Value) -> Value {
    let serve = format!(
        "trap 'exit 0' TERM; mkdir /www; cat {path} > /www/index.html; \
         httpd -f -p 80 -h /www & sleep 86400 & wait"
    );
    with(with(script("a", &serve), json!({"ports": ["127.0.0.1:18090:80"]})), fields)
}

const URL: &str = "http://127.0.0.1:18090/";

fn with_file(content: &str) -> Vec<u8> {
    deployment(&[shower(
        "/etc/app/a.toml",
        json!({"files": [{"path": "/etc/app/a.toml", "content": content}]}),
    )])
}

#[tokio::test]
async fn another_content_of_a_file_replaces_the_container_and_the_same_does_not() {
    let device = Device::new().await;
    device.apply("web", with_file("one")).await;
    device.answers(URL, "one").await;
    let one = device.life("fleet-web.a");
    device.apply("web", with_file("one")).await;
    assert_eq!(device.life("fleet-web.a"), one);
    device.apply("web", with_file("two")).await;
    device.answers(URL, "two").await;
    assert_ne!(device.life("fleet-web.a"), one);
    assert_eq!(device.containers().len(), 1);
}

#[tokio::test]
async fn a_kill_between_a_create_and_its_files_never_starts_a_container_without_them() {
    let mut device = Device::new().await;
    for (n, point) in ["create:drafted", "create:filled"].into_iter().enumerate() {
        let content = format!("content {n}");
        device.arm(point, "kill");
        let revision = device.put("web", with_file(&content)).await;
        device.happened(point).await;
        let end = device.agent.take().unwrap().ended().await;
        assert_eq!(end.signal(), Some(9), "at {point}: {end}");
        assert!(device.containers().contains_key("fleet-web.a.draft"), "{point}");
        device.boot();
        device.running("web", revision).await;
        device.answers(URL, &content).await;
        assert_eq!(device.containers().keys().collect::<Vec<_>>(), ["fleet-web.a"], "{point}");
    }
}
