//! Calls that no run of ours makes: curl is the operator, a target in the test the server.

use std::time::Duration;

use fleetcall::model::Strategy;
use serde_json::{Value, json};

use crate::support::Run;
use crate::support::api::Api;
use crate::target_wire::config;

#[tokio::test(flavor = "multi_thread")]
async fn curl_gets_the_exact_answer_of_a_device_over_every_open_transport() {
    let api = Api::start(config(Strategy::Allow)).await;
    let (mqtt, http, coap) = (
        api.target.mqtt().unwrap(),
        api.target.http().unwrap(),
        api.target.coap().unwrap(),
    );
    for (over, address) in [("mqtt", mqtt), ("http", http), ("coap", coap)] {
        let name = format!("outside-{over}");
        let list = format!("name\n{name}\n");
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("list.csv");
        std::fs::write(&path, list).unwrap();
        let running = Run::of(&format!(
            r#"
            name = "outside"
            [target]
            {over} = "{address}"
            [profile]
            provision_key = "K"
            provision_secret = "S"
            [devices]
            list = "{}"
            [[cohort]]
            name = "one"
            transport = "{over}"
            [arrival]
            stages = [{{ duration = "5s", rate = 0.2 }}]
            [downlink]
            delay = "50ms"
            reply = {{ method = "{{{{ method }}}}", pin = "{{{{ params.pin }}}}" }}
            "#,
            path.display(),
        ))
        .start();
        let id = loop {
            let device = api.named(&name).await;
            if let Some(id) = device["id"]["id"].as_str() {
                break id.to_owned();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        // The server keeps the call until the device asks for it.
        for pin in [7, 8] {
            let call = json!({"method": "setGpio", "params": {"pin": pin}, "timeout": 10_000});
            let answer = api.post(&format!("/api/rpc/twoway/{id}"), call).await;
            let expected = json!({"method": "setGpio", "pin": pin.to_string()});
            assert_eq!(answer, (200, expected), "{over}");
        }
        let ran = tokio::task::spawn_blocking(|| running.finish())
            .await
            .unwrap();
        assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
        assert_eq!(ran.number("downlink.replies.acked"), 2, "{over}");
        // Nobody of this run called.
        assert_eq!(ran.number("downlink.unasked"), 2, "{over}");
        assert_eq!(ran.summary()["downlink"]["rpc"]["due"], Value::from(0));
    }
}
