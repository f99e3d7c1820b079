//! Our device and our target, who share no line of code: words that no other peer says.

use fleetcall::dialect::{Answer, ThingsBoard};
use fleetcall::model::{Credentials, FaultKind, Login, Qos, Status, Strategy, TransportKind};
use fleetcall::target::Target;
use fleetcall::transport::Connection;
use tokio::time::Instant;

use super::device::dial;
use crate::support::PATIENCE;
use crate::target_wire::{TOKEN, start};
use crate::transport_hostile::{RESPONSE, telemetry, topic};

async fn connected(target: &Target, client_id: &str, username: &str) -> Connection {
    let login = Login {
        client_id: client_id.into(),
        username: Some(username.into()),
        password: None,
    };
    let dial = dial(target.mqtt().unwrap());
    let opened = Connection::open(&dial, &login, None, 0).await;
    opened.unwrap().connection
}

#[tokio::test]
async fn a_device_provisions_reconnects_sends_and_is_taken_over() {
    let target = start(Strategy::Check).await;
    let mut connection = connected(&target, "c1", "provision").await;
    let dialect = ThingsBoard::new("K".into(), "S".into());
    let request = dialect.provision_request(TransportKind::Mqtt, "D1", None);
    let answered = connection.exchange(&request).await.unwrap();
    let answer = dialect.provision_answer(&answered.reply);
    assert!(matches!(
        answer,
        Answer::Provisioned(Credentials::AccessToken(_))
    ));
    connection.close().await;

    let mut connection = connected(&target, "any", TOKEN).await;
    for (qos, body, status) in [
        (Qos::AtLeastOnce, r#"{"t":1}"#, Status::Acknowledged),
        (Qos::AtLeastOnce, "{no json", Status::PubackReason(0x99)),
        (Qos::AtMostOnce, r#"{"t":1}"#, Status::Unacknowledged),
    ] {
        let sent = connection.exchange(&telemetry(qos, body)).await.unwrap();
        assert_eq!(sent.reply.status, status, "{body}");
    }
    let mut second = connected(&target, "other", TOKEN).await;
    let deadline = Instant::now() + PATIENCE;
    let ended = connection.idle_until(deadline).await.unwrap_err();
    assert_eq!(ended.kind.to_string(), "disconnect_0x8e");
    let sent = second.exchange(&telemetry(Qos::AtLeastOnce, "{}")).await;
    assert_eq!(sent.unwrap().reply.status, Status::Acknowledged);
    assert_eq!(target.device("D1").unwrap().telemetry_messages, 3);
}

#[tokio::test]
async fn a_request_that_the_target_refuses_ends_at_its_puback() {
    let target = start(Strategy::Check).await;
    for (body, code) in [("{no json", 0x99), (r#"{"deviceName":"D1"}"#, 0x83)] {
        let mut connection = connected(&target, "c1", "provision").await;
        let request = topic("/provision/request", Some(RESPONSE), Qos::AtLeastOnce, body);
        let refused = connection.exchange(&request).await.unwrap();
        assert_eq!(refused.reply.status, Status::PubackReason(code), "{body}");
    }
}

#[tokio::test]
async fn a_refused_login_is_named_by_connack() {
    let target = start(Strategy::Check).await;
    let login = Login {
        client_id: "c1".into(),
        username: Some("nobody".into()),
        password: None,
    };
    let dial = dial(target.mqtt().unwrap());
    let refused = Connection::open(&dial, &login, None, 0).await.unwrap_err();
    assert_eq!(refused.kind, FaultKind::ConnackReason(0x86));
}
