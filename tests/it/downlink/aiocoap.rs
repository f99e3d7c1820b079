//! Against aiocoap, whose server notifies and calls our device.

use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::{Process, Run, python, root};
use crate::transport_peers::Lines;

#[test]
fn a_coap_server_that_we_did_not_write_notifies_and_gets_the_exact_answers() {
    let mut process = Process::start(
        python()
            .arg(root().join("tests/peers/aiocoap_operator.py"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped()),
    );
    let said = Lines::of(&mut process);
    let port: u16 = said.next("").parse().unwrap();
    let ran = Run::of(&format!(
        r#"
        name = "observer"
        seed = 5
        [target]
        coap = "127.0.0.1:{port}"
        [profile]
        provision_key = "k"
        provision_secret = "s"
        [devices]
        generate = {{ count = 1 }}
        [[cohort]]
        name = "one"
        transport = "coap"
        [arrival]
        stages = [{{ duration = "5s", rate = 0.2 }}]
        [telemetry]
        interval = "500ms"
        [downlink]
        reply_template = '{{"id":{{{{ id }}}},"method":{{{{ method | tojson }}}},"params":{{{{ params | tojson }}}}}}'
        "#
    ))
    .finish();
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    for (id, method, params) in [
        (1, "setGpio", json!({"pin": 7})),
        (2, "zähler", json!({"deep": [[1, {"a": null}]]})),
        (3, "last", json!({})),
    ] {
        let told: Value = serde_json::from_str(&said.next("{")).unwrap();
        assert_eq!(told["id"], id);
        let answer: Value = serde_json::from_str(told["body"].as_str().unwrap()).unwrap();
        assert_eq!(
            answer,
            json!({"id": id, "method": method, "params": params})
        );
    }
    assert_eq!(said.next("done"), "done");
    for (key, count) in [
        ("downlink.replies.acked", 3),
        // Nobody of this run sent them: three calls and two updates, one of them in blocks. What
        // an observation begins with is no push.
        ("downlink.unasked", 5),
        ("downlink.garbled", 0),
        ("downlink.overtaken", 0),
        ("phases.subscribe.count", 1),
        ("telemetry.lost", 0),
    ] {
        assert_eq!(ran.number(key), count, "{key}");
    }
    // It ended both observations, and both were asked for again.
    let errors = ran.errors();
    assert_eq!(errors["subscribe.coap_5.03"], 2, "{errors:?}");
    assert_eq!(errors.len(), 1, "{errors:?}");
}
