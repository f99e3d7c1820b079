//! What servers that we did not write send to our device unasked.

use fleetcall::model::{MqttVersion, Qos, Source, Status, Subscription, TransportKind};
use fleetcall::transport::{Connection, Delivery};
use tokio::time::Instant;

use super::mqtt::Broker;
use crate::support::{PATIENCE, program, succeed};
use crate::transport_hostile::{dial, open, telemetry};

async fn next(connection: &mut Connection) -> Delivery {
    let by = Instant::now() + PATIENCE;
    connection.idle_until(by).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_broker_delivers_by_several_subscriptions_at_once() {
    for version in [MqttVersion::V3, MqttVersion::V5] {
        let broker = Broker::start(false);
        let mut dial = dial(TransportKind::Mqtt, broker.addr);
        dial.version = version;
        let mut connection = open(&dial).await.unwrap().connection;
        let filters = ["v1/devices/me/attributes", "v1/devices/me/rpc/request/+"];
        let subscribed = connection
            .subscribe(&filters.map(Subscription::Topic))
            .await;
        assert!(subscribed.unwrap().span.is_some(), "{version:?}");
        for (topic, qos, body) in [
            ("v1/devices/me/attributes", "0", r#"{"k":1}"#),
            ("v1/devices/me/rpc/request/1", "1", r#"{"method":"m"}"#),
            ("v1/devices/me/attributes", "1", r#"{"k":"ä"}"#),
        ] {
            // With QoS 1 it returns once the broker has it.
            let port = broker.addr.port().to_string();
            let mut publish = program("mosquitto_pub");
            publish.args([
                "-h",
                "127.0.0.1",
                "-p",
                &port,
                "-q",
                qos,
                "-t",
                topic,
                "-m",
                body,
            ]);
            succeed(&mut publish);
            let delivery = next(&mut connection).await;
            assert_eq!(
                delivery.source,
                Source::Topic(topic.to_owned()),
                "{version:?}"
            );
            assert_eq!(delivery.body, body);
        }
        let sent = connection
            .exchange(&telemetry(Qos::AtLeastOnce, "{}"))
            .await;
        assert_eq!(sent.unwrap().reply.status, Status::Acknowledged);
        connection.close().await;
    }
}
